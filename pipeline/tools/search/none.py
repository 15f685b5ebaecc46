"""No search at all: what a recipe without `search` gets."""

from __future__ import annotations

from pipeline.tools.search.hits import ImageHit, TextHit


class NoSearch:
    """A `SearchProvider` that finds nothing, so that a model is told of 0 results."""

    revision = "none/1"

    def text(self, query: str, results: int) -> tuple[TextHit, ...]:  # noqa: ARG002 - as every provider is called
        """Return no page."""
        return ()

    def image(self, content: bytes, results: int) -> tuple[ImageHit, ...]:  # noqa: ARG002 - as above
        """Return no picture."""
        return ()
