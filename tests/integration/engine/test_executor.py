from __future__ import annotations

import asyncio
import os
import threading

import pytest

from pipeline.engine.executor import Executor
from pipeline.errors import InfrastructureError, RowError


def fail_with_row_error() -> None:
    raise RowError("image_format", "not an image")


def end_abruptly() -> None:
    os._exit(9)


async def nothing() -> None:
    pass


def test_a_row_error_comes_back_from_a_worker_as_it_was() -> None:
    with Executor(1) as executor:
        with pytest.raises(RowError) as caught:
            executor.cpu(fail_with_row_error)
        assert (caught.value.reason, caught.value.detail) == ("image_format", "not an image")


def test_a_worker_that_dies_is_a_failure_of_infrastructure() -> None:
    with Executor(1) as executor, pytest.raises(InfrastructureError, match="worker process died"):
        executor.cpu(end_abruptly)


def test_workers_that_are_released_have_ended_and_others_do_what_comes_next() -> None:
    with Executor(1) as executor:
        before = executor.cpu(os.getpid)
        assert executor.cpu(os.getpid) == before
        executor.release()
        with pytest.raises(ProcessLookupError):
            os.kill(before, 0)
        assert executor.cpu(os.getpid) != before


def test_work_handed_over_while_closing_fails_instead_of_waiting_for_ever() -> None:
    """A unit that a pool of threads starts late must not keep the process from ending."""
    failures: list[InfrastructureError] = []
    with Executor(1) as executor:
        begun = threading.Event()

        async def until_cancelled() -> None:
            begun.set()
            await asyncio.Event().wait()

        def unit() -> None:
            for work in (until_cancelled, nothing):
                try:
                    executor.wait(work())
                except InfrastructureError as error:
                    failures.append(error)

        thread = threading.Thread(target=unit)
        thread.start()
        begun.wait()
    thread.join(timeout=30)
    assert not thread.is_alive()
    assert len(failures) == 2
