"""Check exports from their files alone, as a stranger would who was handed the directory.

Nothing in an export is believed: paths of a manifest are names inside its directory or a problem, links
are not followed, and every hash is computed again. What is checked per export: the manifest and the
files it lists (`check_files`), the kit against what the manifest says that it is made of (`check_kit`), then every row
against its recorded hash, against what trainers stop at, drop or learn wrongly from, against the prompt of its lane and
what was taken down (`check_rows`), and the stated mix (`check_mix`). What is checked over all exports found: each is
where its manifest says and nothing lies beside them; SFT and RL share no id of a question, no cluster and no question
under whatever prompt; the formats of one shard hold the same records and say the same of each. How many pictures SFT
and RL share is counted.

Not covered: a manifest is not signed, so rows that were changed together with every hash pass unless
their content is wrong; Parquet is decompressed by Arrow as its metadata asks; and the card of the whole
(`WHOLE`) is not read.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, get_args

from pipeline.errors import UsageError
from pipeline.export.building import is_staging
from pipeline.export.configurations import shard_card
from pipeline.export.layout import CARD, MANIFEST, OF_FORMAT, OF_QUESTION, Manifest, RowKey, Shard
from pipeline.export.rows import SharedPictures
from pipeline.export.tombstones import Tombstone, Tombstones
from pipeline.export.verify.file_checks import check_files, read_manifest, read_row_index
from pipeline.export.verify.format_checks import counter_for
from pipeline.export.verify.kit_checks import check_kit
from pipeline.export.verify.row_checks import ImageChecks, OpenExport, check_rows
from pipeline.identity import canonical_json
from pipeline.students.tokens import TokenCounter

WHOLE = frozenset({"README.md", "LICENSE.md", "croissant.json", ".gitattributes", "card"})
"""What stands beside the folders of the shards where they are a repository of a hub: the card of the whole, which is
made from them (`coldforge card --check` compares the two), and what the hub itself adds."""


class Problem(NamedTuple):
    """One thing that is wrong."""

    export: str
    """Directory of the export, relative to the one that was checked."""
    file: str
    """Relative to the export."""
    row: int | None
    """Index as in `rows.jsonl`; None if the problem is not of one row."""
    message: str

    def __str__(self) -> str:
        """Return it as a line."""
        row = "" if self.row is None else f", row {self.row}"
        return f"{self.export}/{self.file}{row}: {self.message}"


class VerifiedExport(NamedTuple):
    """One export that was looked at."""

    export: str
    shard: str
    format: str
    rows: int
    tokens_counted: bool
    """Whether loss tokens were counted again from the rows, and not only added up."""


@dataclass(frozen=True)
class VerifyReport:
    """What a check found. Good if there is no problem."""

    exports: tuple[VerifiedExport, ...]
    problems: tuple[Problem, ...]
    pictures: SharedPictures | None = None
    """What the shards have in common; None where one of them is not among the exports. No problem: a recipe that
    wants none says `select.disjoint: image`."""
    taken: frozenset[str] = frozenset()
    """Marks of the tombstones that a row matches, whether it was left out or is still there (`Tombstone.mark`)."""

    @property
    def ok(self) -> bool:
        """Return whether nothing is wrong."""
        return not self.problems


class _Row(NamedTuple):
    key: RowKey
    content: str | None
    """`content_key`; None where the row itself could not be trusted."""


class _Checked(NamedTuple):
    name: str
    manifest: Manifest
    rows: list[_Row]
    pictures: frozenset[str]
    taken: frozenset[str]
    """Marks of the tombstones that a row of it matches, whether it was left out or is still there."""


def verify_exports(
    directory: Path, tokenizer: TokenCounter | None = None, tombstones: Iterable[Tombstone] = ()
) -> VerifyReport:
    """Check one export, or every export below `directory`.

    `tombstones` say what none may hold. `tokenizer` counts loss tokens again in the exports whose tokens it counted; an
    estimate needs none.

    Raises:
        UsageError: there is no export.
    """
    exports, problems = _survey(directory)
    if not exports:
        raise UsageError(f"{directory} holds no export (no {MANIFEST} in it or below); give a run, or an export of one")
    checked: list[_Checked] = []
    images, taken = ImageChecks(), Tombstones.of(tombstones)
    for path in exports:
        manifest, found = _verify_one(path, path.relative_to(directory).as_posix(), images, tokenizer, taken)
        problems += found
        if manifest is not None:
            checked.append(manifest)
    problems += [*_misplaced(directory, checked), *_cards(directory, checked)]
    problems += [*_shared_between_shards(checked), *_different_within_shard(checked), *_contradictions(checked)]
    verified = tuple(_verified(export, tokenizer) for export in checked)
    marks = frozenset(mark for export in checked for mark in export.taken)
    return VerifyReport(verified, tuple(problems), _shared_pictures(checked), marks)


def _shared_pictures(checked: Sequence[_Checked]) -> SharedPictures | None:
    if {export.manifest.shard for export in checked} != {"sft", "rl"}:
        return None
    shown = {
        shard: {picture for export in checked if export.manifest.shard == shard for picture in export.pictures}
        for shard in ("sft", "rl")
    }
    return SharedPictures(len(shown["sft"] & shown["rl"]), len(shown["rl"]))


def _verified(export: _Checked, tokenizer: TokenCounter | None) -> VerifiedExport:
    said = export.manifest
    return VerifiedExport(export.name, said.shard, said.format, said.rows, counter_for(said, tokenizer) is not None)


def _survey(directory: Path) -> tuple[list[Path], list[Problem]]:
    """Return the directories with a manifest, in order, and everything below `directory` that is in none of them."""
    exports: list[Path] = []
    strays: list[tuple[Path, str]] = []

    def unread(error: OSError) -> None:
        strays.append((Path(error.filename), f"cannot be read: {error.strerror}"))

    for place, directories, files in os.walk(directory, onerror=unread):
        here = Path(place)
        if MANIFEST in files:
            directories.clear()
            exports.append(here)
            continue
        card = {name for name in WHOLE if here == directory and not (here / name).is_symlink()}
        directories[:] = [name for name in directories if name not in card]
        links = [name for name in directories if (here / name).is_symlink()]
        strays += [(here / name, "is a link; links are not followed") for name in links]
        strays += [
            (here / name, f"belongs to no export: no {MANIFEST} beside or above it")
            for name in files
            if name not in card and (here.resolve().name, name) not in _BESIDE
        ]
        directories[:] = sorted(name for name in directories if not is_staging(here.resolve() / name))
    problems = [Problem(".", path.relative_to(directory).as_posix(), None, text) for path, text in sorted(strays)]
    return exports, problems


_BESIDE = {("sft", CARD), ("rl", CARD)}
"""Files beside exports, by their folder: `_cards` looks at them."""


def _cards(directory: Path, checked: Sequence[_Checked]) -> Iterator[Problem]:
    """Yield folders of exports whose README is not the one that is written for these exports."""
    for export in checked:
        folder = (directory / export.name).parent
        if (
            export.name == "."
            or export.manifest.format != "huggingface"
            or folder.resolve().name not in get_args(Shard)
        ):
            continue
        card = folder / CARD
        found = card.read_text("utf-8", "replace") if card.is_file() and not card.is_symlink() else None
        if found != shard_card(export.manifest):
            text = "is not the README that makes the exports beside it one data set"
            yield Problem(folder.relative_to(directory).as_posix(), CARD, None, text)


def _misplaced(directory: Path, checked: Sequence[_Checked]) -> Iterator[Problem]:
    """Yield exports in the place of another; one that is checked by itself may have been given any name."""
    for export in checked:
        place = (directory / export.name).resolve().parts[-2:]
        told = (export.manifest.shard, export.manifest.format)
        if export.name != "." and place != told:
            text = f"says it is {'/'.join(told)}, which is not where it lies ({'/'.join(place)})"
            yield Problem(export.name, MANIFEST, None, text)


def _verify_one(
    path: Path, name: str, images: ImageChecks, tokenizer: TokenCounter | None, tombstones: Tombstones
) -> tuple[_Checked | None, list[Problem]]:
    manifest = read_manifest(path)
    if isinstance(manifest, str):
        return None, [Problem(name, MANIFEST, None, manifest)]
    keys, index_faults = read_row_index(path)
    export = OpenExport(path, manifest, keys, images, tombstones, counter_for(manifest, tokenizer))
    faults = [*check_files(path, manifest), *check_kit(path, manifest), *index_faults, *check_rows(export)]
    known = [_Row(key, export.contents.get(number)) for number, key in enumerate(keys) if key is not None]
    taken = export.taken.union(*(row.tombstones for row in manifest.refused))
    return _Checked(name, manifest, known, frozenset(export.pictures), frozenset(taken)), [
        Problem(name, *fault) for fault in dict.fromkeys(faults)
    ]


def _shared_between_shards(checked: Sequence[_Checked]) -> Iterator[Problem]:
    """Yield every SFT row whose question, cluster or prompt is in an RL export."""
    taken = {
        identity: export.name
        for export in checked
        if export.manifest.shard == "rl"
        for row in export.rows
        for identity in _identities(row)
    }
    for export in checked:
        if export.manifest.shard != "sft":
            continue
        for row in export.rows:
            shared = next((identity for identity in _identities(row) if identity in taken), None)
            if shared is not None:
                text = f"{' '.join(shared)} is in {taken[shared]} as well"
                yield Problem(export.name, export.manifest.file_of(row.key.index), row.key.index, text)


def _identities(row: _Row) -> list[tuple[str, str]]:
    """Return what SFT and RL must not share, each with what it is called."""
    named = [("question", row.key.question_id), ("cluster", row.key.cluster_id)]
    return named if row.content is None else [*named, ("question (text and images)", row.content)]


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
    return {row.key.record_id for row in export.rows} | refused


def _contradictions(checked: Sequence[_Checked]) -> Iterator[Problem]:
    """Yield rows that say otherwise than an earlier one of their shard, in whatever format.

    Of one record all formats say the same in every field of `RowKey` that is not `OF_FORMAT`; of one question all
    records say the same in `OF_QUESTION` and ask the same; a cluster has one split. Rows of LLaMA-Factory hold no
    question id: what they show binds them to the formats that do.
    """
    records: dict[tuple[str, str], tuple[RowKey, str]] = {}
    first: dict[tuple[str, str, str, str], tuple[object, str]] = {}
    for export in checked:
        shard = export.manifest.shard
        for key, content in export.rows:
            before, where = records.setdefault((shard, key.record_id), (key, export.name))
            otherwise = [name for name in _OF_RECORD if getattr(before, name) != getattr(key, name)]
            found = [
                ("record", key.record_id, name, getattr(key, name), getattr(before, name), where) for name in otherwise
            ]
            told: list[tuple[str, str, str, object]] = [
                ("question", key.question_id, name, getattr(key, name)) for name in OF_QUESTION if name not in otherwise
            ]
            if "split" not in otherwise:
                told.append(("cluster", key.cluster_id, "split", key.split))
            if content is not None:
                told.append(("question", key.question_id, "question (text and images)", content))
            for kind, name, what, value in told:
                known, place = first.setdefault((shard, kind, name, what), (value, export.name))
                if known != value:
                    found.append((kind, name, what, value, known, place))
            for kind, name, what, value, known, place in found:
                text = f"{kind} {name} has {what} {_plain(value)}; in {place} it has {_plain(known)}"
                yield Problem(export.name, export.manifest.file_of(key.index), key.index, text)


_OF_RECORD = tuple(name for name in RowKey.model_fields if name not in OF_FORMAT)


def _plain(value: object) -> str:
    return value if isinstance(value, str) else canonical_json(value)
