"""The demo corpus: real data of PyPI packages, drawn as sheets with questions, and pages to search.

Deterministic byte for byte in (questions, seed, package versions). Nothing here is random but by seed,
and no answer comes from a model.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from pipeline.demo.corpus import (
    airport_tables,
    charts,
    dots,
    elements,
    maps,
    outlines,
    planted,
    regions,
    swapped,
)
from pipeline.demo.corpus.canvas import png, seeded
from pipeline.demo.corpus.packages import PACKAGES, package_version
from pipeline.demo.corpus.pages import pages, pictures
from pipeline.demo.corpus.sheets import DemoRow, Sheet
from pipeline.errors import UsageError
from pipeline.identity import Json, digest
from pipeline.store.blobs import naming

KEY = "demo"


class _Family(NamedTuple):
    weight: int
    """Questions of this family in a corpus of 100."""
    sheets: Callable[[int, int], Iterator[Sheet]]
    """(questions, seed) → sheets with that many questions, or fewer where the data end."""


FAMILIES = (
    _Family(18, airport_tables.sheets),
    _Family(15, charts.sheets),
    _Family(8, regions.sheets),
    _Family(8, dots.sheets),
    _Family(12, outlines.sheets),
    _Family(9, elements.sheets),
    # Last: there are cities enough for what the others lack.
    _Family(30, maps.sheets),
)


def generate_demo(sources: Path, *, questions: int, seed: int = 0, wrong_golds: float = 0.0) -> Path:
    """Return the directory of a corpus below `sources`; it is written if it is not there yet, as by `build_demo`.

    Raises:
        UsageError: as `build_demo`.
    """
    # Half of the digest names a directory well enough; it decides nothing else.
    directory = sources / f"demo-{_settings_digest(questions, seed, wrong_golds)[:32]}"
    build_demo(directory, questions, seed, wrong_golds)
    return directory


def _settings_digest(questions: int, seed: int, wrong_golds: float) -> str:
    """Return what decides the bytes of a corpus: settings, package versions and the generator's own code."""
    here = Path(__file__).parent
    code = [path.read_bytes() for path in (*sorted(here.glob("*.py")), *sorted(here.parent.glob("*.py")))]
    versions = {package: package_version(package) for package in PACKAGES}
    settings = {"questions": questions, "seed": seed, "wrong_golds": wrong_golds}
    return digest({"settings": settings, "packages": versions, "code": code})


def build_demo(directory: Path, questions: int, seed: int, wrong_golds: float = 0.0) -> None:
    """Write the corpus to `directory`, which appears complete or not at all; an existing one is kept.

    `wrong_golds` is the share of regular questions that are stored with the answer of another. Two processes may
    build the same corpus at once: one of the equal results wins.

    Raises:
        UsageError: a package of the extra `demo` is not installed, or there are not as many questions.
    """
    if (directory / "source.json").exists():
        return
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".tmp-demo-") as name:
        made = Path(name) / "corpus"
        made.mkdir()
        with naming(made):
            _write(made, _files(questions, seed, wrong_golds))
        try:
            made.rename(directory)
        except OSError:
            # Another process was faster; an unfinished directory of ours cannot be there.
            if not (directory / "source.json").exists():
                raise


def _files(questions: int, seed: int, wrong_golds: float) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of every file but `source.json`."""
    rows: list[DemoRow] = []
    images: dict[str, bytes] = {}
    for sheet in _sheets(questions, seed):
        images[sheet.path] = png(sheet.image)
        rows.extend(sheet.rows)
    if len(rows) < questions:
        raise UsageError(f"source demo: its data give {len(rows)} questions, not {questions}; ask for fewer")
    stopped = planted.plant(rows, images, seeded(seed, "planted"))
    yield from images.items()
    yield from stopped.files.items()
    yield "rows.jsonl", _jsonl(row.to_json() for row in [*swapped.swap(rows, wrong_golds, seed), *stopped.rows])
    yield "pages.jsonl", _jsonl({k: v for k, v in page._asdict().items() if v is not None} for page in pages())
    entries: list[dict[str, Json]] = []
    for picture in pictures():
        path = f"gallery/{picture.name}.png"
        yield path, png(picture.image)
        entries.append({"url": picture.url, "title": picture.title, "image": path})
    yield "gallery.jsonl", _jsonl(entries)


def _sheets(questions: int, seed: int) -> Iterator[Sheet]:
    """Yield the sheets of all families; what the data of one lack, the last one gives."""
    made = 0
    for family, count in zip(FAMILIES[:-1], _shares(questions), strict=False):
        for sheet in family.sheets(count, seed):
            made += len(sheet.rows)
            yield sheet
    yield from FAMILIES[-1].sheets(questions - made, seed)


def _shares(questions: int) -> list[int]:
    """Divide `questions` among the families by weight (largest remainders)."""
    total = sum(family.weight for family in FAMILIES)
    exact = [questions * family.weight / total for family in FAMILIES]
    counts = [int(share) for share in exact]
    by_remainder = sorted(range(len(counts)), key=lambda index: (counts[index] - exact[index], index))
    for index in by_remainder[: questions - sum(counts)]:
        counts[index] += 1
    return counts


def _write(directory: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Write the files and, last, `source.json` with their hashes; the revision is that of the content."""
    hashes: dict[str, Json] = {}
    for name, content in files:
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        hashes[name] = hashlib.sha256(content).hexdigest()
    source = {"key": KEY, "revision": digest(hashes), "files": dict(sorted(hashes.items()))}
    (directory / "source.json").write_text(json.dumps(source, indent=1) + "\n")


def _jsonl(rows: Iterable[dict[str, Json]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in rows).encode()
