"""What the exports of a run say of themselves, and which configurations the hub makes of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from pipeline.errors import RowError, UsageError
from pipeline.export.layout import MANIFEST, ROWS, ExportFile, Format, Manifest, RowKey, Shard, licence_folder, named_as
from pipeline.export.verify.file_checks import read_manifest
from pipeline.identity import parse_json

CONFIGURED: Format = "huggingface"
"""The format whose files are the configurations of the repository; the others lie beside it for their trainers."""


@dataclass(frozen=True)
class Export:
    """One export of a run."""

    name: str
    """`<shard>/<format>`: where it lies in `export/`, and in the repository."""
    directory: Path
    manifest: Manifest

    def rows(self) -> Iterator[RowKey]:
        """Yield the lines of its row index."""
        with (self.directory / ROWS).open(encoding="utf-8") as lines:
            for line in lines:
                yield RowKey.model_validate(parse_json(line))


class DataFile(NamedTuple):
    """A file of a configuration."""

    path: str
    """From the root of the repository."""
    local: Path
    sha256: str
    nbytes: int
    rows: int


@dataclass(frozen=True)
class Config:
    """A configuration: what `load_dataset(REPOSITORY, NAME)` loads."""

    name: str
    shard: Shard
    licence: str | None
    """Of its rows, where the set is split by licence; None: all rows of the shard."""
    splits: Mapping[str, tuple[DataFile, ...]]

    @property
    def rows(self) -> int:
        """Return how many rows it has."""
        return sum(file.rows for files in self.splits.values() for file in files)


@contextmanager
def readable(config: Config) -> Iterator[None]:
    """Tell of a data file that cannot be read in place of failing in its reader.

    Raises:
        UsageError: as said.
    """
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, RowError) as error:
        raise UsageError(
            f"configuration {config.name}: its files cannot be read ({error}); `coldforge verify` says what is wrong"
        ) from error


def read_exports(run: Path) -> tuple[Export, ...]:
    """Return the exports of a run: those for SFT, then those for RL.

    Raises:
        UsageError: there is none, or one cannot be read.
    """
    exports = []
    for path in sorted((run / "export").glob(f"*/*/{MANIFEST}"), key=lambda p: (p.parent.parent.name != "sft", p)):
        manifest = read_manifest(path.parent)
        if isinstance(manifest, str):
            raise UsageError(f"{path} {manifest}; run `coldforge run` again, which writes it anew")
        exports.append(Export(f"{path.parent.parent.name}/{path.parent.name}", path.parent, manifest))
    if not exports:
        raise UsageError(f"{run} holds no export: the run has not published yet; `coldforge run` goes on")
    return tuple(exports)


def configs(exports: Sequence[Export], licences: Sequence[str]) -> tuple[Config, ...]:
    """Return the configurations, the whole of each shard before its parts; the first is the default.

    `licences` are those of the rows: a folder of files is named after one of them.
    """
    found = []
    for export in exports:
        if export.manifest.format == CONFIGURED and export.manifest.rows:
            shard, files = export.manifest.shard, export.manifest.data
            found.append(Config(shard, shard, None, _splits(export, files)))
            found += _parts(export, {licence_folder(one): one for one in licences})
    return tuple(found)


def _parts(export: Export, folders: Mapping[str, str]) -> Iterator[Config]:
    by_folder: defaultdict[str, list[ExportFile]] = defaultdict(list)
    for file in export.manifest.data:
        by_folder[PurePosixPath(file.path).parent.as_posix()].append(file)
    for folder, files in sorted(by_folder.items()):
        if folder in folders:
            name = f"{export.manifest.shard}-{PurePosixPath(folder).name}"
            yield Config(name, export.manifest.shard, folders[folder], _splits(export, files))


def _splits(export: Export, files: Sequence[ExportFile]) -> Mapping[str, tuple[DataFile, ...]]:
    splits: defaultdict[str, list[DataFile]] = defaultdict(list)
    for file in files:
        one = DataFile(
            f"{export.name}/{file.path}", export.directory / file.path, file.sha256, file.nbytes, file.rows or 0
        )
        named = named_as(file.path)
        splits[named[0] if named is not None else "train"].append(one)
    # `train` before `validation`, which is the order of their names.
    return {split: tuple(splits[split]) for split in sorted(splits)}
