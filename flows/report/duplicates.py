"""The page of `coldforge duplicates`: pairs of questions beside each other, as plain HTML.

Everything on it was written by others, so everything is escaped; a picture is a link into the store by its sha256.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from html import escape
from os.path import relpath
from pathlib import Path
from typing import Any, NamedTuple

from flows.ledger.query import query
from flows.report.tables import query_table
from pipeline.store.blobs import BlobStore

STYLE, THEME = "style.css", "theme.js"
"""Of the report, beside which the page stands."""

_HEAD = f"""<!doctype html>
<html lang="en" data-ready="true"><head><meta charset="utf-8"><title>Duplicates</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'self' file:; style-src 'self' \
file:; img-src 'self' file:; base-uri 'none'; form-action 'none'; \
require-trusted-types-for 'script'; trusted-types 'none'">
<meta name="referrer" content="no-referrer">
<link rel="stylesheet" href="{STYLE}">
<script src="{THEME}"></script>
</head><body class="report duplicates">
<header class="bar"><strong class="brand">coldforge</strong>
"""
_PAGES = """<nav aria-label="Pages"><a href="index.html">Report</a><a href="viewer.html">Viewer</a>\
<a href="duplicates.html" aria-current="page">Duplicates</a></nav>
"""
_BODY = """<button type="button" id="theme">Theme</button></header>
<main id="content"><h1>Duplicates</h1>
"""

WHY = {
    "dropped: a repeat": "The same question over pictures that are one, with answers that agree: one of them goes on.",
    "dropped: answers contradict": "The same question over the same pixels, with answers that contradict each other: "
    "one of them is wrong, and nobody knows which, so both are dropped.",
    "dropped: answers undecided": "The same question over the same pixels, with answers of which nobody can say "
    "whether they agree: one of them goes on, and both are for a person to look at.",
    "kept: answers undecided": "The same question over the same pixels, with answers of which nobody can say whether "
    "they agree; this one goes on, and both are for a person to look at.",
    "kept: answers differ": "The same question over pictures that look alike, with other answers: forms and charts of "
    "one layout differ in small print, so both go on.",
    "dropped: near text": "Over one picture, or without any, they read nearly alike and their answers agree; the "
    "recipe drops such questions (dedup.near_text).",
    "kept: near text": "Over one picture, or without any, they read nearly alike. They are told of and kept: left and "
    "right are two questions, whose answers may well differ.",
}
"""What became of the first of a pair beside the second, for people."""

_PAIRS = """
SELECT verdict, question_id, other, phash_bits, dhash_bits, share, count(*) OVER (PARTITION BY verdict) AS n
FROM duplicate_pairs
QUALIFY row_number() OVER (PARTITION BY verdict ORDER BY question_id, other) <= {limit}
ORDER BY verdict, question_id, other
"""

_QUESTIONS = """
SELECT question_id, source, text, answers, choices, images
FROM questions SEMI JOIN (VALUES {ids}) AS wanted(question_id) USING (question_id)
"""


_DROPPED = """
SELECT p.* FROM (
  SELECT question_id, other, verdict, phash_bits, dhash_bits FROM duplicate_pairs WHERE verdict LIKE 'dropped%'
  UNION ALL
  SELECT other, question_id, verdict, phash_bits, dhash_bits FROM duplicate_pairs
  WHERE verdict = 'dropped: answers contradict'
) p SEMI JOIN (VALUES {ids}) AS wanted(question_id) USING (question_id) ORDER BY ALL
"""


def _values(ids: Collection[str]) -> str:
    return ", ".join(f"('{name}')" for name in sorted(ids))


class Page(NamedTuple):
    """A page of duplicates."""

    html: str
    pairs: int
    ids: frozenset[str]
    """Of the questions on it."""
    pictures: frozenset[str]
    """sha256 of the pictures on it."""


def told_questions(run: Path, ids: Collection[str]) -> Mapping[str, Mapping[str, Any]]:
    """Return questions as they left the screen, by id: `question_id, source, text, answers, choices, images`."""
    if not ids:
        return {}
    found = query(run, _QUESTIONS.format(ids=_values(ids)))
    return {str(row["question_id"]): row for row in found.to_pylist()}


def dropped_beside(run: Path, ids: Collection[str]) -> Mapping[str, Sequence[tuple[str, str, tuple[int, int] | None]]]:
    """Return what some questions were dropped beside: by id the verdicts, the others' ids, and bits of their pictures.

    Of two that contradict, which are told of once, each is beside the other.
    """
    if not ids:
        return {}
    found = defaultdict[str, list[tuple[str, str, tuple[int, int] | None]]](list)
    for one, other, verdict, phash, dhash in query_table(run, _DROPPED.format(ids=_values(ids))).rows:
        bits = (phash, dhash) if isinstance(phash, int) and isinstance(dhash, int) else None
        found[str(one)].append((str(verdict), str(other), bits))
    return found


def duplicates_page(run: Path, blobs: BlobStore, page: Path, limit: int) -> Page:
    """Return the page; `STYLE` and `THEME` of the report have to lie beside it.

    Its questions lead into the viewer, and its head to the report, where those lie beside it.

    Args:
        run: with a ledger.
        blobs: where its pictures are.
        page: where the page will be, from which its links start.
        limit: pairs to show of each verdict.

    Raises:
        UsageError: the ledger cannot be read.
    """
    pairs = query_table(run, _PAIRS.format(limit=int(limit))).rows
    ids = frozenset(str(name) for _, one, other, *_ in pairs for name in (one, other))
    asked = told_questions(run, ids)
    linked = (page.parent / "viewer.html").exists()
    parts = [_HEAD, _PAGES if linked else "", _BODY, "" if pairs else "<p>There are none.</p>\n"]
    before = None
    for found, one, other, phash, dhash, share, n in pairs:
        verdict, count = str(found), int(str(n))
        if verdict != before:
            listed = "" if count <= limit else f", of which the first {limit} are shown"
            parts.append(f"<h2>{escape(verdict)}: {count}{listed}</h2>\n<p>{escape(WHY.get(verdict, ''))}</p>\n")
            before = verdict
        told = [f"phash {phash} bits, dhash {dhash} bits apart"] if phash is not None else ["no pictures"]
        told += [f"{float(share):.0%} of the text"] if isinstance(share, float) else []
        sides = (
            _question(asked.get(str(name)), str(name), mark, blobs, page, linked=linked)
            for name, mark in zip((one, other), _fates(verdict), strict=True)
        )
        parts.append(f'<section class="pair"><p>{escape("; ".join(told))}</p>{"".join(sides)}</section>\n')
    pictures = frozenset(image["sha256"] for one in asked.values() for image in one["images"])
    return Page("".join([*parts, "</main></body></html>\n"]), len(pairs), ids, pictures)


def _fates(verdict: str) -> tuple[str, str]:
    """Return what became of either of a pair."""
    if verdict.startswith("kept"):
        return "kept", "kept"
    return "dropped", "dropped" if verdict == "dropped: answers contradict" else "kept"


def _question(
    one: Mapping[str, Any] | None, name: str, fate: str, blobs: BlobStore, page: Path, *, linked: bool
) -> str:
    badge = f'<p><span class="badge {"bad" if fate == "dropped" else "good"}">{fate}</span></p>'
    short = escape(name[:16])
    identity = f'<a class="id" href="viewer.html#{escape(name)}">{short}</a>' if linked else f"<code>{short}</code>"
    if one is None:
        return f"<div>{badge}{identity}</div>"
    images = "".join(
        f'<img loading="lazy" alt="Picture {number} of {short}, {image["width"]} by {image["height"]} pixels" '
        f'src="{escape(_link(blobs.path(image["sha256"]), page))}">'
        for number, image in enumerate(one["images"], 1)
    )
    said = [one["text"], *(f"Options: {' · '.join(map(str, one['choices']))}" for _ in range(bool(one["choices"])))]
    said.append(f"Answers: {' · '.join(map(str, one['answers']))}")
    lines = "".join(folded(str(line)) for line in said)
    return f"<div>{badge}{images}{lines}<p>{escape(str(one['source']))} {identity}</p></div>"


LONG, LINES = 480, 6
"""Characters and lines of a text beyond which it is folded."""


def folded(text: str) -> str:
    """Return the HTML of a paragraph; of a long text its beginning, which a click or a key replaces by all of it."""
    whole = f'<p dir="auto">{escape(text)}</p>'
    if len(text) <= LONG and text.count("\n") < LINES:
        return whole
    told = f'<span class="what">{len(text):,} characters</span> <span class="preview" dir="auto">{escape(text[:LONG])}'
    return f'<details class="long"><summary>{told} …</span></summary>{whole}</details>'


def _link(blob: Path, page: Path) -> str:
    from urllib.parse import quote

    return quote(relpath(blob.absolute(), page.absolute().parent))
