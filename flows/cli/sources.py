"""`coldforge sources`: from data as it lies there to a source of a recipe, without a line of Python."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from string import ascii_uppercase
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.console import JsonFlag, console, print_json, print_line, print_table
from pipeline.commands import command

if TYPE_CHECKING:
    from flows.plan.source_check import Fetching, Looked
    from pipeline.sources import Source
    from pipeline.students.family import Student

app = typer.Typer(help="Sources of questions: write a manifest for data, and look through it.", no_args_is_help=True)

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A file with rows, the folder that holds such files, or owner/name of a data set of the Hub.",
    ),
]
Config = Annotated[str | None, typer.Option(help="Of a data set of the Hub: its configuration; default: the only one.")]
Split = Annotated[str, typer.Option(help="Of a data set of the Hub.")]
Manifest = Annotated[str, typer.Argument(metavar="MANIFEST", help="File of a manifest, or the name of one that ships.")]
Out = Annotated[Path | None, typer.Option(metavar="FILE", help="Where to write it; default: <key>.yaml.")]
Key = Annotated[str | None, typer.Option(help="Name of the source; default: that of the data.")]
RecipeOption = Annotated[
    Path | None,
    typer.Option(
        "--recipe",
        metavar="RECIPE",
        help="Whose student the pictures are for, and how they are fetched.",
    ),
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data", metavar="PATH", help="Where its data lie, if not where the manifest says: a file or folder."
    ),
]
Write = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Where to write the manifest with its revision and --data; default, if it lacks them: <key>.yaml.",
    ),
]
StoreDir = Annotated[
    Path | None,
    typer.Option(
        "--store",
        metavar="DIR",
        help="Where pictures that stand in tables are put, and hashes of files: the store of a later run.",
        show_default="nothing is left behind",
    ),
]
FETCHED = Path("runs") / ".store"
"""Where pictures that were fetched stay by default: where a run in `runs/` finds them."""
FetchFlag = Annotated[
    bool,
    typer.Option("--fetch", help=f"Fetch pictures that rows name by URL, into the store (then {FETCHED} by default)."),
]
AgainFlag = Annotated[bool, typer.Option("--again", help="As --fetch; ask anew for those that did not come before.")]
Count = Annotated[int, typer.Argument(metavar="N", help="How many.", min=1)]


@app.callback()
def sources() -> None:
    """Sources of questions: write a manifest for data, and look through it."""


@app.command(epilog="Example: coldforge sources init photos.parquet")
def init(data: Data, out: Out = None, key: Key = None, config: Config = None, split: Split = "train") -> None:
    """Look at DATA and write a manifest for it: which column is which field, with a comment on each."""
    from pipeline.errors import UsageError
    from pipeline.sources.guessing.guess import hub_manifest, key_for, manifest_for
    from pipeline.sources.manifest import UNKNOWN
    from pipeline.sources.revisions import hub_commit
    from pipeline.sources.source import HubData
    from pipeline.store.blobs import write_atomic

    place = Path(data)
    name = key or key_for(place)
    path = out if out is not None else Path(f"{name}.yaml")
    if path.exists():
        raise UsageError(f"{path} is there already; name another file with --out, or remove it")
    if not path.parent.is_dir():
        raise UsageError(f"{path.parent} is no directory; make it, or name another file with --out")
    if not place.exists() and re.fullmatch(r"[\w.-]+/[\w.-]+", data) and not place.suffix:
        text = hub_manifest(HubData(data, hub_commit(data), config, split), path, name)
    else:
        text = manifest_for(place, path, name)
    write_atomic(path, text.encode())
    print_line(f"{path}: written; read its comments, and state the licence")
    if f": {UNKNOWN} " in text:
        print_line(f"no column looks like some field: put a column's name in place of {UNKNOWN}")
    print_line(f"next: {command('sources', 'check', path)}")


@app.command(epilog="Example: coldforge sources check mine.yaml")
def check(
    manifest: Manifest,
    data: DataOption = None,
    write: Write = None,
    recipe: RecipeOption = None,
    store: StoreDir = None,
    *,
    fetch: FetchFlag = False,
    again: AgainFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Read every row and decode every picture of a source; print what would be lost before any model, and why.

    What a manifest leaves open, its revision and where its data are, is written into a copy of it first.
    """
    from flows.plan.source_check import look_through
    from pipeline.errors import CheckError
    from pipeline.sources import open_source

    written = _filled(manifest, data, write)
    fetching = _fetching(str(written or manifest), recipe, again=again) if fetch or again else None
    with _store(store, kept=fetching is not None) as place:
        source = open_source(str(written or manifest), place)
        looked = look_through(source, _student(recipe), place, fetching)
    if fetching is not None and store is None:
        console(stderr=True).print(f"what was fetched stays in {FETCHED}, the store of runs in {FETCHED.parent}")
    if as_json:
        print_json(_as_json(source, looked))
    else:
        _print(source, looked)
    if written is not None and not as_json:
        print_line(f"{written}: written, with the revision of this data; in a recipe: sources: [{{source: {written}}}]")
    if not looked.kept:
        raise CheckError(f"source {source.key}: no row can be used")


@contextmanager
def _store(stated: Path | None, *, kept: bool = False) -> Iterator[Path]:
    """Yield the store to look with: the stated one, that of runs where something is to be kept, else a passing one."""
    if stated is not None or kept:
        yield stated or FETCHED
        return
    with TemporaryDirectory(prefix="coldforge-") as passing:
        yield Path(passing)


def _filled(name: str, data: Path | None, write: Path | None) -> Path | None:
    """Write a manifest with what it leaves open, and return its file; None where it leaves nothing open."""
    from pipeline.errors import UsageError
    from pipeline.sources.guessing.filling import filled
    from pipeline.sources.manifest import load_manifest
    from pipeline.store.blobs import write_atomic

    manifest, file = load_manifest(name)
    if not manifest.unknown and data is None and write is None:
        return None
    target = write if write is not None else Path(f"{manifest.key}.yaml")
    if target.exists() and not target.samefile(file):
        raise UsageError(f"{target} is there already; check that one, name another file with --write, or remove it")
    text = filled(manifest, file, target, data)
    write_atomic(target, text.encode())
    return target


@app.command(epilog="Example: coldforge sources sample mine.yaml")
def sample(manifest: Manifest, count: Count = 5, store: StoreDir = None) -> None:
    """Show some questions of a source as they would be asked, chosen by their hash."""
    with _store(store) as place:
        _show(manifest, count, place)


def _show(manifest: str, count: int, store: Path) -> None:
    from heapq import nsmallest

    from filters.screen.listed_options import with_choices
    from filters.screen.open_ended import to_open_ended
    from pipeline.errors import RowError
    from pipeline.sources import open_source, read_source
    from pipeline.sources.questions import to_question
    from pipeline.store.blobs import BlobStore

    source = open_source(manifest, store)
    for row in nsmallest(count, read_source(source), key=lambda row: row.id):
        try:
            question = with_choices(to_question(row, source.directory, BlobStore(store / "blobs"), source.others))
            asked, decision = to_open_ended(question)
            question = question if asked is None else asked
        except RowError as error:
            print_line(f"{row.source_row}: refused, {error}\n")
            continue
        pictures = ", ".join(f"{image.width} x {image.height}" for image in question.images) or "none"
        stopped = "" if asked is not None else f"; not asked: {decision.reason}"
        print_line(f"{row.source_row}: {question.category}, {question.answer_type}; pictures: {pictures}{stopped}")
        print_line(f"  {_short(question.text)}")
        for letter, option in zip(ascii_uppercase, question.choices, strict=False):
            print_line(f"    {letter}. {_short(option)}")
        print_line(f"  = {_short(' | '.join(question.answers))}\n")


_LONGEST = 2_000
"""Characters of a text in a sample: a screenful."""


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text):,} characters)"


@app.command("list", epilog="Example: coldforge sources list")
def list_() -> None:
    """List the manifests of sources that ship."""
    from flows.report.tables import Table
    from pipeline.manifests import manifests_dir
    from pipeline.sources.manifest import load_manifest

    found = [load_manifest(path.stem)[0] for path in sorted((manifests_dir() / "sources").glob("*.yaml"))]
    rows = tuple(
        (said.key, said.kind, ", ".join(said.unknown) or "nothing", said.schema_, said.licence, said.source_url)
        for said in found
    )
    columns = ("source", "kind", "left open", "schema", "licence", "url")
    print_table(Table("sources", "sources that ship", columns, rows))


def _student(recipe: Path | None) -> Student:
    from flows.recipe.file import load_recipe
    from pipeline.manifests import manifests_dir

    return load_recipe(recipe or manifests_dir() / "recipes" / "demo.yaml").student


def _fetching(manifest: str, recipe: Path | None, *, again: bool) -> Fetching:
    """Return how the recipe fetches the pictures of this source, or how they are by default."""
    from flows.plan.source_check import Fetching
    from flows.recipe.file import load_recipe
    from pipeline.fetch.recorded import Fetch
    from pipeline.sources.manifest import load_manifest

    uses = () if recipe is None else load_recipe(recipe).sources
    key = load_manifest(manifest)[0].key
    base = None if recipe is None else recipe.parent
    own = (use.fetch for use in uses if use.fetch is not None and load_manifest(use.source, base)[0].key == key)
    return Fetching(next(own, Fetch()), again, partial(console(stderr=True).print, markup=False))


_RARE = 20
"""One question without a picture among so many that have one has probably lost it."""


def _print(source: Source, looked: Looked) -> None:
    from flows.plan.source_check import SHRUNK
    from flows.report.tables import Table

    print_line(f"source {source.key}, revision {source.revision}: {looked.rows:,} rows, {looked.kept:,} can be asked")
    shared = f", {looked.shared:,} of them by more than one question" if looked.shared else ""
    print_line(f"{looked.pictures:,} pictures{shared}; {source.terms}\n")
    if looked.unmapped:
        print_line(f"not shown: pictures in {', '.join(looked.unmapped)}, which `columns.images` does not name\n")
    if source.columns is not None and source.columns.images is not None and 0 < looked.bare <= looked.kept // _RARE:
        print_line(
            f"{looked.bare:,} questions have no picture, and all others have: if they lost it, write `pictures: each` "
            "into the manifest, and they are `image_absent`\n"
        )
    losses = tuple(
        (*((loss.stage, loss.reason, loss.rows) if not number else ("", "", "")), *detail)
        for loss in looked.losses
        for number, detail in enumerate(loss.different)
    )
    if losses:
        named = ("stage", "reason", "rows", "such as", "its key", "what it says")
        print_table(Table("losses", "lost before any model is asked", named, losses))
    kinds = tuple((category, kind, n) for (category, kind), n in sorted(looked.kinds.items()))
    print_table(
        Table("kinds", "questions by category and type of answer", ("category", "answer type", "questions"), kinds)
    )
    print_table(Table("licences", "licences", ("licence", "questions"), tuple(sorted(looked.licences.items()))))
    sizes = tuple((said, looked.sizes[said]) for _, said in SHRUNK if said in looked.sizes)
    if sizes:
        title = "pictures by how many pixels are one of what the student sees"
        print_table(Table("sizes", title, ("pixels", "pictures"), sizes))


def _as_json(source: Source, looked: Looked) -> dict[str, object]:
    kinds = [{"category": c, "answer_type": t, "questions": n} for (c, t), n in sorted(looked.kinds.items())]
    return looked._asdict() | {
        "source": source.key,
        "revision": source.revision,
        "kept": looked.kept,
        "shrunk": looked.shrunk,
        "kinds": kinds,
        "losses": [
            loss._asdict() | loss.details[0]._asdict() | {"details": [one._asdict() for one in loss.details]}
            for loss in looked.losses
        ],
    }
