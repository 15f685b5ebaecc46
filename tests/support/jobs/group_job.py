"""A group of stages over so many rows of the corpus of `tests.support.curated`, killed in one of them.

`python -m tests.support.jobs.group_job PLACE GROUP LIMIT STAGE`: the run is `PLACE/run`; the process is killed when the
first unit of the stage is committed.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from flows.run.progress import SilentProgress
from pipeline.engine.units import UnitResult
from tests.support.curated import RECIPE, curated


class Killed(SilentProgress):
    """Ends the process, unprepared, in the middle of a stage."""

    def __init__(self, stage: str) -> None:
        self._stage = stage

    def unit_done(self, name: str, result: UnitResult) -> None:
        del result
        if name == self._stage:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    place, group, limit, stage = sys.argv[1:]
    curated(Path(place), RECIPE, "run", groups=(group,), limit=int(limit), progress=Killed(stage))
