"""Check the kit and the README of an export against what its manifest says that they are made of."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from pipeline.export.kits import KIT, kit_files
from pipeline.export.layout import CARD, MANIFEST, Manifest, by_split, facts_digest
from pipeline.export.verify.file_checks import Fault, plain_file


def check_kit(directory: Path, manifest: Manifest) -> Iterator[Fault]:
    """Yield files of a kit that are missing, too many, or others than are made of the manifest, and another's README.

    Equal exports have equal kits. Programs differ between versions of coldforge, so that what another one wrote is held
    to its hashes alone.
    """
    summary = manifest.summary
    told = (summary.rows, sum(summary.splits.values()), dict(summary.files))
    if told != (manifest.rows, manifest.rows, by_split(file.path for file in manifest.data)):
        yield Fault(MANIFEST, None, "summary: its rows, splits or files are not those of the export")
    if summary.version != version("coldforge"):
        return
    card = _read(directory, CARD)
    if card is not None and facts_digest(manifest.facts).encode() not in card:
        said = "sources and their terms, benchmarks, prompts, student, what was left out"
        yield Fault(MANIFEST, None, f"says otherwise than {CARD}, which was made of it ({said})")
    try:
        made = kit_files(manifest.facts, summary)
    except (LookupError, ValueError) as error:
        yield Fault(MANIFEST, None, f"no kit can be made of it: {error!r}")
        return
    listed = {file.path for file in manifest.files if file.path.startswith(f"{KIT}/")}
    for name in sorted(made.keys() | listed):
        if name not in made:
            yield Fault(name, None, "is no file of the kit of this export")
        elif name not in listed:
            yield Fault(name, None, "is missing: the kit of this export has it")
        elif _read(directory, name) not in {made[name], None}:
            yield Fault(name, None, "is not what the kit of this export has there, made of its manifest")


def _read(directory: Path, name: str) -> bytes | None:
    """Return a file, None where it is none; `check_files` says so."""
    try:
        return plain_file(directory, name).read_bytes()
    except (OSError, ValueError):
        return None
