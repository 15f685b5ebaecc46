"""The card of an export (`README.md`): what it holds, how to load it, and what it is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import yaml

from pipeline.export.layout import Facts, Format, MixPart, licence_folder
from pipeline.export.rows import ExportContext, RlRow, Sample, SftRow, SharedPictures
from pipeline.prompts.sets import for_search
from pipeline.records import Lane, Terms

_DATA_FILES: dict[Format, str] = {
    "llamafactory": "sft-*.json",
    "huggingface": "data/*.parquet",
    "deepeyesv2": "data/*.parquet",
    "verl": "data/*.parquet",
}

_USE: dict[Format, str] = {
    "llamafactory": """\
Set `dataset_dir` to this directory and `dataset` to a name of `dataset_info.json`. Set `image_max_pixels`
to {max_pixels} and `cutoff_len` to at least {cutoff_len}. Image paths are relative to this directory.""",
    "huggingface": """\
`datasets.load_dataset("<this directory>", split="train")`; images decode on access. `<image>` in a text
stands for the next image of the row. Resize images to at most {max_pixels} pixels, as in the rollouts.""",
    "deepeyesv2": """\
Give the files under `data/` to `data.train_files`; set `data.tool_name_key=env_name` and
`data.filter_overlong_prompts=True`. Resize images to at most {max_pixels} pixels. The ground truth of a
question with options is letter and option (`B. Paris`), for the judge to compare.[search] The environment answers
`image_search` only for rows whose `extra_info.index` is in its own cache, and its text search is a
placeholder: rows of `data_source` search need a search service of your own.[/search]""",
    "verl": """\
Give the files under `data/` to `data.train_files`. Rewards are routed by `data_source`, for which verl has
no function of its own: set a custom reward function; `extra_info` holds the `question` as it was asked, all
golds (`answers`, a JSON list; letters where `choices`, a JSON list of the options, is not empty), `answer_type` and
`tolerance` (relative, empty for exact). {verl_calls}
`max_tool_response_length` cuts at 256 characters unless raised. Resize images to at most {max_pixels} pixels.""",
}

_VERL_CALLS: dict[str, str] = {
    "deepeyesv2": """\
The prompt is written in the dialect
`deepeyesv2`: verl's own tool parser reads `<tool_call>` blocks, so `<code>` blocks need an agent loop that
reads them.""",
    "tool_call": """\
verl's tool parser `hermes` reads
the calls; configure [search]tools named `python`, `image_search` and `search`[/search][no search]a tool
named `python`[/no search]. The system text holds all schemas already, so an agent loop that hands schemas to
the chat template shows them twice.""",
}

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
  share, and whether it is this question's."""

_LABELS_AT: dict[Format, str] = {
    "llamafactory": "field `labels` of `rows.jsonl`, beside `lane`: the loader gets only what it reads",
    "huggingface": "column `question_labels`",
    "deepeyesv2": "field `question_labels` of `extra_info`",
    "verl": "field `question_labels` of `extra_info`",
}

_PERSONAL = """\
Found by patterns and checksums in questions, answers, thoughts, code and observations: e-mail addresses, phone numbers,
IBAN, payment cards, national ids, precise coordinates, IP addresses; `person_identity` is a question that asks who its
picture shows. Names, street addresses and faces are not looked for, and no text was changed. Per row, as kinds and how
often: """

_PERSONAL_AT: dict[Format, str] = {
    **dict.fromkeys(_LABELS_AT, "field `personal_data` of `extra_info`"),
    "llamafactory": "field `personal_data` of `rows.jsonl`",
    "huggingface": "column `personal_data`",
}

# Bounds of the hub's own size classes.
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def render_card(
    facts: Facts,
    samples: Sequence[Sample[SftRow]] | Sequence[Sample[RlRow]],
    context: ExportContext,
    content: str,
    mix: Sequence[MixPart],
) -> str:
    """Return the README of an export whose rows have the hash `content`."""
    use = _USE[facts.format].format(
        max_pixels=facts.student.max_pixels,
        cutoff_len=facts.student.cutoff_len,
        verl_calls=_VERL_CALLS[facts.dialect],
    )
    folders = _folders(facts, samples, context)
    use = for_search(use, search=facts.corpus is not None) + (_SPLIT if folders else "")
    sections = [
        f"# {facts.name}: {facts.shard}, {facts.format}",
        _what(facts, len(samples), mix),
        *([_disjoint(context.shared)] if context.shared is not None else []),
        "## Use\n\n" + use + ("\n\n" + _EMPTY if not samples else ""),
        "## Rows\n\n" + _counts(samples),
        *(["## Mix\n\n" + _mix(facts, mix)] if mix else []),
        f"## Labels\n\nIn {_LABELS_AT[facts.format]}.\n\n{_LABELS}",
        f"## Personal data\n\n{_PERSONAL}{_PERSONAL_AT[facts.format]}.\n\n{_personal(samples)}",
        "## Sources\n\n" + _sources(facts, samples, context),
        "## Benchmarks\n\n" + _benchmarks(facts),
        "## Student\n\n" + _table(("field", "value"), [(k, str(v)) for k, v in facts.student.identity().items()]),
        "## Prompts\n\n" + _table(("role", "sha256"), sorted(facts.prompts.items())),
    ]
    if facts.refused:
        refused, details = Counter(row.reason for row in facts.refused), {r.reason: r.detail for r in facts.refused}
        lines = [(reason, str(rows), details[reason]) for reason, rows in sorted(refused.items())]
        sections.append(f"## Left out\n\n{_LEFT_OUT}\n\n" + _table(("reason", "rows", "such as"), lines))
    front_matter = _front_matter(facts, samples, _configs(facts, content, folders))
    return f"---\n{front_matter}---\n\n" + "\n\n".join(sections) + "\n"


_LEFT_OUT = "`manifest.json` names each of these rows."

_SPLIT = """
The configurations named by a licence hold the rows whose annotations are under it: load those that you may use."""

_EMPTY = """\
This export holds no row. `datasets` (as of 5.2) cannot load zero rows except with `streaming=True`."""


def _folders(
    facts: Facts, samples: Sequence[Sample[SftRow]] | Sequence[Sample[RlRow]], context: ExportContext
) -> Sequence[str]:
    """Return the folders of an export that is split by licence; none of any other."""
    split = context.split_by_licence and facts.format == "huggingface"
    return sorted({licence_folder(sample.question.licence) for sample in samples}) if split else ()


def _configs(facts: Facts, content: str, folders: Sequence[str]) -> list[dict[str, Any]]:
    """Return the configurations, named by content: `datasets` keeps one cache for equal folders and names."""
    paths: dict[str, str] = {facts.shard: "data/*/*.parquet" if folders else _DATA_FILES[facts.format]}
    paths |= {f"{facts.shard}-{folder.rpartition('/')[2]}": f"{folder}/*.parquet" for folder in folders}
    configs: list[dict[str, Any]] = [
        {"config_name": f"{name}-{content[:16]}", "data_files": [{"split": "train", "path": path}]}
        for name, path in paths.items()
    ]
    # Of several the whole is what is loaded without a name.
    return configs if not folders else [{**configs[0], "default": True}, *configs[1:]]


def _front_matter(
    facts: Facts, samples: Sequence[Sample[SftRow]] | Sequence[Sample[RlRow]], configs: list[dict[str, Any]]
) -> str:
    licences = sorted({sample.question.licence for sample in samples})
    header = {
        "pretty_name": f"{facts.name} {facts.shard}",
        "license": licences[0].lower() if len(licences) == 1 else "other",
        "task_categories": ["image-text-to-text"],
        "tags": ["tool-use", "visual-question-answering", "coldforge"],
        "size_categories": [next((name for bound, name in _SIZES if len(samples) < bound), "n>1M")],
        "configs": configs,
    }
    return yaml.safe_dump(header, sort_keys=False, allow_unicode=True)


def _what(facts: Facts, rows: int, mix: Sequence[MixPart]) -> str:
    if facts.shard == "sft":
        lanes = dict.fromkeys(part.lane for part in mix)
        taught = {lane: for_search(_LANES[lane], search=facts.corpus is not None) for lane in lanes}
        what = (
            f"{rows} cold-start trajectories. Every call was executed, every answer graded. All assistant turns may "
            "carry loss.\n\n" + "".join(f"- `{lane}`: {text}.\n" for lane, text in taught.items())
        ).rstrip()
        what += "\n\n" if mix else " "
    else:
        what = (
            f"{rows} questions for reinforcement learning with tools: the base model solves them more often with "
            "tools than without. Answers can be checked by a rule. "
        )
    return what + f"Tool calls are written in the dialect `{facts.dialect}`.{_CALLS[facts.dialect]}"


def _disjoint(shared: SharedPictures) -> str:
    return (
        "The shards `sft` and `rl` of this run share no question: none of equal text over the same or nearly the same "
        f"pictures, whatever its answer. They may share pictures: {shared}."
    )


def _counts(samples: Sequence[Sample[SftRow]] | Sequence[Sample[RlRow]]) -> str:
    counts = Counter((sample.question.category, sample.question.source) for sample in samples)
    rows = [(category, source, str(n)) for (category, source), n in sorted(counts.items())]
    return _table(("category", "source", "rows"), rows)


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


def _personal(samples: Sequence[Sample[SftRow]] | Sequence[Sample[RlRow]]) -> str:
    rows = Counter(kind for sample in samples for kind in sample.row.personal_data)
    return _table(("kind", "rows"), [(kind, str(n)) for kind, n in sorted(rows.items())]) if rows else "None was found."


def _sources(facts: Facts, samples: Sequence[Sample[SftRow]] | Sequence[Sample[RlRow]], context: ExportContext) -> str:
    used = sorted({(s.question.source, s.question.source_revision, s.question.licence) for s in samples})
    rows = [(name, revision, licence, *_terms(context.sources.get(name))) for name, revision, licence in used]
    if facts.shard == "sft" and context.corpus is not None:
        # What image searches showed is among the images of a trajectory, under the terms of where it was found.
        rows.append((f"{context.corpus} (pictures found)", "", "", *_terms(context.sources.get(context.corpus))))
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
