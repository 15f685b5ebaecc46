"""Photographs as phones take them are published in bounded memory, however large they become for readers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.export.parquet import GROUP_BYTES
from tests.support.command import ROOT

ROWS = 24
"""480 MB as they are written, and 72 MB as their records say: a plan by those makes one group of all."""
PEAK_MB = 900
"""Measured: 700 MB with 24 rows as with 200, of which 200 MB are libraries and the rest one group, twice, and a picture
in the making. 200 rows in groups of 100 are more than a column can hold."""


def test_photographs_of_12_megapixels_are_published_in_bounded_memory(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.support.jobs.photos_job"]
    subprocess.run([*command, "make", str(tmp_path)], cwd=ROOT, check=True)
    done = subprocess.run([*command, "publish", str(tmp_path), str(ROWS)], cwd=ROOT, check=True, capture_output=True)
    peak, _, nbytes = (float(word) for word in done.stdout.split())
    assert nbytes > ROWS * 15e6
    assert peak < PEAK_MB
    (file,) = (tmp_path / "sft" / "huggingface" / "data").iterdir()
    written = pq.ParquetFile(file).metadata
    assert written.num_row_groups > 1
    assert all(
        written.row_group(number).total_byte_size <= 1.01 * GROUP_BYTES for number in range(written.num_row_groups)
    )
