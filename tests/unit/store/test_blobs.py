from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.errors import InfrastructureError
from pipeline.store.blobs import BlobStore, write_atomic
from tests.support.command import ROOT


def test_a_blob_is_found_under_its_sha256(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path)
    name = blobs.put(b"content")
    assert name == hashlib.sha256(b"content").hexdigest()
    assert blobs.get(name) == b"content"
    assert name in blobs
    assert "0" * 64 not in blobs


def test_storing_twice_writes_once(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path)
    path = blobs.path(blobs.put(b"content"))
    before = path.stat().st_ino
    blobs.put(b"content")
    assert path.stat().st_ino == before


@pytest.mark.parametrize("damage", [b"", b"c0ntent", b"content\n"])
def test_a_damaged_blob_is_refused_with_its_path(damage: bytes, tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path)
    name = blobs.put(b"content")
    blobs.path(name).write_bytes(damage)
    with pytest.raises(InfrastructureError, match=f"{name} is damaged; delete it"):
        blobs.get(name)


def test_a_missing_blob_is_named_with_the_fix(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match=r"is missing from .*; delete the stage that made it"):
        BlobStore(tmp_path).get("0" * 64)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)  # a full disk cannot be had in a test directory
    with pytest.raises(OSError, match="No space left"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_never_sees_a_part_of_a_file_even_when_the_writer_is_killed(tmp_path: Path) -> None:
    # A megabyte of one letter at a time: any mixture or cut is visible.
    program = (
        "import sys, itertools; from pathlib import Path; from pipeline.store.blobs import write_atomic\n"
        "for n in itertools.count(): write_atomic(Path(sys.argv[1]), bytes([65 + n % 26]) * 1_000_000)"
    )
    path = tmp_path / "file"
    writer = subprocess.Popen([sys.executable, "-c", program, str(path)], cwd=ROOT)
    seen: set[bytes] = set()
    deadline = time.monotonic() + 60
    while len(seen) < 5 and time.monotonic() < deadline:
        if path.exists():
            seen.add(path.read_bytes())
    writer.kill()
    writer.wait()
    seen.add(path.read_bytes())
    assert len(seen) >= 5
    assert all(len(content) == 1_000_000 and len(set(content)) == 1 for content in seen)


def test_files_can_be_read_by_others(tmp_path: Path) -> None:
    write_atomic(tmp_path / "file", b"")
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644
