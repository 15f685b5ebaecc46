"""The page of an annotator: what was asked and what was written, and nothing of what the run made of it.

Everything that models, sources and the web wrote is escaped, and no script but the page's own can run: its hash stands
in the policy. Pictures are files beside the page, named by their sha256; nothing else is loaded, and nothing is sent.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

from filters.review.words import MARK_KINDS
from pipeline.errors import UsageError
from pipeline.identity import parse_json, uniform
from pipeline.records import IMAGE_MARK, ImageRef, Question, Trajectory, Turn
from pipeline.store.blobs import BlobStore, write_atomic

PICTURES = "pictures"
_FILES = Path(__file__).parent / "files"
_ENDINGS: Mapping[str, str] = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}


class Shown(NamedTuple):
    """A row of a page."""

    item: str
    question: Question
    trajectory: Trajectory


def write_pages(directory: Path, sample: str, annotators: int, rows: Sequence[Shown], blobs: BlobStore) -> list[Path]:
    """Write a page for each annotator, and the pictures beside them; return the pages.

    All annotators see all rows, each in an order of his own, so that what comes late and is read in haste differs.

    Raises:
        UsageError: a picture is not in the store; the message says which.
    """
    for image in {image.sha256: image for row in rows for image in _images(row)}.values():
        if image.sha256 not in blobs:
            raise UsageError(f"picture {image.sha256} is not in {blobs.root}; name the run's store with --store")
        write_atomic(directory / _link(image), blobs.get(image.sha256))
    pages = []
    for annotator in range(1, annotators + 1):
        ordered = sorted(rows, key=lambda row: (uniform("page", annotator, row.item), row.item))
        pages.append(directory / f"annotator-{annotator}.html")
        write_atomic(pages[-1], annotator_page(sample, annotator, ordered).encode())
    return pages


def annotator_page(sample: str, annotator: int, rows: Iterable[Shown]) -> str:
    """Return one page."""
    style, script = ((_FILES / name).read_text("utf-8") for name in ("page.css", "page.js"))
    own = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    scripts = f"script-src 'sha256-{own}'"
    policy = f"default-src 'none'; base-uri 'none'; img-src 'self' file:; style-src 'unsafe-inline'; {scripts}"
    articles = "".join(f"{_article(row)}\n" for row in rows)
    meanings = "".join(f"<dt>{label}</dt><dd>{meaning}</dd>" for _, _, label, meaning in MARK_KINDS)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Review, annotator {annotator}</title>
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>{style}</style></head>
<body data-sample="{escape(sample)}" data-annotator="{annotator}"><main>
<h1>Is this worth learning from?</h1>
<p>A model was asked a question, mostly about pictures, may have used tools, and answered. Mark each item: good, its
defect, or that you cannot tell; of several defects the first in the list of marks. What you would learn from as it
stands is good, small flaws included. Judge a thought by the size at which the model saw a picture, which stands below
it. Marks stay in this browser until you save them to a file.</p>
<details><summary>What the marks mean</summary><dl>{meanings}</dl></details>
<noscript><p>Marking needs JavaScript; without it this page can only be read.</p></noscript>
{articles}</main>
{_form()}
<script>{script}</script></body></html>
"""


def _form() -> str:
    radios = "".join(
        f'<label><input type="radio" name="mark" value="{word}" data-key="{key}"> {label} <kbd>{key}</kbd></label>\n'
        for key, word, label, _ in MARK_KINDS
    )
    buttons = "".join(
        f'<button type="button" data-does="{key}">{label} <kbd>{key}</kbd></button>'
        for key, label in (("k", "back"), ("j", "next"), ("u", "next unmarked"), ("s", "save to a file"))
    )
    return f"""<form aria-label="Mark of this item"><fieldset><legend>Mark</legend>
{radios}</fieldset>
<textarea name="comment" aria-label="Comment" placeholder="Comment (m; Escape leaves it)"></textarea>
{buttons}<span id="told" role="status"></span></form>"""


def _article(row: Shown) -> str:
    asked, made = row.question, row.trajectory
    seen = _seen(row)
    parts = [f'<article data-item="{escape(row.item)}"><h2 tabindex="-1">Question</h2>', _words(asked.text)]
    parts += [_listed(asked.choices)] if asked.choices else []
    parts += [_figure(image, f"image_{number}", seen) for number, image in enumerate(made.images, 1)]
    parts += [] if made.images else ["<p>It is asked without a picture.</p>"]
    parts += ["<h3>Stored answer, any of these</h3>", _listed(asked.answers)]
    parts.append("<h2>What the model did</h2>")
    parts += [f'<div class="turn">{"".join(_turn(turn, seen))}</div>' for turn in made.turns]
    if made.answer is None:
        parts.append("<p>It gave no answer.</p>")
    return "".join([*parts, "</article>"])


def _turn(turn: Turn, seen: _Seen) -> Iterator[str]:
    if turn.think:
        yield f'<h3>Thought</h3><pre class="words think">{escape(turn.think)}</pre>'
    match turn.action, parse_json(turn.arguments):
        case "python", {"code": str(code)}:
            yield f"<h3>Code</h3><pre>{escape(code)}</pre>"
        case "search", {"query": str(query)}:
            yield f"<h3>Search</h3><pre>{escape(query)}</pre>"
        case "answer", {"answer": str(answer)}:
            yield f"<h3>Answer</h3>{_words(answer)}"
        case "image_search", _:
            yield "<h3>Search by image</h3>"
        case _:
            yield f"<h3>Message that calls no tool and gives no answer</h3><pre>{escape(turn.raw_text)}</pre>"
    if turn.observation is not None:
        yield "<h3>What came back</h3>"
        yield from _observed(turn.observation, turn.images, seen)


def _observed(text: str, images: Sequence[ImageRef], seen: _Seen) -> Iterator[str]:
    """Yield an observation with each picture where its mark stands."""
    first, *pieces = text.split(IMAGE_MARK)
    yield f"<pre>{escape(first)}</pre>" if first.strip() else ""
    for number, piece in enumerate(pieces):
        yield _figure(images[number], "picture", seen) if number < len(images) else "<p>A picture is missing.</p>"
        yield f"<pre>{escape(piece)}</pre>" if piece.strip() else ""


def _words(text: str) -> str:
    return f'<pre class="words">{escape(text)}</pre>'


def _listed(texts: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in texts)}</ul>"


_Seen = Mapping[str, Sequence[int]]
"""sha256 of a picture → width and height at which the model saw it."""


def _seen(row: Shown) -> _Seen:
    sizes: Sequence[Sequence[int]] = parse_json(row.trajectory.view).get("seen", [])
    return {image.sha256: size for image, size in zip(_images(row), sizes, strict=False)}


def _figure(image: ImageRef, name: str, seen: _Seen) -> str:
    size = f"{image.width} x {image.height}"
    told = f"; the model saw {' x '.join(map(str, seen[image.sha256]))}" if image.sha256 in seen else ""
    return (
        f'<figure><a href="{_link(image)}" target="_blank" rel="noopener" title="open at full size in another tab">'
        f'<img loading="lazy" alt="{name}, {size}" src="{_link(image)}"></a>'
        f"<figcaption>{name}, {size}{told}</figcaption></figure>"
    )


def _link(image: ImageRef) -> str:
    return f"{PICTURES}/{image.sha256}.{_ENDINGS[image.mime]}"


def _images(row: Shown) -> Iterator[ImageRef]:
    yield from row.trajectory.images
    for turn in row.trajectory.turns:
        yield from turn.images
