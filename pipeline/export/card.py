"""The card of an export (`README.md`): what it holds, how to load it, and what it is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import yaml

from pipeline.amounts import counted
from pipeline.export.configurations import configurations
from pipeline.export.layout import Facts, Format, MixPart, Shard, facts_digest
from pipeline.export.rows import Refused, SharedPictures, Split
from pipeline.export.tally import Tally
from pipeline.export.usage import usage
from pipeline.prompts.sets import for_search
from pipeline.records import Lane, Terms

_CALLS: dict[str, str] = {
    "deepeyesv2": "",
    "tool_call": """ A call is text of an assistant
message, JSON in `<tool_call>`; its result is a user message in `<tool_response>`; the system text holds the
schemas in `<tools>`. This is the text that chat templates of Hermes and Qwen make of calls that are given as
structure, so train on the messages as they are: a column or argument `tools` would show the schemas twice.""",
}

_LANES: dict[Lane, str] = {
    "tools": "a teacher thinks, runs Python on the image[search], searches[/search], reads what came back and answers",
    "no_call": "told of the same tools, a teacher answers a question that needs none without calling one",
    "plain_cot": "without tools and without a word of them, a teacher reasons and answers",
    "long_cot": "a text-only source's own long solution under the same prompt without tools, its answer graded again",
}

_LABELS = """\
What the run measured of each question, a JSON object; null where it did not. Valid rollouts are those of the base model
that were graded right or wrong.

- `plain_right` of `plain_valid`: without tools. `difficulty`: the share of wrong ones, null where asking was stopped
  early.
- `tools_right` of `tools_valid`: right with tools, after a call that could have carried the answer.
- `benefit`: share right with tools, called for or not, minus that of fresh rollouts without; `benefit_low` and
  `benefit_high` are the ends of its 95 % interval (Newcombe), which is wide for a single question.
- `blind_right` of `blind_valid`: without the image. `chance`: of guessing right without seeing anything.
- `resolution_artifact`: easy at the student's `deploy_pixels`, so hard for nothing but the smaller budget here.
- `majority_answer`, `majority_share`, `is_majority`: the most frequent answer among questions of the same template, its
  share, and whether it is this question's; null where no other is worded alike."""

_IN_ROWS = "field `labels` of `rows.jsonl`, beside `lane`: the loader gets only what it reads"
_IN_EXTRA = "field `question_labels` of `extra_info`"


def _labels_at(shard: Shard, kind: Format) -> str:
    """Return where the labels of a row stand."""
    if kind in {"huggingface", "trl"}:
        return "column `question_labels`"
    return _IN_ROWS if shard == "sft" else _IN_EXTRA


_PERSONAL = """\
Found by patterns and checksums in questions, answers, thoughts, code and observations: e-mail addresses, phone numbers,
IBAN, payment cards, national ids, precise coordinates, IP addresses; `person_identity` is a question that asks who its
picture shows. Names, street addresses and faces are not looked for, and no text was changed. Per row, as kinds and how
often: """


def _personal_at(shard: Shard, kind: Format) -> str:
    """Return where it stands how much personal data was found in a row."""
    if kind in {"huggingface", "trl"}:
        return "column `personal_data`"
    return "field `personal_data` of " + ("`rows.jsonl`" if shard == "sft" else "`extra_info`")


# Bounds of the hub's own size classes.
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def render_card(facts: Facts, tally: Tally, shared: SharedPictures | None, files: Sequence[str]) -> str:
    """Return the README of an export with these data files; `shared` is None where there is one shard."""
    configs, mix = configurations(facts.shard, files), tally.mix.parts()
    sections = [
        f"# {facts.name}: {facts.shard}, {facts.format}",
        _what(facts, tally.rows.total(), mix),
        *([_disjoint(shared)] if shared is not None else []),
        "## Use\n\n" + usage(facts) + (_BY_LICENCE if len(configs) > 1 else ""),
        "## Rows\n\n" + _counts(facts, tally),
        *(["## Mix\n\n" + _mix(facts, mix)] if mix else []),
        f"## Labels\n\nIn {_labels_at(facts.shard, facts.format)}.\n\n{_LABELS}",
        f"## Personal data\n\n{_PERSONAL}{_personal_at(facts.shard, facts.format)}.\n\n{_personal(tally)}",
        "## Sources\n\n" + _sources(facts, tally),
        "## Benchmarks\n\n" + _benchmarks(facts),
        "## Student\n\n" + _table(("field", "value"), [(k, str(v)) for k, v in facts.student.identity().items()]),
        "## Prompts\n\n" + _table(("role", "sha256"), sorted(facts.prompts.items())),
    ]
    if facts.refused:
        lines = _left_out(facts.refused)
        sections.append(f"## Left out\n\n{_LEFT_OUT}\n\n" + _table(("reason", "rows", "such as"), lines))
    sections.append(f"Made of what `manifest.json` says, sha256 {facts_digest(facts)}.")
    return f"---\n{_front_matter(facts, tally, configs)}---\n\n" + "\n\n".join(sections) + "\n"


def _left_out(refused: Sequence[Refused]) -> list[tuple[str, str, str]]:
    """Return reason, rows and an example; of tombstones, whose details are as few as their ways, each has its line."""
    kinds = {(row.reason, row.detail if row.reason == "tombstone" else ""): row.detail for row in refused}
    rows = Counter((row.reason, row.detail if row.reason == "tombstone" else "") for row in refused)
    return [(kind[0], str(n), kinds[kind]) for kind, n in sorted(rows.items())]


_LEFT_OUT = "`manifest.json` names each of these rows."

_BY_LICENCE = """
The configurations named by a licence hold the rows whose annotations are under it: load those that you may use."""


def _front_matter(facts: Facts, tally: Tally, configs: list[dict[str, Any]]) -> str:
    licences, rows = tally.licences, tally.rows.total()
    header = {
        "pretty_name": f"{facts.name} {facts.shard}",
        "license": licences[0].lower() if len(licences) == 1 else "other",
        "task_categories": ["image-text-to-text"],
        "tags": ["tool-use", "visual-question-answering", "coldforge"],
        "size_categories": [next((name for bound, name in _SIZES if rows < bound), "n>1M")],
        "configs": configs,
    }
    return yaml.safe_dump(header, sort_keys=False, allow_unicode=True)


def _what(facts: Facts, rows: int, mix: Sequence[MixPart]) -> str:
    one = rows == 1
    if facts.shard == "sft":
        lanes = dict.fromkeys(part.lane for part in mix)
        taught = {lane: for_search(_LANES[lane], search=facts.corpus is not None) for lane in lanes}
        what = (
            f"{rows} cold-start {'trajectory' if one else 'trajectories'}. Every call was executed, every "
            "answer graded. All assistant turns may carry loss.\n\n"
            + "".join(f"- `{lane}`: {text}.\n" for lane, text in taught.items())
        ).rstrip()
        what += "\n\n" if mix else " "
    else:
        what = (
            f"{rows} question{'' if one else 's'} for reinforcement learning with tools: the base model solves "
            f"{'it' if one else 'them'} more often with tools than without. Answers can be checked by a rule. "
        )
    return what + f"Tool calls are written in the dialect `{facts.dialect}`.{_CALLS[facts.dialect]}"


def _disjoint(shared: SharedPictures) -> str:
    return (
        "The shards `sft` and `rl` of this run share no question: none of equal text over the same or nearly the same "
        f"pictures, whatever its answer. They may share pictures: {shared}."
    )


def _counts(facts: Facts, tally: Tally) -> str:
    splits = [f"{rows:,} to {_SPLITS[split]}" for split, rows in sorted(tally.splits.items())]
    if facts.validation and "validation" not in tally.splits:
        splits.append(
            f"none to validate with: of its clusters, none fell in the {facts.validation:.1%} that are for that"
        )
    if "train" not in tally.splits:
        splits.append("none to train on, and so no kit")
    rows = [(category, source, str(n)) for (category, source), n in sorted(tally.rows.items())]
    corrected = f" {counted(tally.edited, 'row')} corrected by people."
    told = f"{', '.join(splits)}.{corrected if tally.edited else ''}"
    return f"{told}\n\n" + _table(("category", "source", "rows"), rows)


_SPLITS: dict[Split, str] = {"train": "train on", "validation": "validate with (no picture and no question in both)"}


def _mix(facts: Facts, mix: Sequence[MixPart]) -> str:
    """Return rows and loss tokens side by side: a lane of long rows weighs more in training than its rows say."""
    rows, tokens = sum(part.rows for part in mix), sum(part.loss_tokens for part in mix)
    lines = [
        (
            *(part.lane, part.category, str(part.rows), _percent(part.rows, rows)),
            *(str(part.loss_tokens), _percent(part.loss_tokens, tokens)),
        )
        for part in mix
    ]
    header = ("lane", "category", "rows", "of rows", "loss tokens", "of loss tokens")
    return _table(header, lines) + f"\n\nLoss tokens are those of assistant messages, counted by: {facts.tokens}."


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else ""


def _personal(tally: Tally) -> str:
    rows = [(kind, str(n)) for kind, n in sorted(tally.personal.items())]
    return _table(("kind", "rows"), rows) if rows else "None was found."


def _sources(facts: Facts, tally: Tally) -> str:
    rows = [
        (name, revision, licence, *_terms(facts.sources.get(name))) for name, revision, licence in sorted(tally.sources)
    ]
    if facts.shard == "sft" and facts.corpus is not None:
        # What image searches showed is among the images of a trajectory, under the terms of where it was found.
        rows.append((f"{facts.corpus} (pictures found)", "", "", *_terms(facts.sources.get(facts.corpus))))
    header = ("source", "revision", "licence", "licence of pictures", "pictures may be passed on", "from", "by")
    return _table(header, rows)


def _terms(said: Terms | None) -> tuple[str, str, str, str]:
    if said is None:
        return ("", "", "", "")
    passed_on = {True: "yes", False: "no", None: "nobody has said"}[said.redistributable]
    return (said.licence_images, passed_on, said.source_url, said.attribution)


def _benchmarks(facts: Facts) -> str:
    if not facts.benchmarks:
        return "None was checked: rows may be of any benchmark (`benchmarks` of the recipe)."
    return "No row is of these, as far as could be found.\n\n" + _table(
        ("benchmark", "checked"), sorted(facts.benchmarks.items())
    )


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    """Keep foreign text inside its cell."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
