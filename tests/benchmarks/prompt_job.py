"""One-turn prompts through the whole engine, or through a plain aiohttp loop, for `tests.benchmarks.models`.

`ours`: questions in units, each asked through call cache, meter and client, one regular expression as filter,
outcomes committed as Parquet. `raw`: the loop that anybody would write, with the same filter and one Parquet
file at its end. Prints CPU of the whole process tree, wall time and proportional memory as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from pipeline.processes import tree_cpu_seconds

AT_ONCE = 256
KEPT = re.compile(r"<answer>\d+</answer>")


def raw(url: str, rows: int, out: Path) -> None:
    """Ask everything in one loop."""
    import aiohttp
    import pyarrow as pa
    import pyarrow.parquet as pq

    async def main() -> list[dict[str, object]]:
        kept = list[dict[str, object]]()
        numbers = iter(range(rows))
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def worker() -> None:
                for number in numbers:
                    messages = [{"role": "user", "content": f"What is {number} plus {number}?"}]
                    body = {"model": "m", "messages": messages, "max_tokens": 64, "seed": number}
                    async with session.post(f"{url}/chat/completions", json=body) as reply:
                        text = (await reply.json())["choices"][0]["message"]["content"]
                    if KEPT.search(text):
                        kept.append({"row": number, "text": text})

            await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
        return kept

    pq.write_table(pa.Table.from_pylist(asyncio.run(main())), out / "kept.parquet")


def ours(url: str, rows: int, out: Path) -> None:
    """Ask everything as a stage of a run."""
    from flows.runners.local import local
    from flows.stages.outcomes import decided, gather_all
    from pipeline.engine.executor import Executor
    from pipeline.engine.units import Range, UnitInput, UnitOutput
    from pipeline.models.chat import ChatRequest, Message, Sampling, Text
    from pipeline.models.providers.openai import Server
    from pipeline.models.samples import Meter, Metered, Price, sample_once
    from pipeline.records import Decision, Outcome, Question, SourceRow, root_id
    from pipeline.store import Store
    from tests.support.builders import question
    from tests.support.staged import begun, declared, run_given

    def row(number: int) -> SourceRow:
        return SourceRow(
            id=root_id("prompts", "1", str(number)),
            source="prompts",
            source_revision="1",
            source_row=str(number),
            category="reasoning",
            payload="{}",
        )

    def numbered(number: int) -> Question:
        return question(
            f"What is {number} plus {number}?",
            source="prompts",
            source_row=str(number),
            category="reasoning",
            answers=(str(2 * number),),
            answer_type="number",
        )

    def decision(asked: Question, text: str) -> Decision:
        kept = KEPT.search(text) is not None
        return Decision(
            record_id=asked.id,
            filter="number",
            version=1,
            outcome="keep" if kept else "reject",
            reason="" if kept else "no_number",
            score=None,
        )

    done = begun(out, map(row, range(rows)))

    def read(span: Range) -> UnitInput:
        return UnitInput(tuple(numbered(int(one.source_row)) for one in done.rows(span)))

    with Store(out / "store") as opened, Executor(2) as executor:
        server = Server(url, "m", "openai/m", opened.blobs, in_flight=AT_ONCE)
        executor.close_on_exit(server.aclose)
        model = Metered(server, Meter(), Price())

        async def ask(asked: Question) -> Outcome:
            request = ChatRequest(
                model=model.revision,
                messages=(Message(role="user", parts=(Text(text=asked.text),)),),
                sampling=Sampling(max_tokens=64),
                seed=0,
            )
            response, _ = await sample_once(opened.calls, model, request, 0)
            return decided("ask", asked, [decision(asked, response.text)])

        async def unit(given: UnitInput) -> UnitOutput:
            questions = [record for record in given.records if isinstance(record, Question)]
            return UnitOutput(tuple(await gather_all(map(ask, questions))), {})

        stage = declared(out, "ask", model=model.revision)
        run_given(stage, done, read, lambda given: executor.wait(unit(given)), expected=rows, runner=local)


def proportional_mb() -> float:
    """Return the memory of this process, shared pages in part (smaps_rollup, proc(5))."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    fields: Mapping[str, str] = dict(line.split(":", 1) for line in lines if ":" in line)
    return int(fields["Pss"].split()[0]) / 1_024


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("client", choices=("raw", "ours"))
    parser.add_argument("url")
    parser.add_argument("out", type=Path)
    parser.add_argument("--rows", type=int, default=10_000)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    {"raw": raw, "ours": ours}[given.client](given.url, given.rows, given.out)
    report = {"wall": time.monotonic() - began, "cpu": tree_cpu_seconds(), "pss_mb": proportional_mb()}
    sys.stdout.write(json.dumps(report) + "\n")
