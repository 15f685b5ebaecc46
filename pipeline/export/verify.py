"""Check exports from their files alone, as a stranger would who was handed the directory.

Nothing in an export is believed: paths of a manifest are names inside its directory or a problem, links
are not followed, and every hash is computed again. What is checked per export: the manifest and the
files it lists (`verify_files`), then every row against its recorded hash and against what trainers
stop at, drop or learn wrongly from (`verify_rows`). What is checked over all exports found: SFT and RL
share no question and no cluster, and the formats of one shard hold the same records.

Not covered: a manifest is not signed, so rows that were changed together with every hash pass unless
their content is wrong; and Parquet is decompressed by Arrow as its metadata asks.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import UsageError
from pipeline.export.layout import MANIFEST, Manifest, RowKey
from pipeline.export.verify_files import check_files, read_manifest, read_row_index
from pipeline.export.verify_rows import ImageChecks, OpenExport, check_rows


class Problem(NamedTuple):
    """One thing that is wrong."""

    export: str
    """Directory of the export, relative to the one that was checked."""
    file: str
    """Relative to the export."""
    row: int | None
    """Index as in `rows.jsonl`; None if the problem is not of one row."""
    message: str


class VerifiedExport(NamedTuple):
    """One export that was looked at."""

    export: str
    shard: str
    format: str
    rows: int


@dataclass(frozen=True)
class VerifyReport:
    """What a check found. Good if there is no problem."""

    exports: tuple[VerifiedExport, ...]
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Return whether nothing is wrong."""
        return not self.problems


class _Checked(NamedTuple):
    name: str
    manifest: Manifest
    keys: list[RowKey]


def verify_exports(directory: Path) -> VerifyReport:
    """Check one export, or every export below `directory`.

    Raises:
        UsageError: there is no export.
    """
    problems: list[Problem] = []
    checked: list[_Checked] = []
    images = ImageChecks()
    for path in _exports_below(directory):
        name = path.relative_to(directory).as_posix()
        manifest, found = _verify_one(path, name, images)
        problems += found
        if manifest is not None:
            checked.append(manifest)
    if not checked and not problems:
        raise UsageError(f"{directory} holds no export (no {MANIFEST} in it or below); give an export directory")
    problems += [*_shared_between_shards(checked), *_different_within_shard(checked)]
    exports = tuple(VerifiedExport(c.name, c.manifest.shard, c.manifest.format, c.manifest.rows) for c in checked)
    return VerifyReport(exports, tuple(problems))


def _exports_below(directory: Path) -> Iterator[Path]:
    """Yield directories with a manifest, in order; hidden ones are exports in the making."""
    for place, directories, files in os.walk(directory):
        if MANIFEST in files:
            directories.clear()
            yield Path(place)
        directories[:] = sorted(name for name in directories if not name.startswith("."))


def _verify_one(path: Path, name: str, images: ImageChecks) -> tuple[_Checked | None, list[Problem]]:
    manifest = read_manifest(path)
    if isinstance(manifest, str):
        return None, [Problem(name, MANIFEST, None, manifest)]
    keys, index_faults = read_row_index(path)
    faults = [*check_files(path, manifest), *index_faults, *check_rows(OpenExport(path, manifest, keys, images))]
    known = [key for key in keys if key is not None]
    return _Checked(name, manifest, known), [Problem(name, *fault) for fault in dict.fromkeys(faults)]


def _shared_between_shards(checked: Sequence[_Checked]) -> Iterator[Problem]:
    """Yield every SFT row whose question or cluster is in an RL export."""
    questions = {key.question_id: c.name for c in checked if c.manifest.shard == "rl" for key in c.keys}
    clusters = {key.cluster_id: c.name for c in checked if c.manifest.shard == "rl" for key in c.keys}
    for export in checked:
        if export.manifest.shard != "sft":
            continue
        for key in export.keys:
            if key.question_id in questions:
                where = questions[key.question_id]
                yield Problem(export.name, key.file, key.index, f"question {key.question_id} is in {where} as well")
            elif key.cluster_id in clusters:
                where = clusters[key.cluster_id]
                yield Problem(export.name, key.file, key.index, f"cluster {key.cluster_id} is in {where} as well")


def _different_within_shard(checked: Sequence[_Checked]) -> Iterator[Problem]:
    """Yield formats that lack a record another format of the same shard has, unless they name it as refused."""
    for shard in ("rl", "sft"):
        exports = [c for c in checked if c.manifest.shard == shard]
        everything = {record: c.name for c in exports for record in _records(c)}
        for export in exports:
            for record in sorted(everything.keys() - _records(export)):
                yield Problem(export.name, MANIFEST, None, f"record {record} of {everything[record]} is missing here")


def _records(export: _Checked) -> set[str]:
    refused = {row.record_id for row in export.manifest.refused}
    return {key.record_id for key in export.keys} | refused
