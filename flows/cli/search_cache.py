"""`coldforge search-cache`: recorded searches of RL questions, as DeepEyesV2's environment and the kits load them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, NoReturn

import typer

from flows.cli.console import print_line, require_ledger, require_store
from flows.cli.run import StoreDir
from flows.cli.status import RunDir
from pipeline.commands import command

if TYPE_CHECKING:
    from flows.recipe.searching import SearchUse
    from pipeline.records import Question
    from pipeline.store import Store
    from pipeline.tools.search.asked import Search


def search_cache(
    run: RunDir,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where to write; made if it is not there.")],
    store: StoreDir = None,
) -> None:
    """Write recorded searches of RUN's RL questions for DeepEyesV2's environment and trainer kits. Nobody is asked.

    A question whose picture nobody searched for has none. What was found on the web is not ours to pass on.
    """
    from flows.recipe.file import load_recipe
    from pipeline.errors import UsageError
    from pipeline.identity import canonical_json
    from pipeline.store import CALLS, Store
    from pipeline.store.blobs import write_atomic
    from pipeline.tools.search.record import IMAGES, TEXTS

    require_ledger(run)
    recipe = load_recipe(run / "recipe.yaml")
    provider = _image_provider(run)
    if recipe.search is None or not provider:
        raise UsageError(f"{run}: its recipe has no search, so that nothing is recorded")
    chosen = _rl_questions(run)
    questions = [question for question in chosen if question.images]
    with Store(require_store(run, store, CALLS)) as opened:
        cache = asyncio.run(_cache(opened, _recorded(recipe.search, provider), questions, out))
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(cache, ensure_ascii=False, indent=1, sort_keys=True)
    write_atomic(out / IMAGES, f"{text}\n".encode())
    print_line(
        f"{out / IMAGES}: {len(cache):,} of {len(questions):,} RL questions with pictures have a recorded image search"
    )
    texts = _texts(run, frozenset(question.id for question in chosen))
    write_atomic(out / TEXTS, "".join(f"{canonical_json(text)}\n" for text in texts).encode())
    print_line(f"{out / TEXTS}: {len(texts):,} text searches of {len(chosen):,} RL questions")


class _Unasked(NamedTuple):
    """Who was asked, and is not any more."""

    revision: str
    needs_url: bool = False

    async def text(self, query: str, results: int) -> NoReturn:
        raise AssertionError(query, results)

    async def image(self, picture: object, results: int) -> NoReturn:
        raise AssertionError(picture, results)


def _recorded(use: SearchUse, provider: str) -> Search:
    from flows.asking.leaks import HitRules
    from flows.recipe.searching import leak_rules
    from pipeline.tools.search.asked import Search

    rules = HitRules(leak_rules(use.leaks), use.as_of)
    unasked = _Unasked(provider)
    return Search(unasked, unasked, "strict", use.recording, rules.decide)


def _image_provider(run: Path) -> str:
    """Return the revision of whom the run asked for pictures, as its journal has it."""
    from flows.ledger.journal import require_journal

    return str(require_journal(run)["environment"].get("image_search", ""))


def _texts(run: Path, questions: Collection[str]) -> list[dict[str, str]]:
    """Return each text search of these questions' rollouts with what was shown, by question and query."""
    from flows.report.lookup import finished_stages
    from pipeline.identity import parse_json
    from pipeline.records import Trajectory
    from pipeline.tools.search.record import wanted

    shown = {
        (trajectory.question_id, wanted(parse_json(turn.arguments)["query"])): turn.observation
        for trajectory in finished_stages(run)["gate2"].records("trajectories", Trajectory)
        if trajectory.question_id in questions
        for turn in trajectory.turns
        if turn.action == "search" and turn.status == "ok" and turn.observation is not None
    }
    return [
        {"question_id": question, "query": query, "observation": shown[question, query]}
        for question, query in sorted(shown)
    ]


def _rl_questions(run: Path) -> list[Question]:
    """Return the questions of the run's RL exports: what was taken down or not selected is in no cache.

    Raises:
        UsageError: there is no such export.
    """
    from flows.report.lookup import finished_stages
    from pipeline.errors import UsageError
    from pipeline.export.layout import ROWS
    from pipeline.identity import parse_json
    from pipeline.records import Question

    indexes = sorted((run / "export").glob(f"rl/*/{ROWS}"))
    if not indexes:
        raise UsageError(
            f"{run} holds no RL export, which the searches would be for; `{command('stats', run)}` tells why"
        )
    lines = (line for index in indexes for line in index.read_text("utf-8").splitlines())
    chosen = {parse_json(line)["question_id"] for line in lines}
    return [one for one in finished_stages(run)["screen"].records("questions", Question) if one.id in chosen]


async def _cache(store: Store, search: Search, questions: Iterable[Question], out: Path) -> dict[str, Any]:
    from pipeline.export.shipped import export_image
    from pipeline.store.blobs import write_atomic
    from pipeline.tools.search.asked import recorded_images
    from pipeline.tools.search.record import PICTURES

    cache: dict[str, Any] = {}
    (out / PICTURES).mkdir(parents=True, exist_ok=True)
    for question in questions:
        found = await recorded_images(store.calls, search, question)
        if found is None:
            continue
        shown = [(hit.title, hit.thumbnail) for hit in found.hits if hit.thumbnail is not None]
        pictures = [export_image(image, store.blobs) for _, image in shown]
        for picture in pictures:
            write_atomic(out / PICTURES / picture.name, picture.content)
        cache[question.id] = {
            "tool_returned_web_title": [title for title, _ in shown],
            "cached_images_path": [f"{PICTURES}/{picture.name}" for picture in pictures],
        }
    return cache
