"""The folder of `coldforge report`: pages, their data as script files, and libraries; it opens from disk.

What is shown was written by models and by the web. The pages put it into text nodes alone, and their content policy
forbids everything else: inline scripts, markup from strings, and any address that is no file.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from os.path import relpath
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from filters.review.words import MARK_KINDS
from flows.ledger.query import kept_open
from flows.report.ahead import ahead
from flows.report.duplicates import STYLE, THEME, duplicates_page
from flows.report.tables import Table, headers, printed, query_table, run_tables
from flows.report.viewer.figures import FIGURES
from flows.report.viewer.groups import Group, groups
from flows.report.viewer.index import Written, write_index
from flows.report.viewer.scripts import write_script
from flows.report.viewer.whole import require_whole
from flows.report.why import large_losses
from pipeline.errors import UsageError
from pipeline.identity import parse_json
from pipeline.store.blobs import BlobStore, write_atomic

HERE = Path(__file__).parent
PAGES = HERE / "pages"
DATA, LIBRARIES, PICTURES = "data", "third_party", "pictures"
DUPLICATES = "duplicates.html"
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
    """Pictures that pages name and the store does not have."""


def write_report(run: Path, out: Path, blobs: BlobStore, *, bundle: bool = False, stages: Sequence[str] = ()) -> Report:
    """Write the report of a run into a directory, in place of one that stands there.

    Args:
        run: with a ledger.
        out: the directory, which holds nothing or an earlier report, of whose pictures and data nothing stays.
        blobs: where the run's pictures are; the pages link them, unless `bundle` copies them.
        bundle: copy every picture that a page names, so that the directory can be moved alone.
        stages: of a run that went through, in order; the pages say which of them this one did not come to.

    Raises:
        UsageError: there is no ledger, or `out` holds something else than a report.
        InfrastructureError: the run's ledger or a part cannot be read, or parts are gone that the ledger tells of.
    """
    _require_own(out)
    with kept_open(run):
        require_whole(run)
        tables = report_tables(run)
        link = PICTURES if bundle else _link(blobs.root, out)
        target = BlobStore(out / PICTURES)
        _copy_pages(out)  # first: the page of duplicates leads to what lies beside it
        pairs = duplicates_page(run, target if bundle else blobs, out / DUPLICATES, PAIRS_SHOWN)
        write_atomic(out / DUPLICATES, pairs.html.encode())
        named = {value for table in tables for row in table.rows for value in row if isinstance(value, str)}
        left = ahead(run, stages)
        facts = {**_facts(run), "bundled": bundle, "ahead": left and left._asdict()}
        written = write_viewer(out, groups(run, named | pairs.ids), facts, link)
    write_script(out / DATA, "tables", [_plain(table) for table in tables])
    wanted = written.pictures | pairs.pictures
    there = {sha256 for sha256 in wanted if sha256 in blobs}
    _copy(blobs, there if bundle else (), target)
    rollouts = int(written.about["rows"] - written.about["unasked"])
    return Report(rollouts, _weight(out), len(there) if bundle else 0, len(wanted) - len(there))


_MARK = "<title>coldforge report</title>"
"""Of the first page, by which a folder is known to be a report."""


def _require_own(out: Path) -> None:
    if not out.exists():
        return
    if not out.is_dir():
        raise UsageError(f"--out {out}: is a file; give a folder")
    page, held = out / "index.html", sorted(path.name for path in out.iterdir())
    if held == sorted((DUPLICATES, STYLE, THEME)):  # what `coldforge duplicates` writes to where a report will be
        return
    if held and not (page.is_file() and _MARK in page.read_text("utf-8", errors="replace")):
        raise UsageError(
            f"--out {out}: holds {held[0]}{' and more' if held[1:] else ''}, and no report; give a folder of its own, "
            "since data and pictures of an earlier report are removed"
        )


def _facts(run: Path) -> Mapping[str, Any]:
    name, recipe, version, environment = query_table(run, "SELECT name, recipe, version, environment FROM runs").rows[0]
    told = parse_json(str(environment))
    models = {role: told[role] for role in ("base", "teachers", "stronger", "judge") if told.get(role)}
    return {"run": name, "recipe": recipe, "version": version, "models": models}


def _copy_pages(out: Path) -> None:
    # First what a folder is known by, in case that the writing ends early.
    for file in (PAGES / "index.html", *sorted(PAGES.iterdir()), *sorted((HERE / LIBRARIES).iterdir())):
        write_atomic((out if file.parent == PAGES else out / LIBRARIES) / file.name, file.read_bytes())


def write_viewer(out: Path, shown: Iterable[Group], facts: Mapping[str, Any], blobs: str) -> Written:
    """Write pages and index of some questions; `about.js` is written last, and the pages do nothing without it."""
    shutil.rmtree(out / DATA, ignore_errors=True)
    _copy_pages(out)
    written = write_index(out / DATA, shown)
    marks = [kind._asdict() for kind in MARK_KINDS]
    write_script(out / DATA, "about", {**facts, "blobs": blobs, "marks": marks, **written.about})
    return written


def report_tables(run: Path) -> tuple[Table, ...]:
    """Return every table of the report: those of `stats`, with what usually causes its losses, and the figures.

    Raises:
        UsageError: `run` has no ledger.
    """
    return (*run_tables(run), large_losses(run), *(query_table(run, one.sql, one.name, one.title) for one in FIGURES))


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


def _copy(blobs: BlobStore, wanted: Collection[str], target: BlobStore) -> None:
    """Make a folder of pictures hold what is wanted and no other: of another run, or taken down since."""
    if not wanted:
        shutil.rmtree(target.root, ignore_errors=True)
    for path in target.root.rglob("*"):
        if path.is_file() and path.name not in wanted:
            path.unlink()
    for sha256 in sorted(wanted):
        if sha256 not in target:
            write_atomic(target.path(sha256), blobs.get(sha256))


def _weight(out: Path) -> int:
    files = (path for path in out.rglob("*") if path.is_file() and path.relative_to(out).parts[0] != PICTURES)
    return sum(path.stat().st_size for path in files)
