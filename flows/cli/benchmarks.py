"""`coldforge benchmarks`: manifests of what must never be trained on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.console import print_line, print_table

app = typer.Typer(help="Manifests of benchmarks, against which questions are checked.", no_args_is_help=True)

Files = Annotated[
    list[Path], typer.Argument(metavar="FILE...", help="Questions (.jsonl, .json, .parquet, .csv, .tsv) and pictures.")
]
Key = Annotated[str | None, typer.Option(help="Name of the benchmark; default: that of the first file.")]
Out = Annotated[Path | None, typer.Option(metavar="FILE", help="Where to write it; default: <key>.yaml.")]
TextField = Annotated[
    str | None,
    typer.Option("--text", metavar="FIELD", help="Field of the question; default: question, text, query, ..."),
]
ImageField = Annotated[
    str | None,
    typer.Option("--images", metavar="FIELD", help="Field of the picture or pictures; default: images, image, ..."),
]
ImageRoot = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Where paths of pictures start; default: at the file that names them."),
]

SetKey = Annotated[str | None, typer.Argument(metavar="KEY", help="One set: how its manifest is made.")]


@app.callback()
def benchmarks() -> None:
    """Manifests of benchmarks, against which questions are checked."""


@app.command(epilog="Example: coldforge benchmarks build test.jsonl")
def build(  # noqa: PLR0917 - typer calls it by name
    files: Files,
    key: Key = None,
    out: Out = None,
    text: TextField = None,
    images: ImageField = None,
    image_root: ImageRoot = None,
) -> None:
    """Make a manifest of hashes from the questions and pictures of a benchmark; it holds neither."""
    from flows.recipe.benchmarks import build_benchmark, write_benchmark
    from pipeline.sources.benchmark_files import Fields, read_benchmark_file

    name = key if key is not None else re.sub(r"[^a-z0-9_-]+", "-", files[0].stem.lower()).strip("-") or "benchmark"
    fields = Fields(text, images, image_root)
    benchmark = build_benchmark(name, (row for file in files for row in read_benchmark_file(file, fields)))
    path = out if out is not None else Path(f"{name}.yaml")
    write_benchmark(path, benchmark)
    texts = len({entry.text for entry in benchmark.entries} - {None})
    pictures = len({(entry.phash, entry.dhash) for entry in benchmark.entries} - {(None, None)})
    print_line(f"{path}: {texts:,} questions, {pictures:,} pictures")
    print_line(f"in a recipe: benchmarks: [{path}]   (paths start at the recipe)")


@app.command("list", epilog="Example: coldforge benchmarks list")
def list_(key: SetKey = None) -> None:
    """List the guard list: evaluation sets that no recipe may train on, and how the hashes of each are made."""
    from flows.report.tables import Table
    from pipeline.errors import UsageError
    from pipeline.sources.guard import guard_list

    sets = guard_list()
    if key is None:
        rows = tuple((s.key, s.title, ", ".join(s.splits) or "all", s.build.hub if s.build else s.note) for s in sets)
        title = "evaluation sets that no recipe may train on"
        print_table(Table("guarded", title, ("key", "set", "splits", "from"), rows))
        return
    found = next((guarded for guarded in sets if guarded.key == key), None)
    if found is None:
        raise UsageError(f"{key} is not on the guard list: {', '.join(guarded.key for guarded in sets)}")
    print_line(f"{found.title}{': ' + found.note if found.note else ''}")
    for command in found.commands:
        print_line(f"  {command}")
    print_line(f"in a recipe: benchmarks: [{found.key}.yaml]   (paths start at the recipe)")
