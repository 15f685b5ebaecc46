"""Rows of Hugging Face datasets: a data set of the Hub at a commit, or a directory that `datasets` wrote or can read.

Read as a stream, with pictures as their bytes: nothing is decoded here, and nothing is held but the row at hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import InfrastructureError, UsageError
from pipeline.sources.columns import Columns
from pipeline.sources.entries import Entry
from pipeline.sources.source import HubData
from pipeline.sources.tables import check_columns, plain

if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset


def hub_entries(data: HubData, columns: Columns | None) -> Iterator[Entry]:
    """Yield each row of a split.

    Raises:
        UsageError: there is no such data set, configuration or split, or it lacks a column of the map.
        InfrastructureError: the Hub does not answer; it may be asked again.
    """
    rows = _opened(data)
    label = data.name if data.revision else Path(data.name).name
    for name, feature in (rows.features or {}).items():
        if (undecoded := _undecoded(feature)) != feature:
            rows = rows.cast_column(name, undecoded)
    check_columns(Path(label), [*(rows.column_names or ())], columns)
    for number, row in enumerate(rows, 1):
        yield Entry(number, f"{label}, {data.split}, row {number}", plain(row))


def _opened(data: HubData) -> Dataset | IterableDataset:
    import datasets
    from datasets.exceptions import DatasetNotFoundError

    asked = f"{data.name} ({data.config or 'default'}, {data.split})"
    directory = None if data.revision else Path(data.name)
    try:
        if directory is not None and (directory / "dataset_info.json").is_file():
            return datasets.Dataset.load_from_disk(directory)
        if directory is not None and (directory / "dataset_dict.json").is_file():
            return datasets.DatasetDict.load_from_disk(directory)[data.split]
        files = {data.split: list(data.files)} if data.files else None
        return datasets.load_dataset(
            data.name, data.config, data_files=files, split=data.split, revision=data.revision or None, streaming=True
        )
    except (DatasetNotFoundError, KeyError, ValueError, FileNotFoundError, RuntimeError) as error:  # the last: a script
        raise UsageError(f"{asked} cannot be read with `datasets`: {error}") from error
    except (OSError, TimeoutError) as error:
        raise InfrastructureError(f"{asked}: the Hub does not answer ({error})") from error


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
