"""How often a judge is wrong about labelled answers that no rule decides, by the number of its votes.

    python tests/benchmarks/judge.py --url http://127.0.0.1:8000/v1 --served-name qwen --model Qwen/Qwen3-VL-32B

Asks a server of the OpenAI protocol, under the prompt and the schema of a run, about the cases of
`tests/grading/judge.jsonl`, and about those of `blind.jsonl` and `author.jsonl`, that the deterministic grader leaves
undecided; the latter have no question, so that a careful judge may say that it cannot tell. Prints, for each odd
number of votes, false accepts (of what is to be rejected), false rejects (of what is to be accepted) and answers left
open, with exact 95 % intervals, and what the grader alone does with `judge.jsonl`. The first votes of a larger number
are those of a smaller one. Without `--url` it starts SmolLM2-135M on one core, which shows that everything works and
judges badly: at `--votes 3 --limit 40` it takes some minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from filters.answers.votes import REFUSED, UNREADABLE_VOTE, JudgeSettings, answer_verdict, tally
from flows.asking.judge import Judge
from pipeline.math_worker import MathWorker
from pipeline.models.chat import Sampling
from pipeline.models.providers.openai import Server
from pipeline.models.views import Views
from pipeline.records import JudgeVotes
from pipeline.store import Store
from tests.support.asking import judge_ask
from tests.support.cases.grading_cases import clopper_pearson, verdict
from tests.support.cases.judge_cases import JudgeCase, load_asked, load_bare
from tests.support.servers.llama_server import MODEL, llama_server

SMALL_MAX_TOKENS = 64
"""Beside the prompt in the 512 tokens that `llama_server` gives a sequence."""


class Set(NamedTuple):
    """Labelled cases that no rule decides."""

    name: str
    cases: Sequence[JudgeCase]


def main() -> None:
    use = _arguments()
    with ExitStack() as stack:
        worker = stack.enter_context(MathWorker())
        asked, bare = load_asked(), load_bare()
        rules = [verdict(case, worker).verdict for case in asked]
        _say_rules(asked, rules)
        sets = [
            Set("judge", [case for case, said in zip(asked, rules, strict=True) if said == "undecided"]),
            Set("no question", [case for case in bare if verdict(case, worker).verdict == "undecided"]),
        ]
        if use.url is None:
            use.url, use.served_name, use.model = stack.enter_context(llama_server()), MODEL, MODEL
            use.max_tokens = SMALL_MAX_TOKENS
        store = use.store or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for each in sets:
            # All are shuffled, so that a smaller limit takes some of the same cases.
            cases = random.Random(use.seed).sample(each.cases, len(each.cases))[: use.limit]
            votes = asyncio.run(_ask(use, store, cases))
            _say_votes(each.name, use.votes, cases, votes)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Error rates of a judge on labelled answers.")
    parser.add_argument("--url", help="base URL of the server; none: SmolLM2 on this machine")
    parser.add_argument("--served-name", default="", help="what the server calls the model")
    parser.add_argument("--model", default="", help="identity of the weights")
    parser.add_argument("--key-env", help="environment variable with the key")
    parser.add_argument("--votes", type=int, default=5, help="the most votes that are asked for; odd")
    parser.add_argument("--temperature", type=float, default=0.7)
    parser.add_argument("--max-tokens", type=int, default=2048)
    parser.add_argument("--limit", type=int, default=10_000, help="cases of each set, drawn by the seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--store", type=Path, help="keeps what was paid for")
    return parser.parse_args()


async def _ask(use: argparse.Namespace, store: Path, cases: Sequence[JudgeCase]) -> list[JudgeVotes]:
    ask = judge_ask(
        model=f"openai/{use.model}",
        sampling=Sampling(temperature=use.temperature, max_tokens=use.max_tokens),
        seed=use.seed,
        settings=JudgeSettings(votes=use.votes),
    )
    with Store(store) as opened:
        client = Server(use.url, use.served_name, ask.model, opened.blobs, api_key_env=use.key_env)
        try:
            await client.check()
            judge = Judge(ask, client, opened.calls, Views(opened.blobs))
            asking = (judge.answer(case.as_question(), case.prediction or "", str(n)) for n, case in enumerate(cases))
            return await asyncio.gather(*asking)
        finally:
            await client.aclose()


def _say_rules(cases: Sequence[JudgeCase], said: Sequence[str]) -> None:
    counts = Counter(zip((case.expected == "right" for case in cases), said, strict=True))
    accept, reject = sum(case.expected == "right" for case in cases), sum(case.expected != "right" for case in cases)
    _say(
        f"judge.jsonl by rule alone: {counts[False, 'right']} of {reject} to be rejected are accepted, "
        f"{counts[True, 'wrong']} of {accept} to be accepted are rejected, "
        f"{counts[True, 'undecided'] + counts[False, 'undecided']} of {len(cases)} are left to a judge"
    )


def _say_votes(name: str, most: int, cases: Sequence[JudgeCase], votes: Sequence[JudgeVotes]) -> None:
    given = Counter(vote for of in votes for vote in of.votes)
    lost = {kind: given[kind] / max(given.total(), 1) for kind in (UNREADABLE_VOTE, REFUSED)}
    same = sum(len(set(of.votes)) == 1 for of in votes) / max(len(votes), 1)
    _say(
        f"{name}: {len(cases)} cases; of all votes {lost[UNREADABLE_VOTE]:.1%} are unreadable, "
        f"{lost[REFUSED]:.1%} refused; all {most} agree on {same:.1%} of the cases"
    )
    for n in range(1, most + 1, 2):
        verdicts = [_of_first(of, n) for of in votes]
        accept = [said for case, said in zip(cases, verdicts, strict=True) if case.expected == "right"]
        reject = [said for case, said in zip(cases, verdicts, strict=True) if case.expected != "right"]
        _say(
            f"  {n} votes: false accepts {_share(reject.count('right'), len(reject))}, "
            f"false rejects {_share(accept.count('wrong'), len(accept))}, "
            f"open {_share(verdicts.count('unknown'), len(verdicts))}"
        )


def _of_first(votes: JudgeVotes, n: int) -> str:
    """Return what the first `n` votes alone come to."""
    first = votes.votes[:n]
    return answer_verdict(votes.model_copy(update={"votes": first, "verdict": tally(first, JudgeSettings(votes=n))}))


def _share(hits: int, of: int) -> str:
    if not of:
        return "none"
    low, high = clopper_pearson(hits, of)
    return f"{hits}/{of} {hits / of:.1%} [{low:.1%}, {high:.1%}]"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
