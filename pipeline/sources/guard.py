"""The guard list: evaluation sets that no recipe may take as a source, found by what data are called.

A source is called by its repository, configuration, split and files on the Hub, or by its folder and files here. Of
each name letters and digits count alone, and words that tell a split, a size or a shard beside the name of a set: so
`vstar_test-00000-of-00001.parquet` is V* Bench, and `mmsearch_r1_infoseek_sub_2k.parquet` is no MMSearch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from pipeline.commands import command
from pipeline.errors import UsageError
from pipeline.manifests import KEY, explain, manifests_dir, parse_yaml
from pipeline.sources.files import row_files
from pipeline.sources.manifest import SourceManifest

GUARD_LIST = "guard_list"
"""Name of the file in `manifests/benchmarks`."""


class Build(BaseModel):
    """Where the questions and pictures of a set are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hub: str
    files: str
    text: str | None = None
    """Column of the question; None: one of the usual names."""
    images: str | None = None


class Guarded(BaseModel):
    """One evaluation set; the fields are told in the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str = Field(pattern=KEY)
    title: str
    names: tuple[str, ...] = Field(min_length=1)
    splits: tuple[str, ...] = ()
    inside: dict[str, tuple[str, ...]] = {}
    build: Build | None
    note: str = ""

    @property
    def commands(self) -> tuple[str, ...]:
        """Return what makes the manifest of its hashes, as a person types it; nothing where it is not on the Hub."""
        if self.build is None:
            return ()
        said = self.build
        options = [f"--{name} {value}" for name, value in (("text", said.text), ("images", said.images)) if value]
        return (
            f'hf download {said.hub} --repo-type dataset --include "{said.files}" --local-dir {self.key}',
            " ".join([f"coldforge benchmarks build {self.key}/{said.files}", f"--key {self.key}", *options]),
        )


@lru_cache(maxsize=1)
def guard_list() -> tuple[Guarded, ...]:
    """Return the evaluation sets, in the order of the file.

    Raises:
        UsageError: the file is missing or malformed.
    """
    file = manifests_dir() / "benchmarks" / f"{GUARD_LIST}.yaml"
    try:
        return TypeAdapter(tuple[Guarded, ...]).validate_python(parse_yaml(file.read_text("utf-8")))
    except ValidationError as error:
        raise UsageError(f"guard list {file}:\n{explain(error)}") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"guard list {file} cannot be read: {error}") from error


class Called(NamedTuple):
    """What a part of a source is called."""

    label: str
    """In a message."""
    names: tuple[str, ...]
    own: tuple[str, ...]
    """Those of the names that say which split it is: a folder may hold several."""


def refuse_eval_only(manifest: SourceManifest, file: Path) -> None:
    """Refuse a source that is an evaluation set, or holds one: it must not be trained on. No row is read.

    Raises:
        UsageError: as said, the message names the set and the file or split; or there is no such file or directory.
    """
    where = f"source {manifest.key} ({file})"
    if manifest.role == "eval_only":
        raise UsageError(f"{where} says `role: eval_only`; name it under `benchmarks`, and take it out of `sources`")
    parts = tuple(_called(manifest, file))
    for guarded in guard_list():
        found = next((part.label for part in parts if _is(guarded, part)), None) or _taken_along(manifest, guarded)
        if found is not None:
            raise UsageError(
                f"{where}: {found} is {guarded.title}, which is evaluated on and never trained on; name the files or "
                "the split to train on alone, or take the source out, and keep those questions out of other sources "
                f"({command('benchmarks', 'list', guarded.key)})"
            )


def _called(manifest: SourceManifest, file: Path) -> Iterator[Called]:
    """Yield what a source and its files are called."""
    name = manifest.hub or ""
    if manifest.hub is None and manifest.path is not None:
        path = file.parent / manifest.path
        name = path.resolve().name if path.is_dir() else path.resolve().parent.name
        # Of these the split, or the folder, says what is read; a file that names set and split itself is taken for it.
        split_chosen = manifest.kind in {"folder", "hf"} and path.is_dir() and not manifest.files
        directory, files = (path, ()) if manifest.kind == "folder" else row_files(manifest, file, path)
        held = () if split_chosen else (name, manifest.key, *_repository(manifest.source_url))
        for each in files:
            inner = each.relative_to(directory)
            own = (*inner.parent.parts, inner.name.partition(".")[0])
            yield Called(inner.as_posix(), (*held, *own), own)
        if not split_chosen:
            return
    repository = name.rpartition("/")[2]
    for pattern in manifest.files:
        own = tuple(part.partition(".")[0] for part in Path(pattern).parts)
        yield Called(f"{pattern} of {name}", (repository, *own), own)
    if not manifest.files and name:
        own = (manifest.config or "", manifest.split)
        yield Called(f"split {manifest.split} of {name}", (repository, *_repository(manifest.source_url), *own), own)


def _taken_along(manifest: SourceManifest, guarded: Guarded) -> str | None:
    """Return what of a repository the patterns of a source would take along, in words; None for nothing."""
    if manifest.hub is None:
        return None
    held = next((files for name, files in guarded.inside.items() if _known(name) == _known(manifest.hub)), ())
    if _says(manifest.hub.rpartition("/")[2], guarded) is not None:
        held += tuple(f"{split}-00000-of-00001.parquet" for split in guarded.splits)
    for name in held:
        for pattern in manifest.files:
            if fnmatch(name.lower(), pattern.lower().rpartition("/")[2]):
                return f"{name}, which {pattern} takes along,"
        if not manifest.files and set(guarded.splits) & set(words_of(name)) & set(words_of(manifest.split)):
            return f"split {manifest.split} of {manifest.hub}"
    return None


def _is(guarded: Guarded, part: Called) -> bool:
    """Return whether something is a set: one of its names says so, and that one or its own say that it is the split."""
    beside = [words for name in part.names if (words := _says(name, guarded)) is not None]
    if not beside or not guarded.splits:
        return bool(beside)
    said = {word for name in part.own for word in words_of(name)}.union(*beside)
    return not said.isdisjoint({*guarded.splits, "all"})


def _says(name: str, guarded: Guarded) -> frozenset[str] | None:
    """Return the words that stand beside the name of a set; None if a name is not the set's, or says more."""
    squashed = re.sub(r"[^a-z0-9]+", "", name.lower())
    for known in guarded.names:
        start, _, end = squashed.partition(known.replace("-", ""))
        if len(start + end) < len(squashed) and _NEUTRAL.fullmatch(start) and _NEUTRAL.fullmatch(end):
            return frozenset(_WORD.findall(start) + _WORD.findall(end))
    return None


_BESIDE = (
    "test|mini|val|validation|dev|eval|evaluation|bench|benchmark|lite|full|all|final|public|human|easy|medium|hard|en|cn"
    "|zh|lmms|encoder|hf|data|dataset|parquet|questions|images|split|of|part|v?[0-9]++k?"
)
"""Words beside the name of a set that leave it the set: splits, sizes, shards. `train` is none, nor a name of others.
No word is two of the others, so that there is one way to read a name."""
_WORD = re.compile(_BESIDE)
_NEUTRAL = re.compile(f"(?:{_BESIDE})*")


def words_of(name: str) -> Iterator[str]:
    """Yield the words of a name, between marks and between small and capital letters, with and without their number."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    for word in re.findall(r"[a-z0-9]+", spaced.lower()):
        yield word
        yield word.rstrip("0123456789")


def _known(hub: str) -> str:
    """Return a repository as it is compared: lmms-lab and lmms-lab-encoder are one organisation."""
    owner, _, name = hub.lower().partition("/")
    return f"{owner.removesuffix('-encoder')}/{name}"


def _repository(url: str) -> tuple[str, ...]:
    """Return the name of the data set of the Hub that a URL leads to."""
    match = re.search(r"huggingface\.co/datasets/[^/]+/([^/?#]+)", url)
    return (match[1],) if match else ()


def unguarded(keys: Iterable[str]) -> tuple[str, ...]:
    """Return the sets of the guard list whose key is none of `keys`."""
    known = set(keys)
    return tuple(guarded.key for guarded in guard_list() if guarded.key not in known)
