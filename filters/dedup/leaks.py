"""Which hits of a search a rollout must not see: those that show it the data set in place of the world.

A site that publishes data sets, benchmarks or answers to questions is never shown. Of sites that hold such things among
many others, a hit is one whose picture is the question's. Whatever the site, a page that holds the question is no
evidence for an answer, and neither is one that is younger than the answer has to be.

Not covered: a question of fewer than eight tokens (any page on its subject holds those), one that a page says in other
words, and what a page holds beyond the snippet, which nobody reads.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import Field

from filters.dedup.contamination import NGRAM
from filters.dedup.key import key_tokens, question_tokens
from filters.rule import Rule
from pipeline.identity import Identity
from pipeline.records import Decision

VERSION = 1

Reason = Literal["denied_site", "copy_of_picture", "holds_question", "after_as_of", "no_picture"]

_RULE: Rule[Reason] = Rule("leak", VERSION)

Site = Annotated[str, Field(pattern=r"^[a-z0-9.-]+\.[a-z]{2,}(/[^/\s]+)*$")]
"""A host with all below it, `example.org`, or a part of it, `example.org/datasets`; the segment `*` is any."""
Day = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]


class LeakSettings(Identity):
    """What is a leak."""

    VERSION: ClassVar[int] = VERSION

    deny: tuple[Site, ...] = ()
    """Sites that are never shown, beside those of `manifests/search/leaks.yaml`."""
    copies: tuple[Site, ...] = ()
    """Sites that hold data sets among other things, beside those of that file."""
    ngram_share: float = Field(default=0.6, gt=0, le=1)
    """Share of the question's 8-grams, or of the hit's where it has fewer, that both hold."""
    radius: int = Field(default=4, ge=0, le=64)
    """Bits of phash within which a thumbnail is the question's picture, if dhash agrees (`ContaminationSettings`)."""
    max_dhash: int = Field(default=8, ge=0, le=64)
    """Bits of dhash, the second signal."""


class Hit(NamedTuple):
    """A hit of any search, as far as this looks."""

    url: str
    title: str
    snippet: str = ""
    published: str | None = None
    """YYYY-MM-DD."""
    picture: bool = True
    """Whether it shows what it should: False of a picture without one."""
    phash_bits: int | None = None
    """Distance of its picture from the question's."""
    dhash_bits: int | None = None


def leak(question_id: str, text: str, hit: Hit, settings: LeakSettings, as_of: str | None) -> Decision:
    """Reject a hit that a rollout of the question must not see. The score is a share for a text, bits for a picture.

    `as_of` is the day (YYYY-MM-DD) until which evidence counts; a hit that tells no day is kept.
    """
    if any(_on(site, hit.url) for site in settings.deny):
        return _RULE.reject(question_id, "denied_site")
    if _is_copy(hit, settings) and any(_on(site, hit.url) for site in settings.copies):
        return _RULE.reject(question_id, "copy_of_picture", float(hit.phash_bits or 0))
    share = shared(text, f"{hit.title}\n{hit.snippet}")
    if share >= settings.ngram_share:
        return _RULE.reject(question_id, "holds_question", share)
    if as_of is not None and hit.published is not None and hit.published > as_of:
        return _RULE.reject(question_id, "after_as_of")
    if not hit.picture:
        return _RULE.reject(question_id, "no_picture")
    return _RULE.keep(question_id)


def shared(question: str, text: str) -> float:
    """Return the share of 8-grams that question and text have in common, of whichever has fewer; 0 if one has none."""
    ours, theirs = _question_ngrams(question), _ngrams([token.text for token in key_tokens(text)])
    fewer = min(len(ours), len(theirs))
    return len(ours & theirs) / fewer if fewer else 0.0


@lru_cache(maxsize=1024)
def _question_ngrams(question: str) -> frozenset[tuple[str, ...]]:
    return _ngrams([token.text for token in question_tokens(question)])


def _ngrams(tokens: Sequence[str]) -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(tokens[at : at + NGRAM]) for at in range(len(tokens) - NGRAM + 1))


def _is_copy(hit: Hit, settings: LeakSettings) -> bool:
    near, alike = hit.phash_bits, hit.dhash_bits
    return near is not None and alike is not None and near <= settings.radius and alike <= settings.max_dhash


def _on(site: str, url: str) -> bool:
    """Return whether an address is of a site."""
    host, *path = site.split("/")
    at, *segments = _address(url)
    if at != host and not at.endswith(f".{host}"):
        return False
    return len(segments) >= len(path) and all(
        part in {"*", segment} for part, segment in zip((one.lower() for one in path), segments, strict=False)
    )


@lru_cache(maxsize=1024)
def _address(url: str) -> tuple[str, ...]:
    """Return host and segments of a web address, however it is spelt; an empty host of any other."""
    found = re.match(r"\s*(?:https?:)?//(?:[^/?#@]*@)?([^/?#:]*)[^/?#]*([^?#]*)", url, re.IGNORECASE)
    if found is None:
        return ("",)
    plain = re.sub(r"%([0-9A-Fa-f]{2})", lambda code: chr(int(code[1], 16)), found[2]).lower()
    segments: list[str] = []
    for segment in re.split(r"[/\\]+", plain):
        if segment == "..":
            del segments[-1:]
        elif segment not in {"", "."}:
            segments.append(segment)
    return (found[1].lower().rstrip("."), *segments)
