"""Rollouts with real sandbox cells against a model server, for `tests.benchmarks.models`; prints memory as JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import time
from pathlib import Path

from filters.answers import grade
from pipeline.engine.executor import Executor
from pipeline.images import encode_png, put_image
from pipeline.models.providers.openai import Server
from pipeline.models.samples import Meter, Metered, Price
from pipeline.processes import cores
from pipeline.records import ImageRef, Question
from pipeline.rollout.loop import rollout
from pipeline.sandbox import Policy, Pool
from pipeline.store import Store
from pipeline.store.blobs import BlobStore
from tests.support.asking import teacher_ask, tools
from tests.support.builders import question

IMAGES = 64
IN_FLIGHT = 1_024
"""Requests: several replicas' worth. Each holds its body, images included, until it is answered."""


def picture(number: int, blobs: BlobStore) -> ImageRef:
    """Return one of a few different pictures."""
    from PIL import Image

    return put_image(blobs, encode_png(Image.effect_noise((400, 300), 20 + number % IMAGES).convert("RGB")))


def numbered(number: int, image: ImageRef) -> Question:
    """Return a question that equals no other."""
    return question(
        f"What is {number} plus {number}?",
        source_row=str(number),
        category="reasoning",
        images=(image,),
        answers=("4",),
        answer_type="number",
    )


def run(url: str, out: Path, conversations: int, at_once: int) -> None:
    """Run so many conversations."""
    workers = cores()
    with Store(out / "store") as opened, Executor(workers) as executor:
        pool = executor.resources.enter_context(Pool(Policy(), workers))
        server = Server(url, "m", "openai/m", opened.blobs, in_flight=min(at_once, IN_FLIGHT))
        executor.close_on_exit(server.aclose)
        model, acting = Metered(server, Meter(), Price()), tools(opened, pool)
        ask = teacher_ask(model=model.revision)
        images = [picture(number, opened.blobs) for number in range(IMAGES)]
        numbers = iter(range(conversations))

        async def worker() -> None:
            for number in numbers:
                done = await rollout(numbered(number, images[number % IMAGES]), 0, ask, model, acting)
                assert grade(done.trajectory.answer, ("4",), "number").verdict == "right"

        async def main() -> None:
            await asyncio.gather(*(worker() for _ in range(at_once)))

        executor.wait(main())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("out", type=Path)
    parser.add_argument("--conversations", type=int, required=True)
    parser.add_argument("--at-once", type=int, required=True)
    given = parser.parse_args()
    began = time.monotonic()
    run(given.url, given.out, given.conversations, given.at_once)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024
    sys.stdout.write(json.dumps({"wall": time.monotonic() - began, "peak_mb": peak}) + "\n")
