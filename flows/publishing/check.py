"""Whether a card may be published: nothing left open, nothing unknown, and the one that these exports give."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from flows.publishing.facts import CardFacts
from flows.publishing.licences import hub_ids, licence
from flows.publishing.making import FOLDER
from pipeline.export.layout import CARD
from pipeline.export.verify.file_checks import is_inside
from pipeline.manifests import explain
from pipeline.records import Terms

_PLACEHOLDER = re.compile(
    r"\bTODO\b|\bTBD\b|\bFIXME\b|\bXXX\b|\[?more information needed\]?|\blorem ipsum\b", re.IGNORECASE
)
_URL = re.compile(r"https?://\S")
_FENCE = re.compile(r"^(`{3,})[^`\n]*\n.*?^\1\s*$", re.MULTILINE | re.DOTALL)
_PARTS = 3
"""Of a page with front matter: what stands before, in and behind it."""
_HEADING = re.compile(r"^(#{1,6}) +(.*)$", re.MULTILINE)


class Fault(NamedTuple):
    """One thing that keeps a card from being published."""

    place: str
    """A file and what in it, or a field of a manifest or a recipe."""
    message: str

    def __str__(self) -> str:
        """Return place and message as a line."""
        return f"{self.place}: {self.message}"


def check_card(facts: CardFacts, files: Mapping[str, bytes], root: Path) -> tuple[Fault, ...]:
    """Return what is wrong with the card in `root`, which holds the exports; `files` are what it should consist of."""
    return (*_sources(facts), *_configs(facts), *_files(files, root), *_page(root))


def _sources(facts: CardFacts) -> Iterator[Fault]:
    for name, terms in sorted(facts.sources.items()):
        # What a search of the web finds ships in no row; a corpus that may be passed on does.
        if name in facts.revisions or terms.redistributable is not False:
            yield from _terms(f"manifest of source {name}", terms, pictured=name in facts.pictured)
    for said, names in sorted(facts.licence_sources.items()):
        if licence(said) is None:
            yield Fault(
                f"manifest of source {', '.join(sorted(names))}, field licence",
                f"the licence {said!r} of a row is not known; write its SPDX identifier there, or in the rows",
            )
    if facts.withheld_kept:
        yield Fault(
            "recipe, field export.withheld_images",
            "`keep` ships pictures that may not be passed on; remove it and run again, which only publishes anew",
        )


def _terms(place: str, terms: Terms, *, pictured: bool) -> Iterator[Fault]:
    needed = {
        "licence": (terms.licence, "name its SPDX identifier"),
        "attribution": (terms.attribution, "say whom to name, and be it the makers of the data set"),
        **({"licence_images": (terms.licence_images, "say under what its pictures are")} if pictured else {}),
    }
    for field, (said, fix) in needed.items():
        if not said.strip():
            yield Fault(f"{place}, field {field}", f"is empty; {fix}")
        elif found := _PLACEHOLDER.search(said):
            yield Fault(f"{place}, field {field}", f"holds {found.group()!r}; {fix}")
    if terms.licence.strip() and licence(terms.licence) is None:
        yield Fault(f"{place}, field licence", f"{terms.licence!r} is not known; write its SPDX identifier")
    if not _URL.search(terms.source_url):
        yield Fault(
            f"{place}, field source_url", f"{terms.source_url!r} is no address; say where the data set is found"
        )
    if pictured and terms.redistributable is None:
        yield Fault(
            f"{place}, field redistributable",
            "nobody has said whether its pictures may be passed on; say true or false",
        )


def _configs(facts: CardFacts) -> Iterator[Fault]:
    whole = {config.shard for config in facts.configs if config.licence is None}
    for shard in sorted(facts.rows.keys() - whole):
        yield Fault(
            f"recipe, field export.{shard}", f"has no huggingface, so that the configuration `{shard}` has no files"
        )
    for shard, fields in facts.fields.items():
        for field in fields:
            if field.meaning is None:
                yield Fault(
                    f"column {field.name} of {shard}", "its meaning is not written down (flows/publishing/fields.py)"
                )


def _files(files: Mapping[str, bytes], root: Path) -> Iterator[Fault]:
    for path, content in sorted(files.items()):
        place = root / path
        if place.is_symlink() or not place.is_file():
            yield Fault(path, "is missing; `coldforge card RUN` writes it")
        elif place.read_bytes() != content:
            yield Fault(path, "is not what these exports give; `coldforge card RUN` writes it anew")
    present = {found.relative_to(root).as_posix() for found in (root / FOLDER).rglob("*") if not found.is_dir()}
    for path in sorted(present - files.keys()):
        yield Fault(path, "is no file of the card; remove it")


class _DataFiles(BaseModel):
    model_config = ConfigDict(frozen=True)

    path: str | tuple[str, ...]


class _ConfigHead(BaseModel):
    model_config = ConfigDict(frozen=True)

    config_name: str
    data_files: tuple[_DataFiles, ...]


class _Head(BaseModel):
    """What is looked at of the front matter; whoever wrote it may have written more."""

    model_config = ConfigDict(frozen=True)

    license: str
    configs: tuple[_ConfigHead, ...]


def _page(root: Path) -> Iterator[Fault]:
    """Yield what is wrong with the page as it stands on the disk, whoever wrote it."""
    try:
        page = (root / CARD).read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return  # named above
    parts = page.split("---\n", 2)
    if len(parts) < _PARTS or parts[0]:
        yield Fault(CARD, "has no front matter: YAML between two lines `---`, at its beginning")
        return
    _, head, body = parts
    yield from _front(head, root)
    prose = _FENCE.sub(lambda fence: re.sub(r"[^\n]+", "code", fence.group()), body)
    for number, line in enumerate(prose.splitlines(), start=1 + page.count("\n") - body.count("\n")):
        if found := _PLACEHOLDER.search(line):
            yield Fault(f"{CARD}, line {number}", f"holds {found.group()!r}; say it, or take the line out")
    yield from _empty(prose)


def _front(text: str, root: Path) -> Iterator[Fault]:
    place = f"{CARD}, front matter"
    try:
        head = _Head.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        yield Fault(place, f"is not YAML: {' '.join(str(error).split())}")
        return
    except ValidationError as error:
        yield Fault(place, f"lacks what the hub reads:\n{explain(error)}")
        return
    if head.license not in hub_ids():
        yield Fault(place, f"license {head.license!r} is not on the hub's list (manifests/hub/licences.yaml)")
    if not head.configs:
        yield Fault(place, "lists no configs, so that nothing can be loaded")
    for config in head.configs:
        for part in config.data_files:
            for path in (part.path,) if isinstance(part.path, str) else part.path:
                if not is_inside(path) or not any(root.glob(path)):
                    yield Fault(f"{CARD}, configuration {config.config_name}", f"{path!r} is no file of this folder")


def _empty(prose: str) -> Iterator[Fault]:
    headings = list(_HEADING.finditer(prose))
    for this, following in zip(headings, [*headings[1:], None], strict=True):
        content = prose[this.end() : following.start() if following is not None else len(prose)]
        deeper = following is not None and len(following.group(1)) > len(this.group(1))
        if not content.strip() and not deeper:
            yield Fault(f"{CARD}, section {this.group(2)}", "is empty")
