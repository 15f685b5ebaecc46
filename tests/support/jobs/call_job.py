"""A process that pays for calls: `python -m tests.support.jobs.call_job STORE LOG KEYS SECONDS`.

Writes a line to LOG whenever it starts to pay for a key, waits SECONDS, and stores its own pid as the answer.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from pipeline.store.calls import CallCache, Made


async def main(store: Path, log: Path, keys: int, seconds: float) -> list[str]:
    """Ask for every key at once; return the answers."""

    async def ask(cache: CallCache, key: str) -> str:
        async def make() -> Made:
            with log.open("a") as file:
                file.write(key + "\n")
            await asyncio.sleep(seconds)  # the time that a paid call takes
            return Made(str(os.getpid()), "{}", seconds)

        return (await cache.once("model", key, make)).value

    with CallCache(store / "calls.sqlite") as cache:
        return list(await asyncio.gather(*(ask(cache, f"key-{number}") for number in range(keys))))


if __name__ == "__main__":
    answers = asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
    sys.stdout.write("\n".join(answers))
