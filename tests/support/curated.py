"""Whole curation runs in this process, over a small corpus in which every question has a fate of its own.

Stages, store, grader and exports are those of any run. Models are scripted, cells of code give back what is scripted,
and cpu units work in the thread that asks for them: no process starts, and a run takes a second or so.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest
import yaml
from PIL import Image as Picture

from filters.dedup.contamination import Benchmark, benchmark_entry
from filters.dedup.key import KEY_RECIPE
from flows.recipe.inputs import make_job
from flows.recipe.roles import Role
from flows.run.curate import Run, open_run, run_groups
from flows.run.progress import Progress, SilentProgress
from flows.stages.order import GROUPS
from pipeline.dialects import by_name
from pipeline.engine.done import Finished
from pipeline.engine.executor import Executor
from pipeline.identity import canonical_json
from pipeline.images import HASH_RECIPE, decode, perceptual_hashes
from pipeline.manifests import manifests_dir
from pipeline.models.chat import ChatRequest, Image, Text
from pipeline.records import Action
from pipeline.sandbox import CellResult
from pipeline.sandbox.result import CellImage
from pipeline.sandbox.usage import Usage
from tests.support.fakes import ScriptedModel
from tests.support.staged import in_order

T = TypeVar("T")

PIXELS, DEPLOY_PIXELS, SWEEP_PIXELS = 12_544, 50_176, 25_088
"""Budgets of the student, all below the size of the pictures."""
TREASURES = ("lantern", "compass", "teapot", "violin", "saddle", "ladder", "anchor", "mirror", "basket", "candle")
CATEGORIES = ("perception", "reasoning", "search")
FATES: Mapping[str, int] = {
    "easy": 6,  # solved without tools; some are kept for the lanes no_call and plain_cot
    "blind": 1,  # answered without its picture
    "strong": 1,  # solved by the stronger model
    "ambiguous": 1,  # no sound question, says the judge
    "helped": 2,  # solved with tools at times
    "saturated": 1,  # solved with tools always
    "taught": 5,  # solved by teachers alone; odd ones also by whoever sees more pixels
    "vague": 1,  # no rule decides on what models say
    "swapped": 1,  # the stored answer is another one
}
"""How many questions fare alike."""
STEPS = " ".join(f"The first {n} odd numbers add up to {n * n}, since {2 * n - 1} is added." for n in range(2, 12))
PROTECTED = "How many apples does the farmer have left in the barn after he sold half of them on Monday"
_ASKED = re.compile(r"in cellar (\d+) of the (\w+) house")


def served(model: str, **changes: Any) -> dict[str, Any]:
    """A role of a recipe."""
    return {
        "backend": "openai",
        "model": f"{model}@1",
        "served_name": model,
        "base_url": "http://127.0.0.1:1",
        **changes,
    }


RECIPE: dict[str, Any] = {
    "name": "cellars",
    "sources": [{"source": "cellars.yaml"}, {"source": "texts.yaml"}],
    "benchmarks": ["protected.yaml"],
    "search": {"corpus": "library.yaml"},
    "student": {"family": "qwen2_5_vl", "revision": "r1", "max_pixels": PIXELS, "deploy_pixels": DEPLOY_PIXELS},
    "models": {
        "base": served("lynx-7b"),
        "teachers": [served("otter-large"), served("heron-large")],
        "stronger": served("lynx-70b"),
        "judge": served("wren"),
    },
    "gate": {
        "k": 2,
        "max_plain_right": 1,
        "max_blind_right": 1,
        "blind": True,
        "sweep": [SWEEP_PIXELS],
        "judge_questions": True,
    },
    "lanes": {"no_call": 0.4, "plain_cot": 0.4},
    "select": {"saturated": "keep"},
    "export": {"rl": ["huggingface"]},
    "runtime": {"workers": 1},
}
"""Everything is on."""


def write_corpus(place: Path, *, texts: int = 3) -> Path:
    """Write the sources, benchmarks, prompts and the tokenizer that recipes here name; a recipe is a file beside them.

    28 rows are questions, the others texts with their solution.
    """
    pictures = place / "cellars"
    pictures.mkdir(parents=True)
    rows = [_row(pictures, fate, number) for fate, size in FATES.items() for number in range(size)]
    first, second = (row for row in rows if row["row"] in {"taught-0", "taught-1"})
    with Picture.open(pictures / second["images"][0]) as picture:
        picture.resize((238, 178)).save(pictures / "near.png")
    rows += [
        {**first, "row": "twin"},
        {**second, "row": "near", "images": ["near.png"]},
        {**_row(pictures, "taught", 7), "images": []},
        {**_row(pictures, "easy", 8), "choices": list(TREASURES[:4]), "answers": ["A"], "answer_type": "choice"},
        {
            **_row(pictures, "easy", 9),
            "answers": ["one of a great many words that no two people who were asked would say"],
        },
        _row(pictures, "easy", 10),
        {**_row(pictures, "easy", 13), "text": f"{PROTECTED}?"},
        {**_row(pictures, "easy", 11), "images": ["missing.png"]},
    ]
    _picture(200).resize((20, 150)).save(pictures / "thin.png")
    rows.append({**_row(pictures, "easy", 12), "images": ["thin.png"]})
    _write_source(place, "cellars", rows)
    # The same questions under another name, and two corpora that are only searched.
    shutil.copytree(pictures, place / "barrels")
    _write_source(place, "barrels", rows[1:], revision="2")
    for name in ("library", "archive"):
        _write_source(place, name, rows[:1])
        (place / name / "pages.jsonl").write_text("")
        (place / name / "gallery.jsonl").write_text("")
    _write_source(place, "texts", [_text(number) for number in range(texts)], lane="long_cot")
    _write_benchmark(place, "protected", pictures / "easy-10.png", PROTECTED)
    _write_benchmark(place, "hidden", pictures / "taught-3.png", "Which thing is it?")
    prompts = place / "manifests" / "prompts"
    shutil.copytree(manifests_dir() / "prompts", prompts)
    shutil.copytree(prompts / "tool_call", prompts / "other")
    (prompts / "other" / "system.md").write_text("You see cellars.\n")
    (place / "guidance.md").write_text("Look twice.\n")
    (place / "tombstones.yaml").write_text("- {source: cellars, row: taught-3}\n")
    _write_tokenizer(place / "tokenizer")
    return place


def write_recipe(place: Path, content: Mapping[str, Any], name: str = "recipe") -> Path:
    """Write a recipe beside its sources."""
    path = place / f"{name}.yaml"
    path.write_text(yaml.safe_dump(dict(content)))
    return path


def _row(pictures: Path, fate: str, number: int) -> dict[str, Any]:
    file = f"{fate}-{number}.png"
    _picture(100 * list(FATES).index(fate) + number).save(pictures / file)
    return {
        "row": f"{fate}-{number}",
        "category": CATEGORIES[number % 3],
        "text": f"Which thing is kept in cellar {number} of the {fate} house?",
        "images": [file],
        "answers": [_treasure(number + 5 if fate == "swapped" else number)],
        "answer_type": "text",
    }


def _text(number: int) -> dict[str, Any]:
    return {
        "row": f"text-{number}",
        "category": "reasoning",
        "text": f"What is the sum of the first ten odd numbers, and {number} times nothing?",
        "solution": f"{STEPS} Nothing is added {number} times.\n#### 100",
        "answers": ["100"],
        "answer_type": "number",
    }


def _write_source(place: Path, key: str, rows: Sequence[Mapping[str, Any]], **manifest: str) -> None:
    (place / key).mkdir(exist_ok=True)
    (place / key / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    content = {"key": key, "kind": "jsonl", "revision": "1", "path": key, "licence": "CC0-1.0", **manifest}
    (place / f"{key}.yaml").write_text(yaml.safe_dump(content))


def _write_benchmark(place: Path, key: str, picture: Path, text: str) -> None:
    shown = perceptual_hashes(decode(picture.read_bytes()))
    entries = (benchmark_entry(None, shown.phash, shown.dhash), benchmark_entry(text, None, None))
    benchmark = Benchmark(key=key, hash_recipe=HASH_RECIPE, text_key=KEY_RECIPE, entries=entries)
    (place / f"{key}.yaml").write_text(yaml.safe_dump(benchmark.model_dump(mode="json")))


def _write_tokenizer(directory: Path) -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    directory.mkdir()
    Tokenizer(WordLevel({"a": 0, "?": 1}, "?")).save(str(directory / "tokenizer.json"))


def _picture(seed: int) -> Picture.Image:
    """A picture that is like no other: a few blocks of grey, drawn by its number."""
    blocks = Picture.new("L", (8, 6))
    blocks.putdata([(seed * 7919 + place * place * 104_729 + seed * place * 31) % 251 for place in range(48)])
    return blocks.resize((240, 180), Picture.Resampling.NEAREST).convert("RGB")


def _treasure(number: int) -> str:
    return TREASURES[number % len(TREASURES)]


class _Situation(NamedTuple):
    """What a model is asked, as far as its script looks."""

    fate: str
    number: int
    tools: bool
    called: bool
    """It has seen what came of a call."""
    pixels: int
    """Of the largest picture that it sees."""

    @classmethod
    def of(cls, request: ChatRequest) -> _Situation:
        told, *said = [_texts(message.parts) for message in request.messages]
        found = _ASKED.search(said[0])
        fate, number = (found[2], int(found[1])) if found else ("taught", 0)
        views = [part.view for message in request.messages for part in message.parts if isinstance(part, Image)]
        pixels = max((view.width * view.height for view in views), default=0)
        return cls(fate, number, bool(request.tools) or "# Tools" in told, len(said) > 1, pixels)


def _texts(parts: Sequence[Text | Image]) -> str:
    return "".join(part.text for part in parts if isinstance(part, Text))


Say = Callable[[_Situation, int], str]
"""What a model answers, by the situation and the number of the sample."""


def _base(at: _Situation, sample: int) -> str:
    true, sharp = _treasure(at.number), at.pixels > PIXELS
    knows = {
        "easy": at.pixels > 0,
        "blind": True,
        "helped": at.tools and sample % 2 == 0,
        "saturated": at.tools,
        "taught": not at.tools and sharp and at.number % 2 == 1,
        "swapped": at.tools and sample % 2 == 0,
    }
    if at.fate == "vague":
        return f"big {true}"
    return true if knows.get(at.fate, False) else f"rusty {_treasure(at.number + 1 + sample % 3)}"


def _stronger(at: _Situation, sample: int) -> str:
    return _treasure(at.number) if at.fate == "strong" else f"rusty {_treasure(at.number + 1 + sample % 3)}"


def _teacher(at: _Situation, sample: int) -> str:
    if at.fate == "vague":
        return f"fine {_treasure(at.number)}"
    # Every third question takes several attempts, or another teacher.
    wrong = at.fate == "taught" and at.number % 3 == 2 and sample < 3
    return f"rusty {_treasure(at.number + 1 + sample)}" if wrong else _treasure(at.number)


def _vote(request: ChatRequest) -> str:
    said = _texts(request.messages[-1].parts)
    if '"sound"' in request.answer_schema:
        verdict = "ambiguous" if "ambiguous house" in said else "sound"
    else:
        verdict = "right" if "fine " in said else "wrong"
    return json.dumps({"reason": "so it is", "verdict": verdict})


class Scripted(ScriptedModel):
    """A model of a recipe, scripted."""

    process: object | None = None

    def __init__(self, role: Role, say: Say, dialect: str) -> None:
        def script(request: ChatRequest, sample: int) -> str:
            if request.answer_schema:
                return _vote(request)
            at = _Situation.of(request)
            # A teacher that is told not to call does so at its second try.
            needless = say is _teacher and at.fate == "easy" and sample > 0
            if at.tools and not at.called and not needless:
                pictures = f"image_1.crop((0, 0, {20 + at.number}, 30)).size" if at.pixels else f"{at.number} * 3"
                return written("python", {"code": f"print({pictures})"})
            return written("answer", {"answer": say(at, sample)})

        def written(action: Action, arguments: Mapping[str, str]) -> str:
            return by_name(dialect).render_turn("I look at the cellar.", action, canonical_json(arguments))

        super().__init__(script, revision=f"scripted/{getattr(role, 'model', role.backend)}")

    async def check(self) -> None:
        """It is there."""

    async def aclose(self) -> None:
        """There is nothing to close."""


class Cells:
    """A sandbox in which each cell prints its code's length and shows a corner of the first picture.

    A replay's corner differs by rounding where the question's number is odd.
    """

    identity, workers, capacity, open = "scripted cells", 2, 16, 0

    def __init__(self, *, replays: bool) -> None:
        self._replays = replays

    def facts(self) -> dict[str, Any]:
        return {}

    def close(self) -> None:
        """There is nothing to close."""

    @contextmanager
    def session(self, images: Sequence[bytes] = (), seed: int = 0) -> Iterator[_Notebook]:
        yield _Notebook(images, seed, replays=self._replays)


class _Notebook:
    def __init__(self, images: Sequence[bytes], seed: int, *, replays: bool) -> None:
        self._images, self._seed, self._replays = images, seed, replays

    def run(self, code: str, seconds: float | None = None) -> CellResult:
        del seconds
        drift = int(self._replays and len(code) > 0 and sum(map(ord, code)) % 2 == 1)
        return CellResult(
            status="ok",
            stdout=f"{len(code)} under {self._seed}\n",
            stderr="",
            value=None,
            images=tuple(_corner(image, drift) for image in self._images[:1]),
            error=None,
            notes=(),
            ended=False,
            usage=Usage(0.0, 0.0, 0),
        )


def _corner(image: bytes, drift: int) -> CellImage:
    corner = Picture.open(BytesIO(image)).convert("RGB").crop((0, 0, 120, 90))
    shifted = corner.point([min(255, value + drift) for value in range(256)] * 3)
    return CellImage("RGB", 120, 90, shifted.tobytes())


class Here(Executor):
    """An executor whose cpu units work in the thread that asks."""

    def cpu(self, task: Callable[..., T], *arguments: Any) -> T:
        return task(*arguments)


@contextmanager
def scripted(place: Path, dialect: str) -> Iterator[None]:
    """Let runs of this process ask scripted models that write a dialect, and read the prompts of `place`."""
    says: Mapping[str, Say] = {"lynx-7b": _base, "lynx-70b": _stronger}
    cells = iter([False, True] * 1_000)

    def open_model(role: Role, *_: object) -> Scripted:
        name = str(getattr(role, "model", "")).partition("@")[0]
        return Scripted(role, says.get(name, _teacher), dialect)

    def open_sandbox(*_: object) -> Cells:
        return Cells(replays=next(cells))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flows.run.curate.Executor", Here)
        patch.setattr("flows.run.opening.open_model", open_model)
        patch.setattr("flows.run.opening.open_sandbox", open_sandbox)
        patch.setattr("pipeline.prompts.sets.manifests_dir", lambda: place / "manifests")
        # Half of such a run's time, and nothing that a stage sees: what it cost, its ledger, and waiting for the disk.
        patch.setattr("flows.run.curate.tree_cpu_seconds", lambda: 0.0)
        patch.setattr("flows.run.journal.build_ledger", lambda *_: None)
        patch.setattr("os.fsync", lambda _: None)
        yield


def curated(
    place: Path,
    content: Mapping[str, Any],
    out: str,
    *,
    groups: Sequence[str] = tuple(GROUPS),
    limit: int | None = None,
    progress: Progress | None = None,
) -> Mapping[str, Finished]:
    """Run groups of stages of a recipe in `place`/`out`; runs of one place share its store."""
    with opened(place, content, out, limit=limit, progress=progress) as run:
        run_groups(run, groups)
        return dict(run.finished)


@contextmanager
def opened(
    place: Path,
    content: Mapping[str, Any],
    out: str,
    *,
    limit: int | None = None,
    progress: Progress | None = None,
) -> Iterator[Run]:
    """Open a run of a recipe in `place`/`out`."""
    recipe = write_recipe(place, content, f"{out}-recipe")
    job = make_job(recipe, out=place / out, store=place / "store", limit=limit)
    with scripted(place, job.recipe.dialect), open_run(job, progress or SilentProgress(), in_order) as run:
        yield run
