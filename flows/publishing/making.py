"""The part of the card that says how the rows were made: models, prompts, gates, funnel, tools."""

from __future__ import annotations

from collections.abc import Mapping

from flows.publishing.facts import UNITS, CardFacts
from flows.publishing.figures import percent, whole
from flows.publishing.markdown import code, fence, fold, table, text
from flows.report.tables import Table

FOLDER = "card"
"""What the card shows lies there: pictures of its examples, texts of prompts."""
NOT_MEASURED = "not measured"

_PARTS: Mapping[str, str] = {
    "base": "base: asked at both gates",
    "stronger": "stronger: what it solves is not hard",
    "teacher": "teacher: writes trajectories",
    "judge": "judge: votes where no rule decides",
    "long_cot": "no model: solutions of the source",
}


def prompt_path(role: str) -> str:
    """Return where the text of a prompt lies, from the root of the repository."""
    return f"{FOLDER}/prompts/{role.replace('/', '-')}.md"


def prompt_page(role: str, sha256: str, system: str, user: str) -> str:
    """Return the page of a prompt's text."""
    return (
        f"# {role}\n\nsha256 of both texts, as the manifests list it: `{sha256}`\n\n"
        f"## System\n\n{fence(system, 'text')}\n\n## First user message\n\n{fence(user, 'text')}\n"
    )


def how_it_was_made(facts: CardFacts) -> str:
    """Return models, prompts, gates, funnel and tools."""
    models = [(_PARTS[model.part], code(model.name), model.samples) for model in facts.models]
    prompts = [(f"[{p.role}]({prompt_path(p.role)})", f"`{p.sha256[:16]}…`") for p in facts.prompts]
    parts = [
        "### Models",
        table(("part", "model and revision", "samples"), models),
        _views(facts),
        fold("Prompts, with their texts", table(("role", "sha256"), prompts)),
        "### Gates",
        _gates(facts),
        "### Funnel",
        _funnel(facts.funnel),
        fold("Why records stopped", _reasons(facts)),
    ]
    if facts.tools:
        parts += ["### Tools", _tools(facts)]
    return "\n\n".join(parts)


def _views(facts: CardFacts) -> str:
    size = "at the student's size" if facts.student.view == "student" else "at their own size"
    return (
        f"Models saw images {size} (`{facts.student.family}`, at most {facts.student.max_pixels:,} pixels for the "
        "student); the sandbox in which code ran had the originals."
    )


def _gates(facts: CardFacts) -> str:
    gate = facts.gates
    if not gate:
        return "This run has asked no gate."
    enough = "by the interval of the difference" if gate["rule"] == "interval" else "by count"
    said = (
        f"Gate 1 asks the base model {gate['k']} times without tools; a question that it gets right at most "
        f"{gate['max_plain_right']} of {gate['k']} times is hard and goes on. Gate 2 asks {gate['k']} times with "
        f"tools, every call executed. What is then right more often ({enough}), and {gate['min_tools_right']} or more "
        "times after a call that could have carried the answer, goes to `rl`; the rest goes to teachers."
    )
    parts = [said]
    if facts.placebo.rows:
        lines = [
            (text(str(name)), whole(n), whole(passed), percent(share), f"{percent(low)} to {percent(high)}")
            for name, n, passed, share, low, high in facts.placebo.rows
        ]
        parts += [
            "The **placebo** asks a part once more without tools: what it would send to `rl` is sent by chance.",
            table(("asked again", "questions", "would pass", "share", "95 % interval"), lines),
        ]
    else:
        parts.append(f"Placebo rate: {NOT_MEASURED} (`gate.fresh_share`).")
    for questions, net, low, high in facts.benefit.rows:
        interval = "" if low is None else f" (95 %: {percent(low)} to {percent(high)})"
        parts.append(f"Net benefit of tools over {whole(questions):,} questions: {percent(net)} of rollouts{interval}.")
    if facts.arms.rows:
        beside = [
            (str(stage), _arm(str(arm), whole(pixels)), code(str(model)), whole(n), percent(right), percent(solved))
            for stage, arm, pixels, model, n, right, solved, _, _ in facts.arms.rows
        ]
        parts += [
            "Asked beside the gates:",
            table(("stage", "how", "model", "questions", "right", "no longer hard"), beside),
        ]
    return "\n\n".join(parts)


def _arm(arm: str, pixels: int) -> str:
    named = {"blind": "without the image", "fresh": "once more without tools", "stronger": "another model"}
    return named.get(arm, f"at {pixels:,} pixels")


def _funnel(funnel: Table) -> str:
    lines = [
        (
            str(stage),
            str(unit),
            whole(n_in),
            whole(kept),
            whole(rejected),
            whole(quarantined),
            "" if past is None else whole(past),
            percent(share),
        )
        for stage, unit, n_in, kept, rejected, quarantined, past, share in funnel.rows
    ]
    header = ("stage", "unit", "in", "kept", "rejected", "quarantined", "routed past", "kept of in")
    return table(header, [tuple(f"{cell:,}" if isinstance(cell, int) else cell for cell in line) for line in lines])


def _reasons(facts: CardFacts) -> str:
    lines = [
        (str(stage), str(unit), str(outcome), f"`{reason}`", whole(n))
        for stage, unit, outcome, reason, n in facts.reasons.rows
    ]
    lines += [
        ("publish", UNITS[shard], "rejected", f"`{reason}`", n) for (shard, reason), n in sorted(facts.left_out.items())
    ]
    return table(("stage", "unit", "outcome", "reason", "records"), lines) if lines else "None did."


def _tools(facts: CardFacts) -> str:
    lines = [(f"`{action}`", f"`{status}`", n) for (action, status), n in sorted(facts.tools.items())]
    parts = [
        table(("tool, in `sft`", "how its call ended", "calls"), lines),
        f"Tools showed {facts.shown:,} pictures. Code ran in an isolated session without a network; "
        + (
            f"searches were answered from {code(facts.corpus)}." if facts.corpus is not None else "there was no search."
        ),
    ]
    for verdict, replays in sorted(facts.replays.items()):
        parts.append(
            f"Executed again before they were kept, with the outcome `{verdict}`: {replays.rows:,} rows, "
            f"{replays.executed:,} of them with code, {replays.cells:,} cells."
        )
    return "\n\n".join(parts)
