"""The page of `coldforge duplicates`: pairs of questions beside each other, as plain HTML.

Everything on it was written by others, so everything is escaped; a picture is a link into the store by its sha256.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from os.path import relpath
from pathlib import Path
from typing import Any

from flows.report.tables import query_table
from pipeline.store.blobs import BlobStore

_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Duplicates</title>
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src file: 'self'; style-src 'unsafe-inline'">
<style>
body { font: 15px/1.4 sans-serif; margin: 2em auto; max-width: 1100px; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1em; border-top: 1px solid #bbb; padding: 1em 0; }
.pair > p { grid-column: 1 / 3; margin: 0; color: #555; }
img { max-width: 100%; max-height: 320px; display: block; margin-bottom: .4em; }
code { font-size: 12px; }
</style></head><body>
<h1>Duplicates</h1>
"""

_PAIRS = """
SELECT verdict, question_id, other, phash_bits, dhash_bits, share, count(*) OVER (PARTITION BY verdict) AS n
FROM duplicate_pairs
QUALIFY row_number() OVER (PARTITION BY verdict ORDER BY question_id, other) <= {limit}
ORDER BY verdict, question_id, other
"""

_QUESTIONS = """
SELECT q.question_id, q.source, q.text, q.answers, q.choices, [image.sha256 FOR image IN q.images] AS pictures
FROM questions q WHERE q.question_id IN ({ids})
"""


def duplicates_page(run: Path, blobs: BlobStore, page: Path, limit: int) -> tuple[str, int]:
    """Return the page, and how many pairs it shows.

    Args:
        run: with a ledger.
        blobs: where its pictures are.
        page: where the page will be, from which its links start.
        limit: pairs to show of each verdict.

    Raises:
        UsageError: the ledger cannot be read.
    """
    pairs = query_table(run, _PAIRS.format(limit=int(limit))).rows
    ids = sorted({str(name) for _, one, other, *_ in pairs for name in (one, other)})
    listed = ", ".join(f"'{name}'" for name in ids) or "''"
    asked = {str(row[0]): row for row in query_table(run, _QUESTIONS.format(ids=listed)).rows}
    parts, before = [_HEAD, "" if pairs else "<p>There are none.</p>\n"], None
    for verdict, one, other, phash, dhash, share, count in pairs:
        if verdict != before:
            parts.append(f"<h2>{escape(str(verdict))}: {count}</h2>\n")
            before = verdict
        told = [f"phash {phash} bits, dhash {dhash} bits apart"] if phash is not None else ["no pictures"]
        told += [f"{float(share):.0%} of the text"] if isinstance(share, float) else []
        sides = (_question(asked, str(name), blobs, page) for name in (one, other))
        parts.append(f'<div class="pair"><p>{escape("; ".join(told))}</p>{"".join(sides)}</div>\n')
    return "".join([*parts, "</body></html>\n"]), len(pairs)


def _question(asked: Mapping[str, Sequence[Any]], name: str, blobs: BlobStore, page: Path) -> str:
    if name not in asked:
        return f"<div><code>{escape(name)}</code></div>"
    _, source, text, answers, choices, pictures = asked[name]
    images = "".join(
        f'<img loading="lazy" alt="{escape(sha256)}" src="{escape(_link(blobs.path(sha256), page))}">'
        for sha256 in pictures
    )
    said = [text, *(f"Options: {' · '.join(map(str, choices))}" for _ in range(bool(choices)))]
    said.append(f"Answers: {' · '.join(map(str, answers))}")
    lines = "<br>".join(escape(str(line)) for line in said)
    return f"<div>{images}{lines}<br><code>{escape(str(source))} {escape(name[:16])}</code></div>"


def _link(blob: Path, page: Path) -> str:
    from urllib.parse import quote

    return quote(relpath(blob.absolute(), page.absolute().parent))
