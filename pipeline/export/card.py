"""The card of an export (`README.md`): what it holds, how to load it, and what it is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import yaml

from pipeline.export.layout import Facts, Format
from pipeline.export.rows import ExportContext, RlRow, Sample, SftRow

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
`data.filter_overlong_prompts=True`. Resize images to at most {max_pixels} pixels. The environment answers
`image_search` only for rows whose `extra_info.index` is in its own cache, and its text search is a
placeholder: rows of `data_source` search need a search service of your own.""",
    "verl": """\
Give the files under `data/` to `data.train_files`. Rewards are routed by `data_source`, for which verl has
no function of its own: set a custom reward function; `extra_info` holds all golds (`answers`, a JSON
list), `answer_type` and `tolerance` (relative, empty for exact). {verl_calls}
`max_tool_response_length` cuts at 256 characters unless raised. Resize images to at most {max_pixels} pixels.""",
}

_VERL_CALLS: dict[str, str] = {
    "deepeyesv2": """\
The prompt is written in the dialect
`deepeyesv2`: verl's own tool parser reads `<tool_call>` blocks, so `<code>` blocks need an agent loop that
reads them.""",
    "tool_call": """\
verl's tool parser `hermes` reads
the calls; configure tools named `python`, `image_search` and `search`. The system text holds their schemas
already, so an agent loop that hands schemas to the chat template shows them twice.""",
}

_CALLS: dict[str, str] = {
    "deepeyesv2": "",
    "tool_call": """ A call is text of an assistant
message, JSON in `<tool_call>`; its result is a user message in `<tool_response>`; the system text holds the
schemas in `<tools>`. This is the text that chat templates of Hermes and Qwen make of calls that are given as
structure, so train on the messages as they are: a column or argument `tools` would show the schemas twice.""",
}

# Bounds of the hub's own size classes.
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def render_card(
    facts: Facts, samples: Sequence[Sample[SftRow]] | Sequence[Sample[RlRow]], context: ExportContext, content: str
) -> str:
    """Return the README of an export whose rows have the hash `content`."""
    use = _USE[facts.format].format(
        max_pixels=facts.student.max_pixels,
        cutoff_len=facts.student.cutoff_len,
        verl_calls=_VERL_CALLS[facts.dialect],
    )
    sections = [
        f"# {facts.name}: {facts.shard}, {facts.format}",
        _what(facts, len(samples)),
        "## Use\n\n" + use + ("\n\n" + _EMPTY if not samples else ""),
        "## Rows\n\n" + _counts(samples),
        "## Sources\n\n" + _sources(facts, samples, context),
        "## Student\n\n" + _table(("field", "value"), [(k, str(v)) for k, v in facts.student.model_dump().items()]),
        "## Prompts\n\n" + _table(("role", "sha256"), sorted(facts.prompts.items())),
    ]
    if facts.refused:
        refused = [(r.record_id, r.reason, r.detail) for r in facts.refused]
        sections.append("## Left out\n\n" + _table(("record", "reason", "detail"), refused))
    return f"---\n{_front_matter(facts, samples, content)}---\n\n" + "\n\n".join(sections) + "\n"


_EMPTY = """\
This export holds no row. `datasets` (as of 5.2) cannot load zero rows except with `streaming=True`."""


def _front_matter(facts: Facts, samples: Sequence[Sample[SftRow]] | Sequence[Sample[RlRow]], content: str) -> str:
    licences = sorted({sample.question.licence for sample in samples})
    header = {
        "pretty_name": f"{facts.name} {facts.shard}",
        "license": licences[0].lower() if len(licences) == 1 else "other",
        "task_categories": ["image-text-to-text"],
        "tags": ["tool-use", "visual-question-answering", "coldforge"],
        "size_categories": [next((name for bound, name in _SIZES if len(samples) < bound), "n>1M")],
        # Named by content: `datasets` keeps one cache for equal folder and configuration names.
        "configs": [
            {
                "config_name": f"{facts.shard}-{content[:16]}",
                "data_files": [{"split": "train", "path": _DATA_FILES[facts.format]}],
            }
        ],
    }
    return yaml.safe_dump(header, sort_keys=False, allow_unicode=True)


def _what(facts: Facts, rows: int) -> str:
    if facts.shard == "sft":
        what = (
            f"{rows} cold-start trajectories: a teacher thinks, runs Python on the image, searches, reads what came "
            "back and answers. Every call was executed, every answer graded. All assistant turns may carry loss."
        )
    else:
        what = (
            f"{rows} questions for reinforcement learning with tools: the base model solves them more often with "
            "tools than without. Answers can be checked by a rule."
        )
    return what + f" Tool calls are written in the dialect `{facts.dialect}`.{_CALLS[facts.dialect]}"


def _counts(samples: Sequence[Sample[SftRow]] | Sequence[Sample[RlRow]]) -> str:
    counts = Counter((sample.question.category, sample.question.source) for sample in samples)
    rows = [(category, source, str(n)) for (category, source), n in sorted(counts.items())]
    return _table(("category", "source", "rows"), rows)


def _sources(facts: Facts, samples: Sequence[Sample[SftRow]] | Sequence[Sample[RlRow]], context: ExportContext) -> str:
    used = sorted({(s.question.source, s.question.source_revision, s.question.licence) for s in samples})
    rows = [(name, revision, licence, context.sources.get(name, "")) for name, revision, licence in used]
    if facts.shard == "sft" and context.corpus is not None:
        # What image searches showed is among the images of a trajectory, under the terms of where it was found.
        rows.append((f"{context.corpus} (pictures found)", "", "", context.sources.get(context.corpus, "")))
    return _table(("source", "revision", "licence", "terms"), rows)


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    """Keep foreign text inside its cell."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
