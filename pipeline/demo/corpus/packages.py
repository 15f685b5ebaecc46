"""Data files of the installed packages that the demo is made of."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sqlite3
from contextlib import closing
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pipeline.errors import UsageError

BOKEH = "bokeh-sampledata"
PACKAGES = {
    "airportsdata": "airportsdata",
    "babel": "babel",
    BOKEH: "bokeh_sampledata",
    "countryinfo": "countryinfo",
    "hvsampledata": "hvsampledata",
    "mendeleev": "mendeleev",
    "periodictable": "periodictable",
    "phonenumbers": "phonenumbers",
    "pillow": "PIL",
    "pycountry": "pycountry",
    "scikit-image": "skimage",
    "shapely": "shapely",
    "vega-datasets": "vega_datasets",
}
"""Distribution → import name; all of them decide the bytes of the corpus."""


@cache
def package_version(package: str) -> str:
    """Return the version of an installed distribution.

    Raises:
        UsageError: it is not installed.
    """
    try:
        return version(package)
    except PackageNotFoundError as error:
        raise UsageError(f"source demo: package {package} is not installed; install coldforge[demo]") from error


def data_file(package: str, name: str) -> Path:
    """Return the path of a file inside an installed package, without importing it (some take seconds).

    Raises:
        UsageError: the package is not installed.
    """
    spec = find_spec(PACKAGES[package])
    if spec is None or not spec.submodule_search_locations:
        raise UsageError(f"source demo: package {package} is not installed; install coldforge[demo]")
    return Path(spec.submodule_search_locations[0]) / name


@cache
def read_csv(package: str, name: str) -> tuple[dict[str, str], ...]:
    """Return the rows of a CSV file, plain or gzipped, every value as text without surrounding blanks."""
    content = data_file(package, name).read_bytes()
    text = (gzip.decompress(content) if name.endswith(".gz") else content).decode("utf-8-sig")
    rows = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    return tuple({key.strip(): value.strip() for key, value in row.items()} for row in rows)


def read_json(package: str, name: str) -> Any:
    """Return a JSON file."""
    return json.loads(data_file(package, name).read_text("utf-8"))


def query(package: str, name: str, sql: str) -> list[sqlite3.Row]:
    """Return the result of a query on a SQLite file, opened read-only."""
    with closing(sqlite3.connect(f"{data_file(package, name).as_uri()}?mode=ro", uri=True)) as db:
        db.row_factory = sqlite3.Row
        return db.execute(sql).fetchall()
