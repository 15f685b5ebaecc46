"""The folder of `coldforge report`: pages, their data as script files, and libraries; it opens from disk.

What is shown was written by models and by the web. The pages put it into text nodes alone, and their content policy
forbids everything else: inline scripts, markup from strings, and any address that is no file.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from os.path import relpath
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from filters.review.words import MARK_KINDS
from flows.report.duplicates import duplicates_page
from flows.report.tables import Table, headers, printed, query_table, run_tables
from flows.report.viewer.figures import FIGURES
from flows.report.viewer.groups import Group, groups
from flows.report.viewer.index import Written, write_index
from flows.report.viewer.scripts import write_script
from pipeline.identity import parse_json
from pipeline.store.blobs import BlobStore, write_atomic

HERE = Path(__file__).parent
PAGES = HERE / "pages"
DATA, LIBRARIES, PICTURES = "data", "third_party", "pictures"
PAIRS_SHOWN = 200
"""Of each verdict, on the page of duplicates."""


class Report(NamedTuple):
    """What was written."""

    trajectories: int
    nbytes: int
    """Of pages and data, without pictures."""
    pictures: int
    """Copied beside them."""
    missing: int
    """Pictures that the store does not have."""


def write_report(run: Path, out: Path, blobs: BlobStore, *, bundle: bool = False) -> Report:
    """Write the report of a run into a directory, in place of one that stands there.

    Args:
        run: with a ledger.
        out: the directory.
        blobs: where the run's pictures are; the pages link them, unless `bundle` copies them.
        bundle: copy every picture that a page names, so that the directory can be moved alone.

    Raises:
        UsageError, InfrastructureError: the run's ledger or a part cannot be read.
    """
    tables = report_tables(run)
    link = PICTURES if bundle else _link(blobs.root, out)
    target = BlobStore(out / PICTURES)
    _copy_pages(out)  # first: the page of duplicates leads to what lies beside it
    pairs = duplicates_page(run, target if bundle else blobs, out / "duplicates.html", PAIRS_SHOWN)
    write_atomic(out / "duplicates.html", pairs.html.encode())
    named = {value for table in tables for row in table.rows for value in row if isinstance(value, str)}
    written = write_viewer(out, groups(run, named | pairs.ids), _facts(run), link)
    write_script(out / DATA, "tables", [_plain(table) for table in tables])
    copied, missing = _copy(blobs, written.pictures | pairs.pictures, target) if bundle else (0, 0)
    return Report(int(written.about["rows"] - written.about["unasked"]), _weight(out), copied, missing)


def _facts(run: Path) -> Mapping[str, Any]:
    name, recipe, version, environment = query_table(run, "SELECT name, recipe, version, environment FROM runs").rows[0]
    told = parse_json(str(environment))
    models = {role: told[role] for role in ("base", "teachers", "stronger", "judge") if told.get(role)}
    return {"run": name, "recipe": recipe, "version": version, "models": models}


def _copy_pages(out: Path) -> None:
    for name in ("pages", LIBRARIES):
        target = out / LIBRARIES if name == LIBRARIES else out
        for file in sorted((HERE / name).iterdir()):
            write_atomic(target / file.name, file.read_bytes())


def write_viewer(out: Path, shown: Iterable[Group], facts: Mapping[str, Any], blobs: str) -> Written:
    """Write pages and index of some questions; `about.js` is written last, and the pages do nothing without it."""
    shutil.rmtree(out / DATA, ignore_errors=True)
    _copy_pages(out)
    written = write_index(out / DATA, shown)
    marks = [kind._asdict() for kind in MARK_KINDS]
    write_script(out / DATA, "about", {**facts, "blobs": blobs, "marks": marks, **written.about})
    return written


def report_tables(run: Path) -> tuple[Table, ...]:
    """Return every table of the report: those of `stats`, and the figures.

    Raises:
        UsageError: `run` has no ledger.
    """
    return (*run_tables(run), *(query_table(run, one.sql, one.name, one.title) for one in FIGURES))


def _plain(table: Table) -> Mapping[str, Any]:
    return {
        "name": table.name,
        "title": table.title,
        "columns": table.columns,
        "headers": headers(table),
        "rows": table.rows,
        "printed": printed(table),
    }


def _link(root: Path, out: Path) -> str:
    return quote(relpath(root.absolute(), out.absolute()))


def _copy(blobs: BlobStore, wanted: Iterable[str], target: BlobStore) -> tuple[int, int]:
    copied, missing = 0, 0
    for sha256 in sorted(wanted):
        if sha256 not in blobs:
            missing += 1
            continue
        copied += 1
        if sha256 not in target:
            write_atomic(target.path(sha256), blobs.get(sha256))
    return copied, missing


def _weight(out: Path) -> int:
    files = (path for path in out.rglob("*") if path.is_file() and path.relative_to(out).parts[0] != PICTURES)
    return sum(path.stat().st_size for path in files)
