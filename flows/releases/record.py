"""The record of a release: small, next to the shards, and the only place where versions of tools and dates stand."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows.ledger.journal import require_journal
from flows.releases.conditions import Condition, figures
from flows.releases.rows import LeftOut, ReleasedRow, left_out_rows, released_rows, shipped
from flows.report.exports import require_whole, verify_run
from flows.review.released import reviewed
from pipeline.errors import CheckError, UsageError
from pipeline.export.layout import MANIFEST, file_hash
from pipeline.export.tombstones import Tombstone
from pipeline.export.verify.exports import VerifyReport
from pipeline.identity import digest, parse_json
from pipeline.store.blobs import write_atomic
from pipeline.store.shards import read_records, write_records

RELEASE = "release.json"
RELEASED = "rows.parquet"
LEFT_OUT = "left_out.parquet"
SCHEMA = 1
_LIBRARIES = ("coldforge", "datasets", "duckdb", "pillow", "pyarrow")


def make_release(run: Path, name: str | None, conditions: Sequence[Condition], taken: Sequence[Tombstone]) -> Path:
    """Check a run's exports and conditions, and write `RUN/release/<name>`; the name is by default that of the content.

    Raises:
        CheckError: an export is wrong or gone, a row was taken down, or a condition is not kept; nothing is written.
        UsageError: the name is none, or a release of this name holds something else.
    """
    report = verify_run(run, taken)
    require_whole(run, report)
    exports = shipped(run)
    review = reviewed(run)
    known = figures(run, exports, _shared(report), review.rate)
    unknown = [one.text for one in conditions if one.figure not in known]
    if unknown:
        raise CheckError(f"{run}: not released, for {'; '.join(unknown)} asks for a review: {review.why}")
    broken = [f"{one.text} (it is {known[one.figure]:g})" for one in conditions if not one.holds(known[one.figure])]
    if broken:
        raise CheckError(f"{run}: not released, for a condition is not kept: {'; '.join(broken)}")
    manifests = {
        path.parent.relative_to(run / "export").as_posix(): file_hash(path)
        for path in sorted((run / "export").glob(f"*/*/{MANIFEST}"))
    }
    content = digest(manifests)
    target = run / "release" / (content[:12] if name is None else _named(name))
    stated = [one.text for one in conditions]
    if (target / RELEASE).exists():
        before = read_release(target)
        # Without a name its directory is called by its exports, so that these are the same.
        fix = "give it a --name" if name is None else "give another --name"
        if before["exports"] != content:
            raise UsageError(f"{target} is a release of other exports; {fix}")
        if before["conditions"] != stated:
            raise UsageError(
                f"{target} was made under other conditions ({'; '.join(before['conditions']) or 'none'}); {fix}"
            )
        if before["figures"] != known:
            raise UsageError(f"{target} was made before marks were imported that change its figures; {fix}")
        return target
    rows = list(released_rows(run))
    write_records(target / RELEASED, ReleasedRow, rows)
    write_records(target / LEFT_OUT, LeftOut, left_out_rows(run))
    journal = require_journal(run)
    told = {
        "schema": SCHEMA,
        "name": target.name,
        "exports": content,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "libraries": {library: importlib.metadata.version(library) for library in _LIBRARIES},
        "run": journal["name"],
        "recipe": journal["recipe"],
        "manifests": manifests,
        "rows": {shard: export.manifest.rows for shard, export in sorted(exports.items())},
        "figures": known,
        "conditions": stated,
    }
    write_atomic(target / RELEASE, (json.dumps(told, indent=2) + "\n").encode())
    return target


def _named(name: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name) is None:
        raise UsageError(f"--name {name!r}: a release is named by letters, digits, `.`, `_` and `-`, such as 1.0")
    return name


def _shared(report: VerifyReport) -> float:
    pictures = report.pictures
    return pictures.shared / pictures.rl if pictures is not None and pictures.rl else 0.0


def read_release(directory: Path) -> Mapping[str, Any]:
    """Return what `release.json` says.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        said: Mapping[str, Any] = parse_json((directory / RELEASE).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{directory / RELEASE} cannot be read: {error}") from error
    return said


def rows_in(place: Path) -> list[ReleasedRow]:
    """Return the rows of a release, or of the exports of a run.

    Raises:
        UsageError: it is neither.
    """
    if (place / RELEASE).exists():
        return list(read_records(place / RELEASED, ReleasedRow))
    if (place / "run.json").exists():
        return list(released_rows(place))
    raise UsageError(f"{place} is neither a run (run.json) nor a release ({RELEASE})")


def left_out_in(place: Path) -> list[LeftOut]:
    """Return what the exports of a release, or of a run, left out; nothing of a release that does not say.

    Raises:
        UsageError: as `shipped`.
    """
    if not (place / RELEASE).exists():
        return left_out_rows(place)
    said = place / LEFT_OUT
    return list(read_records(said, LeftOut)) if said.exists() else []
