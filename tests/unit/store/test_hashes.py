"""Hashes of files are kept once, whoever asks for them, and how many at once."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from pipeline.store.hashes import FileHashes

AT_ONCE = 8


@pytest.mark.parametrize("time", range(10))
def test_many_that_open_a_new_cache_at_once_all_get_their_hashes(time: int, tmp_path: Path) -> None:
    del time
    files = [tmp_path / str(number) for number in range(AT_ONCE)]
    for file in files:
        file.write_text(file.name)
    together = Barrier(AT_ONCE)

    def ask(number: int) -> str:
        together.wait()
        return FileHashes(tmp_path / "hashes.sqlite").of(files)[files[number]]

    with ThreadPoolExecutor(AT_ONCE) as threads:
        found = list(threads.map(ask, range(AT_ONCE)))
    assert found == [hashlib.sha256(file.name.encode()).hexdigest() for file in files]
