"""What a run's searches may be shown, and which of its pictures may be searched for: as its recipe and rows say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from filters.dedup.leaks import Hit, LeakSettings, leak
from pipeline.errors import RowError
from pipeline.identity import digest, parse_json
from pipeline.records import Decision, Question
from pipeline.tools.search.hits import ImageHit, TextHit

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class HitRules:
    """The rules of one run."""

    settings: LeakSettings
    """With the sites that ship."""
    as_of: str | None
    """Of the recipe."""

    @property
    def identity(self) -> str:
        """Return what decides."""
        return digest({"settings": self.settings.identity(), "as_of": self.as_of})

    def decide(self, question: Question, hit: TextHit | ImageHit) -> Decision:
        """Return whether a hit may be shown for a question.

        Raises:
            RowError: `as_of`: the row's day is none.
        """
        return leak(question.id, question.text, _seen(hit), self.settings, _own_day(question) or self.as_of)


def public_url(question: Question, redistributable: Mapping[str, bool | None]) -> str | None:
    """Return where all may see the first picture of a question: its row's `image_url`, if it may be passed on.

    The row's own `redistributable` goes before that of its source. An address of a network that is not public is none.
    """
    meta = _meta(question)
    allowed = meta.get("redistributable", redistributable.get(question.source, False))
    urls = meta.get("image_url", meta.get("image_urls"))
    url = urls[0] if isinstance(urls, list) and urls else urls
    if allowed is not True or not isinstance(url, str):
        return None
    host = re.match(r"https?://([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,})(?::\d+)?/", url)
    private = host is None or host[1].lower().endswith((".local", ".internal", ".localhost", ".lan", ".home.arpa"))
    return None if private else url


def _own_day(question: Question) -> str | None:
    day = _meta(question).get("as_of")
    if day is None:
        return None
    if not isinstance(day, str) or _DAY.fullmatch(day) is None:
        raise RowError("as_of", f"the row's as_of is {day!r}; write a day as YYYY-MM-DD, or leave it out")
    return day


def _meta(question: Question) -> Mapping[str, Any]:
    meta = parse_json(question.meta)
    return meta if isinstance(meta, dict) else {}


def _seen(hit: TextHit | ImageHit) -> Hit:
    if isinstance(hit, TextHit):
        return Hit(hit.url, hit.title, hit.snippet, hit.published)
    return Hit(
        hit.url,
        hit.title,
        picture=hit.thumbnail is not None,
        phash_bits=hit.phash_bits,
        dhash_bits=hit.dhash_bits,
    )
