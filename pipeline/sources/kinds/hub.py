"""Rows of Hugging Face datasets: a data set of the Hub at a commit, or a directory that `datasets` wrote or can read.

Of the Hub the files of the split are downloaded once. Rows are read as a stream, with pictures as their bytes: nothing
is decoded here, and nothing is held but the row at hand.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import UsageError
from pipeline.sources.kinds.entries import Entry, Place
from pipeline.sources.kinds.hub_files import downloaded, listed
from pipeline.sources.kinds.tables import check_columns, class_features, named, parquet_entries, plain
from pipeline.sources.source import HubData
from pipeline.sources.values.columns import Columns

if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset


def hub_entries(data: HubData, columns: Columns | None) -> Iterator[Entry]:
    """Yield each row of a split.

    Raises:
        UsageError: there is no such data set, configuration or split, or it lacks a column of the map.
        InfrastructureError: the Hub does not answer; it may be asked again.
    """
    for entry in _stream(data, columns):
        yield entry._replace(place=Place(at=entry.number - 1, row=entry.number))


def hub_entries_at(data: HubData, columns: Columns | None, places: Iterable[Place]) -> Iterator[Entry]:
    """Yield the row at each place, as `hub_entries` gave it; places are in the order of the rows.

    The library tells no places, so that all rows are read that stand before the last.

    Raises:
        UsageError, InfrastructureError: as `hub_entries`, or there is no such row.
    """
    entries = hub_entries(data, columns)
    for place in places:
        found = next((entry for entry in entries if entry.place == place), None)
        if found is None:
            raise UsageError(f"{data.name} has no row {place.row} any more; run again")
        yield found


def _stream(data: HubData, columns: Columns | None) -> Iterator[Entry]:
    if not data.revision:
        chosen = {data.split: list(data.files)} if data.files else None
        yield from _entries(Path(data.name).name, data, _opened(data, chosen), columns)
        return
    listing = listed(data)
    if listing.reader == "parquet":
        # Ours reads columns of any size, and whoever looks at a few rows needs no more than the first file.
        found = chain.from_iterable(parquet_entries(downloaded(data, (name,)), columns) for name in listing.files)
        for number, entry in enumerate(found, 1):
            yield entry._replace(number=number, where=f"{data.name}, {entry.where}")
        return
    paths = downloaded(data, (*listing.files, *listing.cards))
    directory = paths[0].parents[len(Path(listing.files[0]).parts) - 1]
    local = data._replace(name=str(directory), revision="")
    for entry in _entries(data.name, data, _opened(local, {data.split: list(listing.files)}), columns):
        yield entry._replace(found=_with_files(entry.found, directory))


def _entries(label: str, data: HubData, rows: Dataset | IterableDataset, columns: Columns | None) -> Iterator[Entry]:
    for name, feature in (rows.features or {}).items():
        if (undecoded := _undecoded(feature)) != feature:
            rows = rows.cast_column(name, undecoded)
    classes = class_features(rows.features.arrow_schema) if rows.features else {}
    number = 0
    for number, row in enumerate(rows, 1):
        if number == 1:  # of lines and CSV the library knows the columns no earlier
            check_columns(Path(label), list(row), columns)
        yield Entry(number, f"{label}, {data.split}, row {number}", named(plain(row), classes))
    if not number:
        check_columns(Path(label), [*(rows.column_names or ())], columns)


def _with_files(value: Any, directory: Path) -> Any:
    """Return a row with the bytes of the pictures that are files of the data set, which lie in the library's cache.

    What else a path leads to is not opened here: whoever wrote the data set may have written it.
    """
    match value:
        case {"bytes": None, "path": str(name)} if Path(os.path.normpath(name)).is_relative_to(directory):
            return {"bytes": Path(name).read_bytes(), "path": None}
        case Mapping():
            return {key: _with_files(part, directory) for key, part in value.items()}
        case list():
            return [_with_files(part, directory) for part in value]
    return value


def _opened(data: HubData, files: Mapping[str, list[str]] | None = None) -> Dataset | IterableDataset:
    """Open a directory with the library; `files` of it by split, by default as it tells itself.

    Raises:
        UsageError: it is no data set, or has no such configuration or split.
    """
    import datasets
    from datasets.exceptions import DatasetsError

    directory = Path(data.name)
    try:
        if (directory / "dataset_info.json").is_file():
            return datasets.Dataset.load_from_disk(directory)
        if (directory / "dataset_dict.json").is_file():
            return datasets.DatasetDict.load_from_disk(directory)[data.split]
        # Absolute: `owner/name` would be looked for on the Hub.
        path = str(directory.resolve())
        return datasets.load_dataset(path, data.config, split=data.split, data_files=files, streaming=True)
    except (DatasetsError, KeyError, ValueError, OSError, RuntimeError) as error:  # the last: it is a script
        raise UsageError(f"{data} cannot be read with `datasets`: {error}") from error


def _undecoded(feature: Any) -> Any:
    """Return a feature with its pictures as bytes, in lists and structs, too."""
    from datasets import Image, LargeList, List

    match feature:
        case Image():
            return Image(decode=False)
        case List() | LargeList():
            return type(feature)(_undecoded(feature.feature))
        case dict():
            return {name: _undecoded(inner) for name, inner in feature.items()}
        case _:
            return feature
