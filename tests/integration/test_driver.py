from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest

from flows.driver import Driver
from pipeline.errors import InfrastructureError, RowError


def fail_with_row_error() -> None:
    raise RowError("image_format", "not an image")


def end_abruptly() -> None:
    os._exit(9)


async def nothing() -> None:
    pass


def test_a_row_error_comes_back_from_a_worker_as_it_was(tmp_path: Path) -> None:
    with Driver(tmp_path, workers=1) as driver:
        with pytest.raises(RowError) as caught:
            driver.cpu(fail_with_row_error)
        assert (caught.value.reason, caught.value.detail) == ("image_format", "not an image")


def test_a_worker_that_dies_is_a_failure_of_infrastructure(tmp_path: Path) -> None:
    with Driver(tmp_path, workers=1) as driver, pytest.raises(InfrastructureError, match="worker process died"):
        driver.cpu(end_abruptly)


def test_work_handed_over_while_closing_fails_instead_of_waiting_for_ever(tmp_path: Path) -> None:
    """A unit that a pool of threads starts late must not keep the process from ending."""
    failures: list[InfrastructureError] = []
    with Driver(tmp_path, workers=1) as driver:
        begun = threading.Event()

        async def until_cancelled() -> None:
            begun.set()
            await asyncio.Event().wait()

        def unit() -> None:
            for work in (until_cancelled, nothing):
                try:
                    driver.wait(work())
                except InfrastructureError as error:
                    failures.append(error)

        thread = threading.Thread(target=unit)
        thread.start()
        begun.wait()
    thread.join(timeout=30)
    assert not thread.is_alive()
    assert len(failures) == 2
