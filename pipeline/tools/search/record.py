"""Searches that a run recorded, as `coldforge search-cache` writes them for training: files, no store, nobody asked."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pipeline.errors import UsageError

IMAGES = "fvqa_train_image_search_results_cache.json"
"""Image searches, under the name and in the form in which DeepEyesV2's `search_utils.py` reads them: under a question's
id the titles, and as many paths of pictures, relative to the file (`cache_convert.py` puts a directory before them)."""
PICTURES = "cached_images"
TEXTS = "text_searches.jsonl"
"""Text searches: a line `{"question_id", "query", "observation"}` each; the query as `wanted` writes it."""


def wanted(query: str) -> str:
    """Return what is searched for: the query in one spelling of white space and composed characters."""
    return " ".join(unicodedata.normalize("NFC", query).split())


@dataclass(frozen=True)
class SearchRecord:
    """What the searches of a run showed, by question; what is not in it was not asked."""

    directory: Path | None = None
    _images: Mapping[str, Any] = field(default_factory=dict)
    _texts: Mapping[tuple[str, str], str] = field(default_factory=dict)

    @classmethod
    def of(cls, directory: Path) -> Self:
        """Read the files of a directory.

        Raises:
            UsageError: they are missing or damaged.
        """
        try:
            images = json.loads((directory / IMAGES).read_text(encoding="utf-8"))
            lines = (directory / TEXTS).read_text(encoding="utf-8").split("\n")
            said = [json.loads(line) for line in lines if line]
            texts = {(str(one["question_id"]), str(one["query"])): str(one["observation"]) for one in said}
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise UsageError(
                f"{directory} is no record of searches ({error!r}); write it with `coldforge search-cache`"
            ) from error
        return cls(directory, images, texts)

    def text(self, question_id: str, query: str) -> str | None:
        """Return what the question's rollouts were shown for a query; None where none of them asked it."""
        return self._texts.get((question_id, wanted(query)))

    def images(self, question_id: str) -> list[tuple[str, bytes]] | None:
        """Return title and encoded picture of each hit of the question's image search; None where there was none."""
        found = self._images.get(question_id)
        if found is None or self.directory is None:
            return None
        pairs = zip(found["tool_returned_web_title"], found["cached_images_path"], strict=True)
        return [(title, (self.directory / path).read_bytes()) for title, path in pairs]


NO_RECORD = SearchRecord()
"""Nothing was searched for."""
