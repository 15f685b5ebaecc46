"""What a search gives back, whoever was asked, and what a provider has to be able to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, NamedTuple, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from pipeline.identity import Json
from pipeline.records import ImageRef


class TextHit(BaseModel):
    """A page as a text search shows it; the page itself is not fetched."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    url: str
    """For people and evidence; never opened because a model wrote it."""
    date: str | None
    """As the provider wrote it."""
    snippet: str
    """As the provider wrote it: data of a stranger, defused where an observation is made of it."""
    published: str | None = None
    """`date` as YYYY-MM-DD, by the day on which the search was made; None where it does not tell a day."""
    redistributable: bool = True
    """Whether it may be passed on; of a turn that shows one that may not, exports leave the row out."""


class ImageHit(BaseModel):
    """A picture as an image search shows it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    url: str
    """Of the page it stands on."""
    thumbnail: ImageRef | None
    """None where it could not be had: a dead link, or no picture."""
    phash_bits: int | None = None
    """Bits in which its hash differs from that of the picture searched for; None where it has none."""
    dhash_bits: int | None = None
    redistributable: bool = True
    """As of a page."""


Hit = TypeVar("Hit", TextHit, ImageHit)


class Answer(NamedTuple, Generic[Hit]):
    """What a provider found."""

    hits: tuple[Hit, ...]
    """Best first."""
    seconds: float
    """Of the one try that succeeded."""
    facts: Mapping[str, Json] = {}
    """What may differ between equal searches, such as a provider's number of the request."""


class Picture(NamedTuple):
    """The picture that is searched for."""

    content: bytes
    """The encoded image."""
    url: str | None
    """Where the public may see it and its licence allows that; None: nowhere."""


class TextProvider(Protocol):
    """Finds pages."""

    @property
    def revision(self) -> str:
        """Identity of what is searched and how; part of the key under which results are recorded."""
        ...

    async def text(self, query: str, results: int) -> Answer[TextHit]:
        """Return at most `results` pages.

        Raises:
            InfrastructureError: the provider failed; an empty answer is one that it gave.
        """
        ...


class ImageProvider(Protocol):
    """Finds pictures."""

    @property
    def revision(self) -> str:
        """As of a `TextProvider`."""
        ...

    @property
    def needs_url(self) -> bool:
        """Whether it can search for public pictures only."""
        ...

    async def image(self, picture: Picture, results: int) -> Answer[ImageHit]:
        """Return at most `results` pictures that look like `picture`.

        Raises:
            InfrastructureError: as `TextProvider.text`.
        """
        ...
