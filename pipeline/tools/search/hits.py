"""What a search gives back, whoever was asked, and what a provider has to be able to do."""

from __future__ import annotations

from typing import Protocol

from pydantic import BaseModel, ConfigDict

from pipeline.records import ImageRef


class TextHit(BaseModel):
    """A page as a text search shows it; the page itself is not fetched."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    url: str
    """For people and evidence; never opened because a model wrote it."""
    date: str | None
    snippet: str
    """As the provider wrote it: data of a stranger, defused where an observation is made of it."""


class ImageHit(BaseModel):
    """A picture as an image search shows it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    url: str
    thumbnail: ImageRef


class SearchProvider(Protocol):
    """Answers searches; called from several threads at once."""

    @property
    def revision(self) -> str:
        """Identity of what is searched and how; part of the key under which results are recorded."""

    def text(self, query: str, results: int) -> tuple[TextHit, ...]:
        """Return at most `results` pages, best first.

        Raises:
            InfrastructureError: the provider failed.
        """

    def image(self, content: bytes, results: int) -> tuple[ImageHit, ...]:
        """Return at most `results` pictures that look like the encoded image `content`, best first.

        Raises:
            InfrastructureError: the provider failed.
        """
