"""The search tools: a text query, or the whole original image; recorded, so that a run replays what it saw first.

What a provider found is stored whole, and what of it a model is shown is decided each time anew: a changed rule about
leaks asks nobody again. A failure is never stored and never shown as "no results".
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Generic, Literal, NamedTuple

from pydantic import TypeAdapter

from pipeline.errors import GivenUpError, RowError, UsageError
from pipeline.identity import Json, canonical_json, digest
from pipeline.images import HASH_RECIPE, decode, perceptual_hashes
from pipeline.records import Decision, ImageRef, Question
from pipeline.store.blobs import BlobStore
from pipeline.store.calls import CallCache, Entry, Made
from pipeline.tools.search.dates import published
from pipeline.tools.search.hits import Answer, Hit, ImageHit, ImageProvider, Picture, TextHit, TextProvider
from pipeline.tools.search.record import wanted

RESULTS = 5
"""Titles and snippets per query, thumbnails with titles per image (arXiv 2511.05271, App. A.1); no page is read."""
ASKED_FOR = 10
"""What providers give for one price: where some are leaks, five are left to be shown."""
VERSION = 1
"""Of what is stored of a search; part of its key."""

Mode = Literal["replay", "strict", "record", "live"]
"""`replay`: what is stored, and else asked and stored. `strict`: what is stored, and else the run stops. `record`: as
`replay`, and may begin a recording of its own name. `live`: asked each time; nothing is read or stored."""

_TEXTS = TypeAdapter(tuple[TextHit, ...])
_IMAGES = TypeAdapter(tuple[ImageHit, ...])


class NotRecordedError(GivenUpError):
    """Nothing is stored of a search, and nobody may be asked."""


def _keep(question: Question, hit: TextHit | ImageHit) -> Decision:
    del hit
    return Decision(record_id=question.id, filter="none", version=0, outcome="keep", reason="", score=None)


@dataclass(frozen=True)
class Search:
    """Where a run searches, and what of it may be shown."""

    text: TextProvider
    image: ImageProvider
    mode: Mode = "replay"
    recording: str = ""
    """Name of what is read and added to; empty: the first one, which has none."""
    decide: Callable[[Question, TextHit | ImageHit], Decision] = _keep
    """Says whether a hit may be shown for a question."""
    rules: str = ""
    """Identity of `decide`."""
    public_url: Callable[[Question], str | None] = lambda _: None
    """Where the first picture of a question may be seen by all."""

    @property
    def revision(self) -> str:
        """Return the identity of all that decides what is shown."""
        return digest([self.text.revision, self.image.revision, self.recording, self.rules])


class Dropped(NamedTuple, Generic[Hit]):
    """A hit that is not shown."""

    rank: int
    """Among what the provider found, from 0."""
    hit: Hit
    decision: Decision


class Found(NamedTuple, Generic[Hit]):
    """What is shown of a search, best first, and how long it took when it was made, in seconds."""

    hits: tuple[Hit, ...]
    dropped: tuple[Dropped[Hit], ...]
    seconds: float


async def text_search(calls: CallCache, search: Search, question: Question, query: str) -> Found[TextHit]:
    """Return what may be shown of the hits for `query`: recorded ones, or new ones if `mode` allows it.

    Raises:
        NotRecordedError: nothing is stored, and the mode is strict.
        InfrastructureError: the provider failed; nothing is stored, and no model is told "no results".
    """
    asked = wanted(query)
    if not asked:
        return Found((), (), 0.0)  # providers refuse it, each in its own way

    async def make() -> Made:
        answer = await search.text.text(asked, ASKED_FOR)
        today = _today()
        hits = tuple(hit.model_copy(update={"published": published(hit.date, today)}) for hit in answer.hits)
        return _made(_TEXTS.dump_python(hits), answer, {"query": asked})

    what = {"tool": "text_search", "provider": search.text.revision, "query": asked}
    entry = await _recorded(calls, search, what, make)
    return _shown(search, question, _TEXTS.validate_json(entry.value), entry.seconds)


async def image_search(
    calls: CallCache, search: Search, blobs: BlobStore, question: Question
) -> Found[ImageHit] | None:
    """Return what may be shown of the hits for the first image of `question`.

    None where its picture may not be searched for: it is not public, and the provider can find only such.

    Raises:
        NotRecordedError, InfrastructureError: as `text_search`.
    """
    image = question.images[0]
    url = search.public_url(question)
    if search.image.needs_url and url is None:
        return None

    async def make() -> Made:
        content = await asyncio.to_thread(blobs.get, image.sha256)
        answer = await search.image.image(Picture(content, url), ASKED_FOR)
        hits = await asyncio.to_thread(_compared, content, answer.hits, blobs)
        return _made(_IMAGES.dump_python(hits), answer, {"image": image.sha256})

    entry = await _recorded(calls, search, image_call(search.image.revision, image), make)
    return _shown(search, question, _IMAGES.validate_json(entry.value), entry.seconds)


async def recorded_images(calls: CallCache, search: Search, question: Question) -> Found[ImageHit] | None:
    """Return what may be shown of a recorded image search; None where none is recorded. Nobody is asked."""
    entry = await calls.stored("search", _key(search, image_call(search.image.revision, question.images[0])))
    return None if entry is None else _shown(search, question, _IMAGES.validate_json(entry.value), entry.seconds)


async def open_recording(calls: CallCache, search: Search) -> None:
    """See whether there is the recording that a run is to read; `record` begins it.

    Raises:
        UsageError: nobody began it: a misspelt name would have everything asked anew.
    """
    if not search.recording or search.mode == "live":
        return
    key = digest({"recording": search.recording})
    if search.mode == "record":

        async def begin() -> Made:
            return Made(canonical_json(search.recording), "{}", 0.0)

        await calls.once("search", key, begin)
    elif await calls.stored("search", key) is None:
        raise UsageError(
            f"search.recording: the store holds no recording {search.recording!r}; begin it with search.mode: record"
        )


def image_call(provider: str, image: ImageRef) -> Mapping[str, Json]:
    """Return what identifies a search for a picture: its bytes, never where it is."""
    return {"tool": "image_search", "provider": provider, "image": image.sha256, "hashes": HASH_RECIPE}


async def _recorded(
    calls: CallCache, search: Search, what: Mapping[str, Json], make: Callable[[], Awaitable[Made]]
) -> Entry:
    if search.mode == "live":
        made = await make()
        return Entry(made.value, made.seconds)
    key = _key(search, what)
    if search.mode != "strict":
        return await calls.once("search", key, make)
    entry = await calls.stored("search", key)
    if entry is None:
        said = what.get("query") or what.get("image")
        raise NotRecordedError(
            f"search.mode is strict, and nothing is recorded of {what['tool']} {said!r}; "
            "run again with --set search.mode=replay to have it asked"
        )
    return entry


def _key(search: Search, what: Mapping[str, Json]) -> str:
    recording = {"recording": search.recording} if search.recording else {}
    return digest({**what, **recording, "results": ASKED_FOR, "version": VERSION})


def _made(hits: Json, answer: Answer[Hit], what: Mapping[str, Json]) -> Made:
    return Made(canonical_json(hits), canonical_json({**answer.facts, **what}), answer.seconds)


def _shown(search: Search, question: Question, hits: tuple[Hit, ...], seconds: float) -> Found[Hit]:
    decided = [Dropped(rank, hit, search.decide(question, hit)) for rank, hit in enumerate(hits)]
    kept = [one.hit for one in decided if one.decision.outcome == "keep"]
    dropped = [one for one in decided if one.decision.outcome != "keep"]
    return Found(tuple(kept[:RESULTS]), tuple(dropped), seconds)


def _compared(content: bytes, hits: tuple[ImageHit, ...], blobs: BlobStore) -> tuple[ImageHit, ...]:
    """Return the hits with how far their thumbnails are from the picture `content`."""
    ours = perceptual_hashes(decode(content))

    def compared(hit: ImageHit) -> ImageHit:
        if hit.thumbnail is None:
            return hit
        try:
            other = perceptual_hashes(decode(blobs.get(hit.thumbnail.sha256)))
        except RowError:
            return hit
        bits = {
            "phash_bits": (ours.phash ^ other.phash).bit_count(),
            "dhash_bits": (ours.dhash ^ other.dhash).bit_count(),
        }
        return hit.model_copy(update=bits)

    return tuple(map(compared, hits))


def _today() -> date:
    return datetime.now(UTC).date()
