"""Manifests of benchmarks: made from their questions and pictures, written, and read again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import yaml
from pydantic import ValidationError

from filters.dedup.contamination import Benchmark, BenchmarkEntry, benchmark_entry
from filters.dedup.key import KEY_RECIPE
from pipeline.commands import command
from pipeline.errors import RowError, UsageError
from pipeline.images import HASH_RECIPE, decode, perceptual_hashes
from pipeline.manifests import explain, manifests_dir, parse_yaml
from pipeline.sources.benchmark_files import BenchmarkRow
from pipeline.sources.guard import GUARD_LIST, guard_list, unguarded
from pipeline.store.blobs import write_atomic

_HEAD = "# Hashes of the questions and pictures of a benchmark, by `coldforge benchmarks build`: no text, no picture.\n"
# The loader in C takes a tenth of the time; it is there wherever PyYAML was built with libyaml.
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def build_benchmark(key: str, rows: Iterable[BenchmarkRow]) -> Benchmark:
    """Return the manifest of questions and pictures; equal entries stand once, in the order of the rows.

    Raises:
        UsageError: a picture does not decode; the message names its row.
    """
    entries: dict[BenchmarkEntry, None] = {}
    for row in rows:
        hashed = [_hashes(content, row.where) for content in row.images]
        made = [benchmark_entry(row.text, *pair) for pair in hashed] or [benchmark_entry(row.text, None, None)]
        entries |= dict.fromkeys(made)
    return Benchmark(key=key, hash_recipe=HASH_RECIPE, text_key=KEY_RECIPE, entries=tuple(entries))


def write_benchmark(path: Path, benchmark: Benchmark) -> None:
    """Write a manifest."""
    content = benchmark.model_dump(mode="json", exclude_none=True)
    text = yaml.dump(content, Dumper=_DUMPER, sort_keys=False, allow_unicode=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, (_HEAD + text).encode())


def load_benchmark(name: str, recipe_path: Path) -> Benchmark:
    """Read a benchmark manifest by its name in `manifests/benchmarks` or by a path from the recipe.

    Raises:
        UsageError: it is missing or malformed, or its images or texts are not hashed as those of a run are.
    """
    path = _file(name, recipe_path)
    try:
        benchmark = Benchmark.model_validate(parse_yaml(path.read_text("utf-8")))
    except OSError as error:
        raise UsageError(f"benchmarks: {name}: no such file; {_how_to_have(name)}") from error
    except ValidationError as error:
        raise UsageError(f"benchmark {path}:\n{explain(error)}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"benchmark {path} is not YAML: {error}") from error
    for field, said, ours in (
        ("text_key", benchmark.text_key, KEY_RECIPE),
        ("hash_recipe", benchmark.hash_recipe, HASH_RECIPE),
    ):
        if said != ours:
            raise UsageError(
                f"benchmark {path}: {field} is {said!r}, but a run compares by {ours}; "
                "make the manifest again with `coldforge benchmarks build`"
            )
    return benchmark


def _file(name: str, recipe_path: Path) -> Path:
    named = manifests_dir() / "benchmarks" / f"{name}.yaml"
    return named if named.exists() else recipe_path.parent / name


def _how_to_have(name: str) -> str:
    """Return what to do for the manifest of a benchmark that does not ship, as those of the guard list do not."""
    guarded = next((guarded for guarded in guard_list() if guarded.key == name), None)
    if guarded is None:
        known = {path.stem for path in (manifests_dir() / "benchmarks").glob("*.yaml")} - {GUARD_LIST}
        return f"give a path from the recipe, or one of: {', '.join(sorted(known))}"
    return f"hashes of {guarded.title} do not ship: `{command('benchmarks', 'list', name)}` tells how they are made"


def missing_benchmarks(names: Iterable[str], recipe_path: Path) -> tuple[str, ...]:
    """Return which sets of the guard list a recipe with these benchmarks does not keep out of its sources, by key.

    Of a manifest no more than its key is read; one that is none is told by whoever loads it.
    """
    return unguarded(filter(None, (_key(_file(name, recipe_path)) for name in names)))


def _key(path: Path) -> str | None:
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            return next((line.partition(":")[2].strip() for line in lines if line.startswith("key:")), None)
    except OSError:
        return None


def _hashes(content: bytes, where: str) -> tuple[int, int]:
    try:
        hashes = perceptual_hashes(decode(content))
    except RowError as error:
        raise UsageError(f"{where}: a picture cannot be read: {error}; mend or remove it") from error
    return hashes.phash, hashes.dhash
