"""The tables of a report, worked out once more: by loops over the ledger's base tables, with none of its queries.

Each function takes the base tables as rows by name, and gives the rows of one table as plain tuples.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from math import pi, sqrt
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

from filters.gates.rules import more_often
from filters.intervals import student95, wilson
from flows.report.causes import cause
from flows.report.tables import query_table, records

Row = Mapping[str, Any]
Ledger = Mapping[str, Sequence[Row]]
Rows = list[tuple[Any, ...]]

BASE = (
    *("stages", "outcomes", "questions", "trajectories", "turns", "gate_settings", "gates", "arms", "keys", "labels"),
    *("personal_data", "near_texts", "benchmark_hits", "dropped_hits", "replays", "cost", "prices", "shards"),
    *("duplicates", "conflicts", "ingested", "every_question", "decisions"),
)
TOOLS = ("python", "image_search", "search")


def read_ledger(run: Path) -> Ledger:
    return {name: records(query_table(run, f"SELECT * FROM {name}")) for name in BASE}  # type: ignore[misc] # noqa: S608 - our names


def share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def run(ledger: Ledger, stage: str, n: int) -> int | None:
    """A count of what a stage did; of one that has not run there is none."""
    return n if stage in order(ledger) else None


def order(ledger: Ledger) -> dict[str, int]:
    return {row["stage"]: row["position"] for row in ledger["stages"]}


def by(rows: Iterable[Row], *names: str) -> dict[tuple[Any, ...], list[Row]]:
    found: defaultdict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        found[tuple(row[name] for name in names)].append(row)
    return dict(found)


def kept(ledger: Ledger, stage: str, unit: str) -> list[Row]:
    return [o for o in ledger["outcomes"] if (o["stage"], o["unit"], o["outcome"]) == (stage, unit, "kept")]


def asked(ledger: Ledger) -> dict[str, Row]:
    return {row["question_id"]: row for row in ledger["questions"]}


def at(ledger: Ledger, stage: str) -> set[str]:
    return {o["question_id"] for o in ledger["outcomes"] if o["stage"] == stage}


def funnel(ledger: Ledger) -> Rows:
    stages = sorted(order(ledger).items(), key=lambda item: item[1])
    seconds = {name: sum(c["cpu_seconds"] for c in found) for (name,), found in by(ledger["cost"], "stage").items()}
    rows: Rows = []
    last: dict[str, bool] = {}
    for stage, _ in stages:
        own = [o for o in ledger["outcomes"] if o["stage"] == stage]
        here = {o["question_id"] for o in own}
        past = sum(elsewhere for question, elsewhere in last.items() if question not in here)
        for line, ((unit,), found) in enumerate(sorted(by(own, "unit").items())):
            counts = Counter(o["outcome"] for o in found)
            told = (counts["kept"], counts["rejected"], counts["quarantined"])
            spent = seconds.get(stage)
            aside = (past, spent) if line == 0 else (None, None)
            rows.append((stage, unit, len(found), *told, aside[0], share(told[0], len(found)), aside[1]))
        for question, outcomes in by(own, "question_id").items():
            last[question[0]] = any(
                o["unit"] == "question" and o["outcome"] == "kept" and o["route"] != "next" for o in outcomes
            )
    return rows


def reasons(ledger: Ledger) -> Rows:
    found = by((o for o in ledger["outcomes"] if o["outcome"] != "kept"), "stage", "unit", "outcome", "reason")
    return [(*key, len(rows), min(o["record_id"] for o in rows)) for key, rows in found.items()]


def rights(ledger: Ledger) -> Rows:
    names = {"person_identity", "personal_data", "tombstone", "image_withheld"}
    found = by((o for o in ledger["outcomes"] if o["reason"] in names), "stage", "reason", "category")
    return [(*key, len(rows), min(o["record_id"] for o in rows)) for key, rows in found.items()]


def personal_data(ledger: Ledger) -> Rows:
    found = by(ledger["personal_data"], "kind", "field")
    return [
        (*key, len(rows), sum(r["n"] for r in rows), min(r["record_id"] for r in rows)) for key, rows in found.items()
    ]


def near_texts(ledger: Ledger) -> Rows:
    found = by(ledger["near_texts"], "answers", "dropped")
    words = {"contradict": "differ"}
    return [
        (
            words.get(key[0], key[0]),
            key[1],
            len(rows),
            mean(r["share"] for r in rows),
            min(r["question_id"] for r in rows),
        )
        for key, rows in found.items()
    ]


def benchmark_hits(ledger: Ledger) -> Rows:
    rows: Rows = []
    for key, hits in by(ledger["benchmark_hits"], "benchmark", "by", "stopped").items():
        bits = [hit["bits"] for hit in hits if hit["bits"] is not None]
        rows.append((*key, len(hits), min(bits, default=None), min(hit["question_id"] for hit in hits)))
    return rows


def routes(ledger: Ledger) -> Rows:
    rows: Rows = []
    for stage in ("gate1", "gate2"):
        own = [o for o in ledger["outcomes"] if o["stage"] == stage]
        ways = Counter((o["outcome"], o["route"] if o["outcome"] == "kept" else o["reason"]) for o in own)
        rows += [(stage, *way, n, share(n, len(own))) for way, n in ways.items()]
    return rows


def gates(ledger: Ledger) -> Rows:
    tried = at(ledger, "gate2")
    again = Counter(arm["n_right"] for arm in ledger["arms"] if arm["arm"] == "fresh")
    rows: Rows = []
    for right in range(max((g["k"] for g in ledger["gates"]), default=-1) + 1):
        plain = [g for g in ledger["gates"] if g["plain_right"] == right]
        early = sum(g["censored"] > 0 for g in plain)
        tools = sum(g["tools_right"] == right and g["question_id"] in tried for g in ledger["gates"])
        seen = again[right] if again else None
        rows.append((right, len(plain), early or None, seen, run(ledger, "gate2", tools)))
    return rows


def without_answer(ledger: Ledger) -> Rows:
    kinds = {
        "gate1": {
            "malformed": "plain_malformed",
            "limit": "plain_limit",
            "lost": "plain_lost",
            "unknown": "plain_unknown",
        },
        "gate2": {
            "malformed": "tools_bad_format",
            "limit": "tools_limit",
            "lost": "tools_lost",
            "unknown": "tools_unknown",
        },
    }
    rows: Rows = []
    for stage, columns in kinds.items():
        left = {o["question_id"]: o["reason"] for o in ledger["outcomes"] if o["stage"] == stage}
        for kind, column in columns.items():
            found = [g for g in ledger["gates"] if g[column] > 0 and g["question_id"] in left]
            if found:
                ids = [g["question_id"] for g in found]
                open_ = sum(left[one] == "undecided" for one in ids)
                rows.append((stage, kind, len(found), sum(g[column] for g in found), open_, min(ids)))
    return rows


def guess_floor(ledger: Ledger) -> Rows:
    tried = at(ledger, "gate2")
    found = [g for g in ledger["gates"] if g["question_id"] in tried and g["chance"] > 0]
    rows: Rows = []
    for (chance, least, k), same in by(found, "chance", "guess_floor", "k").items():
        sent = [g["question_id"] for g in same if g["by_floor"]]
        rows.append((chance, least, k, len(same), len(sent), min(sent, default=None)))
    return rows


def help_(ledger: Ledger) -> Rows:
    total = Counter[str]()
    for g in ledger["gates"]:
        for name in ("tools_right", "tools_right_uninformed", "tools_right_without_call"):
            total[name] += g[name]
    useless = total["tools_right_uninformed"]
    counts = (total["tools_right"], useless, total["tools_right_without_call"] - useless)
    names = ("a call that could have carried the answer", "calls that showed nothing of use", "no call")
    return [(name, n, share(n, sum(counts))) for name, n in zip(names, counts, strict=True)] if sum(counts) else []


def placebo(ledger: Ledger) -> Rows:
    again = {arm["question_id"]: arm for arm in ledger["arms"] if arm["arm"] == "fresh"}
    pairs = [(g, again[g["question_id"]]) for g in ledger["gates"] if g["question_id"] in again]
    (settings,) = ledger["gate_settings"]
    lines: dict[str, Callable[[Row, Row], tuple[int, int, int]]] = {
        "placebo: again without tools, right": lambda _, f: (f["n_right"], f["n_valid"], f["n_valid"]),
        "tools: right after a call": lambda g, _: (g["tools_right"], g["tools_decided"], g["tools_valid"]),
        "tools: right, call or no call": lambda g, _: (
            g["tools_right"] + g["tools_right_without_call"],
            g["tools_decided"],
            g["tools_valid"],
        ),
    }
    rows: Rows = []
    for name, counts in lines.items():
        passed = 0
        for g, f in pairs:
            hits, told, valid = counts(g, f)
            least = max(g["guess_floor"], settings["min_tools_right"])
            better = more_often(hits, told, g["plain_right"], g["plain_valid"], least)
            passed += valid >= settings["min_valid"] and better
        if pairs:
            ends = wilson(passed, len(pairs))
            rows.append((name, len(pairs), passed, share(passed, len(pairs)), ends.low, ends.high))
    return rows


def benefit(ledger: Ledger) -> Rows:
    values = [label["benefit"] for label in ledger["labels"] if label["benefit"] is not None]
    if not values:
        return []
    middle = mean(values)
    if len(values) == 1:
        return [(1, middle, None, None)]
    half = student95(len(values) - 1) * stdev(values) / sqrt(len(values))
    return [(len(values), middle, max(-1, middle - half), min(1, middle + half))]


def unjudged(ledger: Ledger) -> Rows:
    answers = [t for t in ledger["trajectories"] if t["finish"] == "answer"]
    questions = asked(ledger)
    total = Counter(questions[t["question_id"]]["source"] for t in answers)
    open_ = Counter(questions[t["question_id"]]["source"] for t in answers if t["verdict"] == "unjudged")
    return [(source, total[source], n, share(n, total[source])) for source, n in open_.items()]


def arms(ledger: Ledger) -> Rows:
    rows: Rows = []
    for key, found in by(ledger["arms"], "stage", "arm", "max_pixels", "model").items():
        above, ends = sum(a["above"] for a in found), wilson(sum(a["above"] for a in found), len(found))
        right = share(sum(a["n_right"] for a in found), sum(a["n_valid"] for a in found))
        rows.append((*key, len(found), right, share(above, len(found)), ends.low, ends.high))
    return rows


def endings(ledger: Ledger) -> Rows:
    last: dict[str, Row] = {}
    for turn in ledger["turns"]:
        if turn["trajectory_id"] not in last or turn["turn"] > last[turn["trajectory_id"]]["turn"]:
            last[turn["trajectory_id"]] = turn
    found: defaultdict[tuple[Any, ...], list[Row]] = defaultdict(list)
    total = Counter[tuple[Any, ...]]()
    for t in ledger["trajectories"]:
        if t["arm"] == "long_cot":
            continue
        labels = last[t["trajectory_id"]]["labels"] if t["trajectory_id"] in last else []
        cause = t["verdict"] if t["finish"] == "answer" else ", ".join(labels)
        group = (t["stage"], t["arm"], t["mode"], t["model"])
        total[group] += 1
        found[(*group, t["finish"], cause)].append(t)
    rows: Rows = []
    for (stage, arm, mode, model, finish, cause), same in found.items():
        of = share(len(same), total[stage, arm, mode, model])
        said = min((t["detail"] for t in same if t["detail"]), default=None)
        example = min(t["trajectory_id"] for t in same)
        rows.append((stage, arm, model, finish, cause or None, len(same), of, example, said))
    return rows


def yield_by_teacher(ledger: Ledger) -> Rows:
    valid = {o["record_id"] for o in kept(ledger, "validate", "trajectory")}
    chosen = {o["record_id"] for o in kept(ledger, "select", "trajectory")}
    rows: Rows = []
    for key, found in by((t for t in ledger["trajectories"] if t["purpose"] == "synthesis"), "model", "arm").items():
        ids = {t["trajectory_id"] for t in found}
        rows.append(
            (
                *(*key, len(found), sum(t["verdict"] == "right" for t in found)),
                run(ledger, "validate", len(ids & valid)),
                run(ledger, "select", len(ids & chosen)),
            )
        )
    return rows


def mix(ledger: Ledger) -> Rows:
    chosen = {o["record_id"] for o in ledger["outcomes"] if o["stage"] == "select" and o["outcome"] == "kept"}
    keys = [k for k in ledger["keys"] if k["trajectory_id"] in chosen]
    n, tokens = Counter[str](), Counter[str]()
    for k in keys:
        teaches = k["category"] if k["lane"] == "tools" else k["lane"]
        n[teaches] += 1
        tokens[teaches] += k["loss_tokens"]
    whole = sum(tokens.values())
    return [(name, n[name], share(n[name], len(keys)), tokens[name], share(tokens[name], whole)) for name in n]


def tool_mix(ledger: Ledger) -> Rows:
    questions = asked(ledger)
    calls = [t for t in ledger["turns"] if t["action"] in TOOLS]
    counts = Counter((t["purpose"], questions[t["question_id"]]["category"], t["action"], t["status"]) for t in calls)
    return [(*key, n) for key, n in counts.items()]


def dropped_hits(ledger: Ledger) -> Rows:
    rows: Rows = []
    for key, hits in by(ledger["dropped_hits"], "tool", "reason").items():
        counts = [len({hit[name] for hit in hits}) for name in ("url", "trajectory_id", "question_id")]
        rows.append((*key, len(hits), *counts, min(hit["url"] for hit in hits)))
    return rows


def execution(ledger: Ledger) -> Rows:
    ran = Counter(
        t["trajectory_id"] for t in ledger["turns"] if t["action"] == "python" and t["observation"] is not None
    )
    found = [t for t in ledger["trajectories"] if t["mode"] == "tools" and t["arm"] in {"main", "tools"}]
    rows: Rows = []
    for (purpose,), same in by(found, "purpose").items():
        cells = [ran[t["trajectory_id"]] for t in same]
        executed = sum(n > 0 for n in cells)
        rows.append((purpose, len(same), executed, share(executed, len(same)), sum(cells)))
    return rows


def replays(ledger: Ledger) -> Rows:
    rows: Rows = []
    for key, found in by(ledger["replays"], "made_by", "verdict").items():
        executed = sum(r["cells"] > 0 for r in found)
        rows.append((*key, len(found), executed, share(executed, len(found))))
    return rows


def cost(ledger: Ledger) -> Rows:
    rows: Rows = []
    for (stage,), found in by(ledger["cost"], "stage").items():
        seconds = [sum(c[name] for c in found) for name in ("wall_seconds", "cpu_seconds")]
        counts = [sum(c[name] for c in found) for name in ("model_calls", "search_calls", "cells", "cached_calls")]
        rows.append((stage, *seconds, *counts))
    return rows


Bill = dict[tuple[str, str], list[tuple[str, int, float | None]]]
"""By group: purpose, tokens and list price of each rollout that is counted for it."""


def _bill(ledger: Ledger) -> Bill:
    questions = asked(ledger)
    prices = {(p["purpose"], p["model"]): p for p in ledger["prices"]}
    taught: defaultdict[str, set[str]] = defaultdict(set)
    for t in ledger["trajectories"]:
        if t["purpose"] == "synthesis" and t["arm"] != "long_cot":
            taught[t["question_id"]].add(t["model"])
    bill: defaultdict[tuple[str, str], list[tuple[str, int, float | None]]] = defaultdict(list)
    for t in ledger["trajectories"]:
        about, price = questions[t["question_id"]], prices.get((t["purpose"], t["model"]))
        teachers = taught[t["question_id"]] if t["purpose"] == "gate" else {t["model"]} - {""}
        if t["arm"] == "long_cot":
            teachers = set()
        spent = 0 if t["arm"] == "long_cot" else t["prompt_tokens"] + t["completion_tokens"]
        paid = (
            None
            if price is None
            else (t["prompt_tokens"] * price["prompt"] + t["completion_tokens"] * price["completion"]) / 1e6
        )
        for group in (
            ("source", about["source"]),
            ("category", about["category"]),
            *(("teacher", m) for m in teachers),
        ):
            bill[group].append((t["purpose"], spent, paid))
    return bill


def _accepted(ledger: Ledger) -> Counter[tuple[str, str, str]]:
    model_of = {t["trajectory_id"]: t["model"] for t in ledger["trajectories"]}
    n = Counter[tuple[str, str, str]]()
    for o in [*kept(ledger, "select", "trajectory"), *kept(ledger, "select", "question")]:
        n["source", o["source"], o["unit"]] += 1
        n["category", o["category"], o["unit"]] += 1
        if o["unit"] == "trajectory":
            n["teacher", model_of[o["record_id"]], o["unit"]] += 1
    return n


def cost_per_row(ledger: Ledger) -> Rows:
    n = _accepted(ledger)
    rows: Rows = []
    for group, bill in _bill(ledger).items():
        counts = [n[(*group, unit)] for unit in ("trajectory", "question")]
        used = [sum(spent for p, spent, _ in bill if p == purpose) for purpose in ("gate", "synthesis")]
        paid = [[one for p, _, one in bill if p == purpose and one is not None] for purpose in ("gate", "synthesis")]
        sums = [sum(one) if one else None for one in paid]
        made, spent, money = sum(counts), sum(used), sum(one for same in paid for one in same)
        per = spent / made if made else None
        per_money = money / made if made and any(paid) else None
        told = [run(ledger, "select", count) for count in counts]
        rows.append((*group, *told, *used, per, *sums, per_money))
    return rows


def shards(ledger: Ledger) -> Rows:
    return [tuple(s[name] for name in ("shard", "format", "n_rows", "nbytes")) for s in ledger["shards"]]


def turns(ledger: Ledger) -> Rows:
    return [(*key, len(found)) for key, found in by(ledger["trajectories"], "stage", "n_turns").items()]


def tokens(ledger: Ledger) -> Rows:
    bins = Counter(
        (t["stage"], 1 << (t["completion_tokens"].bit_length() - 1))
        for t in ledger["trajectories"]
        if t["completion_tokens"] > 0 and t["arm"] != "long_cot"
    )
    return [(*key, n) for key, n in bins.items()]


def token_sums(ledger: Ledger) -> Rows:
    rows: Rows = []
    for (stage,), found in by((t for t in ledger["trajectories"] if t["arm"] != "long_cot"), "stage").items():
        completion = sorted(t["completion_tokens"] for t in found)
        prompt = sum(t["prompt_tokens"] for t in found)
        # The lower of the middle two, so that it is a rollout's own number.
        middle = completion[(len(completion) + 1) // 2 - 1]
        rows.append((stage, len(found), prompt, sum(completion), middle, completion[-1]))
    return rows


FIELDS = ("source", "category", "answer_type")


def _kept_mixes(ledger: Ledger) -> dict[tuple[str, str, str], tuple[Counter[str], Counter[str]]]:
    """Return by stage, route and field what the kept questions are of, and what was ingested."""
    began = {row["question_id"]: row for row in ledger["ingested"]}
    first = {row["question_id"]: row["ingested_id"] for row in ledger["every_question"]}
    members = defaultdict[tuple[str, str], set[str]](set)
    for o in ledger["outcomes"]:
        if o["outcome"] == "kept" and o["question_id"] in first and o["stage"] != "ingest":
            members[o["stage"], o["route"] or ""].add(first[o["question_id"]])
    members["ingest", ""] = set(began)
    return {
        (*way, field): (Counter(began[one][field] for one in ids), Counter(row[field] for row in began.values()))
        for way, ids in members.items()
        for field in FIELDS
    }


def selection_mix(ledger: Ledger) -> Rows:
    return [
        (route, field, value, now[value], share(now[value], now.total()), share(n, before.total()))
        for (stage, route, field), (now, before) in _kept_mixes(ledger).items()
        for value, n in before.items()
        if stage == "select"
    ]


def selection_shift(ledger: Ledger) -> Rows:
    """As the table, but for what changed most: by how much alone, as two values may have changed alike."""
    rows: defaultdict[tuple[str, str], dict[str, tuple[int, float, float, float]]] = defaultdict(dict)
    for (stage, route, field), (now, before) in _kept_mixes(ledger).items():
        n, whole = now.total(), before.total()
        shares = [(now[value] / n, count / whole) for value, count in before.items()]
        far = sum(abs(a - b) for a, b in shares) / 2
        drawn = (whole - n) / max(whole - 1, 1)
        blind = sum(sqrt(2 * b * (1 - b) / (pi * n) * drawn) for _, b in shares) / 2
        most = max(abs(a - b) for a, b in shares)
        rows[stage, route][field] = (n, far, blind, most)
    found: Rows = []
    for (stage, route), by_field in rows.items():
        if stage != "ingest":
            n, most = next(iter(by_field.values()))[0], max(one[3] for one in by_field.values())
            far_by = [by_field[field][1] for field in ("source", "category", "answer_type")]
            blind = max(one[2] for one in by_field.values())
            found.append((stage, route or None, n, *far_by, blind, most or None))
    return found


def way(ledger: Ledger) -> Rows:
    every = {row["question_id"]: row for row in ledger["every_question"]}
    reached = {("ingest", "", row["question_id"]) for row in ledger["ingested"]}
    for o in ledger["outcomes"]:
        if o["outcome"] == "kept" and o["question_id"] in every:
            route = o["route"] if o["stage"] in {"gate2", "select"} else ""
            reached.add((o["stage"], route, every[o["question_id"]]["ingested_id"]))
    columns = [
        *(("ingest", ""), ("screen", ""), ("decontaminate", ""), ("gate1", ""), ("gate2", "rl"), ("gate2", "sft")),
        *(("validate", ""), ("select", "sft"), ("select", "rl")),
    ]
    ran = order(ledger)
    kinds = {row["ingested_id"]: (row["source"], row["ingested_type"]) for row in ledger["every_question"]}
    return [
        (
            *kind,
            *(
                sum((*column, one) in reached for one, own in kinds.items() if own == kind)
                if column[0] in ran
                else None
                for column in columns
            ),
        )
        for kind in sorted(set(kinds.values()))
    ]


def teacher_yield(ledger: Ledger) -> Rows:
    every = {row["question_id"]: row for row in ledger["every_question"]}
    valid = {o["record_id"] for o in kept(ledger, "validate", "trajectory")}
    asked_of = by(
        (
            {**t, **{name: every[t["question_id"]][name] for name in ("source", "ingested_type")}}
            for t in ledger["trajectories"]
            if t["purpose"] == "synthesis" and t["parent"] is None
        ),
        *("source", "ingested_type", "model"),
    )
    rows: Rows = []
    for key, tried in asked_of.items():
        passed = [t for t in tried if t["trajectory_id"] in valid]
        questions = {t["question_id"] for t in tried}
        counts = (
            len(tried),
            sum(t["finish"] == "answer" for t in tried),
            sum(t["verdict"] == "right" for t in tried),
            len(passed),
        )
        rows.append((*key, len(questions), *counts, share(len({t["question_id"] for t in passed}), len(questions))))
    return rows


def validators(ledger: Ledger) -> Rows:
    ends = {o["record_id"]: o for o in ledger["outcomes"] if o["stage"] == "validate"}
    against = [d for d in ledger["decisions"] if d["outcome"] != "keep" and d["trajectory_id"] in ends]
    together = Counter(d["trajectory_id"] for d in against)
    served = {o["question_id"] for o in ends.values() if o["outcome"] == "kept"}
    rows: Rows = []
    for key, found in by(against, "filter", "reason").items():
        told = [(d, ends[d["trajectory_id"]]) for d in found]
        alone = [o for d, o in told if together[d["trajectory_id"]] == 1]
        scores = [d["score"] for d in found if d["score"] is not None]
        first = sum(o["detail"] == d["filter"] for d, o in told)
        gained = {o["question_id"] for o in alone} - served
        middle = median(scores) if scores else None
        rows.append((*key, len(found), first, len(alone), len(gained), middle))
    return rows


def large_losses(ledger: Ledger) -> Rows:
    """From three records and a tenth of a stage's input on (`docs/debugging.md`)."""
    went = Counter((o["stage"], o["unit"]) for o in ledger["outcomes"])
    found = by((o for o in ledger["outcomes"] if o["outcome"] != "kept"), "stage", "unit", "outcome", "reason")
    return [
        (stage, reason, len(rows), share(len(rows), went[stage, unit]), cause(stage, reason))
        for (stage, unit, _, reason), rows in found.items()
        if len(rows) >= 3 and 10 * len(rows) >= went[stage, unit]
    ]


def samples(ledger: Ledger) -> Rows:
    places, questions = order(ledger), asked(ledger)
    of = {t["trajectory_id"]: t["question_id"] for t in ledger["trajectories"]}
    last: dict[str, Row] = {}
    for o in sorted((o for o in ledger["outcomes"] if o["unit"] == "trajectory"), key=lambda o: places[o["stage"]]):
        last[o["record_id"]] = o
    found = []
    for t in ledger["trajectories"]:
        if t["trajectory_id"] in last:
            o, q = last[t["trajectory_id"]], questions[t["question_id"]]
            picture = q["images"][0] if q["images"] else {}
            shown = [picture.get(name) for name in ("sha256", "width", "height")]
            about = (t["trajectory_id"], q["category"], q["source"], o["outcome"], o["stage"], o["reason"], q["text"])
            found.append((*about, t["answer"], t["verdict"], t["n_turns"], *shown))
    found.sort(key=lambda row: (row[3], row[1], row[0]))
    once = {(row[3], of[row[0]]): row for row in reversed(found)}
    found = [row for row in found if once[row[3], of[row[0]]] == row]
    return [row for _, same in groupby(found, key=lambda row: (row[3], row[1])) for row in [*same][:3]]


def duplicate_verdicts(ledger: Ledger) -> Rows:
    """Repeats, questions of one cluster whose answers differ, and near texts; the corpus has no conflicts."""
    assert not ledger["conflicts"]
    pairs: dict[frozenset[str], tuple[str, str]] = {}
    first = {
        cluster: min(d["question_id"] for d in found if d["question_id"] == d["representative"])
        for (cluster,), found in by(ledger["duplicates"], "cluster_id").items()
    }
    for d in ledger["duplicates"]:
        one, kept_one = d["question_id"], d["representative"]
        if one != kept_one:
            pairs[frozenset({one, kept_one})] = ("dropped: a repeat", one)
        elif one != first[d["cluster_id"]]:
            pairs[frozenset({one, first[d["cluster_id"]]})] = ("kept: answers differ", one)
    for near in ledger["near_texts"]:
        word = "dropped: near text" if near["dropped"] else "kept: near text"
        pairs.setdefault(frozenset({near["question_id"], near["other"]}), (word, near["question_id"]))
    found: defaultdict[str, list[str]] = defaultdict(list)
    for word, one in pairs.values():
        found[word].append(one)
    return [(word, len(ids), min(ids)) for word, ids in found.items()]


RECOMPUTED: Mapping[str, Callable[[Ledger], Rows]] = {
    "help": help_,
    **{
        one.__name__: one
        for one in (
            *(funnel, reasons, rights, personal_data, near_texts, benchmark_hits, routes, gates),
            *(without_answer, guess_floor, placebo, benefit, unjudged, arms, endings, yield_by_teacher, mix, tool_mix),
            *(
                dropped_hits,
                execution,
                replays,
                cost,
                cost_per_row,
                shards,
                turns,
                tokens,
                token_sums,
                selection_shift,
                *(way, teacher_yield, validators, large_losses),
                selection_mix,
            ),
            *(samples, duplicate_verdicts),
        )
    },
}
"""By the name of the table."""
