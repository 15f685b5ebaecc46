"""The card of a whole data set, as the hub shows it: from facts alone, so that equal runs have equal cards."""

from __future__ import annotations

from collections.abc import Mapping

from flows.publishing.bounds import limits, personal, unmeasured, use
from flows.publishing.example import Example
from flows.publishing.facts import CardFacts
from flows.publishing.figures import percent, size
from flows.publishing.head import front_matter
from flows.publishing.making import FOLDER, how_it_was_made, prompt_path
from flows.publishing.markdown import code, fence, fold, table, text
from flows.publishing.terms import kept_out, sources
from pipeline.amounts import counted
from pipeline.export.rows import SharedPictures
from pipeline.export.told import question_of
from pipeline.identity import digest
from pipeline.records import Lane

_LANES: Mapping[Lane, str] = {
    "tools": "a teacher thinks, calls tools, reads what came back, answers",
    "no_call": "told of the same tools, a teacher answers without a call what needs none",
    "plain_cot": "without tools, a teacher reasons and answers",
    "long_cot": "a solution that its source brings along, graded again",
}
_FORMATS: Mapping[str, str] = {
    "huggingface": "`datasets`; the configurations above",
    "llamafactory": "LLaMA-Factory",
    "deepeyesv2": "the environment of DeepEyesV2",
    "verl": "verl",
    "trl": "TRL",
    "ms_swift": "ms-swift",
}
_LANGUAGES = {
    "en": "English", "zh": "Chinese", "ja": "Japanese", "de": "German", "fr": "French", "es": "Spanish",
    "pt": "Portuguese", "hi": "Hindi", "ar": "Arabic",
}  # fmt: skip
_FOLDED = 700
"""Characters of an example's text from which on it is folded: some ten lines."""


def picture_path(shard: str, number: int) -> str:
    """Return where a picture of an example lies, from the root of the repository."""
    return f"{FOLDER}/{shard}-example-{number}.png"


def render(facts: CardFacts, examples: Mapping[str, Example]) -> str:
    """Return the card: front matter and page. `examples` are by shard."""
    sections = [
        f"# {text(facts.title)}\n\n{_lead(facts)}",
        f"## Load it\n\n{_load(facts)}",
        f"## An example\n\n{_examples(facts, examples)}",
        f"## What it is, and what it is not\n\n{_what(facts)}",
        f"## How it was made\n\n{how_it_was_made(facts)}",
        f"## Splits\n\n{_splits(facts)}",
        f"## Fields\n\n{_fields(facts)}",
        f"## Languages\n\n{_languages(facts)}",
        f"## Sources and licences\n\n{sources(facts)}",
        f"## Kept out\n\n{kept_out(facts)}",
        f"## Personal data\n\n{personal(facts)}",
        f"## Limits and biases\n\n{limits(facts)}",
        f"## Not measured\n\n{unmeasured()}",
        f"## Use\n\n{use(facts)}",
        f"## Citation\n\n{_citation(facts)}",
    ]
    return f"---\n{front_matter(facts)}---\n\n" + "\n\n".join(sections) + "\n"


def _lead(facts: CardFacts) -> str:
    sft, rl = facts.rows.get("sft", 0), facts.rows.get("rl", 0)
    parts = []
    if sft:
        parts.append(f"**{counted(sft, 'transcript')}** for a cold start by supervised fine-tuning (`sft`)")
    if rl:
        parts.append(f"**{counted(rl, 'question')}** for reinforcement learning with tools (`rl`)")
    calls = sum(facts.tools.values())
    ran = (
        f" Each of the {calls:,} tool calls in them was executed, and what came back is what the row shows."
        if calls
        else ""
    )
    judged = " or by votes of a judge" if any(model.part == "judge" for model in facts.models) else ""
    said = f"{text(facts.dataset.description)}\n\n" if facts.dataset.description else ""
    return (
        f"{said}{' and '.join(parts)}, for `{facts.student.revision}` at {facts.student.max_pixels:,} pixels per image."
        f"{ran} Every answer was graded against the stored one, by rule{judged}."
    )


def _load(facts: CardFacts) -> str:
    lines = ["from datasets import load_dataset", "", 'repository = "."  # this folder, or its name on the hub']
    lines += [
        f'{config.shard} = load_dataset(repository, "{config.name}")'
        for config in facts.configs
        if config.licence is None
    ]
    beside = [
        (f"`{export.name}/`", _FORMATS.get(export.manifest.format, f"`{export.manifest.format}`"), export.manifest.rows)
        for export in facts.exports
    ]
    return "\n\n".join(
        [
            fence("\n".join(lines), "python"),
            (
                "`<image>` in a text stands for the next image of the row. Resize images to at most "
                f"{facts.student.max_pixels:,} pixels, as the student is to see them. The same rows for other "
                "trainers, each folder with a README of its own:"
            ),
            table(("folder", "for", "rows"), beside),
        ]
    )


def _examples(facts: CardFacts, examples: Mapping[str, Example]) -> str:
    shown = []
    if "sft" in examples:
        shown.append(_transcript(facts, examples["sft"]))
    if "rl" in examples:
        shown.append(fold("A question for reinforcement learning", _question(examples["rl"])))
    return "\n\n".join(shown)


def _transcript(facts: CardFacts, example: Example) -> str:
    shown = len(example.pictures)
    of = (
        "its pictures"
        if shown == example.all_pictures
        else f"the first {shown:,} of its {example.all_pictures:,} pictures"
    )
    parts = [
        f"Row `{example.id[:16]}…` of `sft`" + (f", with {of} made smaller." if shown else "."),
        _pictures("sft", example),
    ]
    messages = list(example.messages)
    prompt, asked = _told(facts, example)
    if prompt is not None:
        said = f"**Asked**, under the prompt [{prompt}]({prompt_path(prompt)}):\n\n{fence(asked, 'text')}"
        parts, messages = [*parts, said], messages[2:]
    for role, content in messages:
        body = fence(content, "text")
        named = "Observation" if role == "user" and prompt is not None else role.title()
        long = len(content) > _FOLDED
        parts.append(fold(f"{named}, {len(content):,} characters", body) if long else f"**{named}**\n\n{body}")
    return "\n\n".join(part for part in parts if part)


def _told(facts: CardFacts, example: Example) -> tuple[str | None, str]:
    """Return which export prompt a row is told, and what is left of its first message without it."""
    (_, system), (_, user) = example.messages[:2]
    for export in facts.exports:
        for prompt in export.manifest.told:
            asked = question_of(prompt, system, user)
            if asked is not None:
                return prompt.name, asked
    return None, ""


def _question(example: Example) -> str:
    row = example.row
    facts = [
        (name, code(_cell(row[name]))) for name in ("answer", "answers", "answer_type", "tolerance") if row.get(name)
    ]
    asked = fence(str(row.get("question", "")), "text")
    return "\n\n".join(
        [f"Row `{example.id[:16]}…` of `rl`.", _pictures("rl", example), asked, table(("column", "value"), facts)]
    )


def _cell(value: object) -> str:
    return "; ".join(map(str, value)) if isinstance(value, list) else str(value)


def _pictures(shard: str, example: Example) -> str:
    return " ".join(
        f"![Picture {number} of the row]({picture_path(shard, number)})"
        for number in range(1, len(example.pictures) + 1)
    )


def _what(facts: CardFacts) -> str:
    parts = []
    if facts.mix:
        rows, tokens = sum(part.rows for part in facts.mix), sum(part.loss_tokens for part in facts.mix)
        lines = [
            (
                f"`{part.lane}`",
                part.category,
                part.rows,
                _share(part.rows, rows),
                part.loss_tokens,
                _share(part.loss_tokens, tokens),
            )
            for part in facts.mix
        ]
        lanes = [f"- `{lane}`: {_LANES[lane]}." for lane in dict.fromkeys(part.lane for part in facts.mix)]
        parts += [
            "**`sft`** teaches in lanes:",
            "\n".join(lanes),
            table(("lane", "category", "rows", "of rows", "loss tokens", "of loss tokens"), lines),
            f"All assistant turns carry loss. Tokens are counted by: {text(facts.tokens)}.",
        ]
    if facts.rows.get("rl"):
        asked = sorted(facts.asked["rl"].categories.items())
        parts += [
            "**`rl`** holds questions that the base model gets right more often with tools than without:",
            table(("category", "source", "rows"), [(category, code(source), n) for (category, source), n in asked]),
        ]
    parts.append(
        f"Calls are written in the dialect `{facts.dialect}`. It is **not** a benchmark, and not a sample of how often "
        "such questions occur: rows were chosen because this base model fails at them. Transcripts are those of the "
        "teachers below, and no better."
    )
    return "\n\n".join(parts)


def _splits(facts: CardFacts) -> str:
    lines = [
        (
            f"`{config.name}`",
            f"`{split}`",
            sum(f.rows for f in files),
            len(files),
            size(sum(f.nbytes for f in files)),
        )
        for config in facts.configs
        for split, files in config.splits.items()
    ]
    said = table(("configuration", "split", "rows", "files", "size"), lines)
    if not any(len(config.splits) > 1 for config in facts.configs):
        said += "\n\nThere is no validation split (`export.validation` of the recipe makes one, by cluster)."
    return f"{said}\n\n{_shared(facts.shared)}"


def _shared(shared: SharedPictures | None) -> str:
    if shared is None:
        return "The set has one shard, so that there is nothing that two could share."
    return (
        "`sft` and `rl` share no question: none of equal text over the same or nearly the same pictures, whatever its "
        f"answer. They may share pictures: {shared}."
    )


def _fields(facts: CardFacts) -> str:
    parts = []
    for shard, fields in facts.fields.items():
        lines = [(f"`{field.name}`", f"`{field.type}`", field.meaning or "") for field in fields]
        parts += [f"### `{shard}`", table(("column", "type", "meaning"), lines)]
    return "\n\n".join(parts)


def _languages(facts: CardFacts) -> str:
    told = {language: n for language, n in facts.languages.items() if language is not None}
    lines = [
        (_LANGUAGES[language], f"`{language}`", n)
        for language, n in sorted(told.items(), key=lambda item: (-item[1], item[0]))
    ]
    said = "Of the questions, told by script and commonest words; what teachers wrote is not looked at."
    untold = facts.languages.get(None, 0)
    if untold:
        said += f" Of {untold:,} no rule tells the language: too short, or another one."
    return "\n\n".join([*([table(("language", "code", "questions"), lines)] if lines else []), said])


def citation(facts: CardFacts) -> str:
    """Return how to cite the set, as BibTeX."""
    said, title = facts.dataset, " ".join(facts.name.split())
    fields = {
        "title": said.title or f"{title}: tool-use transcripts and questions, curated with coldforge",
        "author": " and ".join(said.authors),
        "year": str(said.year or ""),
        "url": said.url or "",
        "note": f"Content {content_of(facts)}",
    }
    lines = [f"  {name:<12} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join([f"@misc{{{facts.name},", *lines, "}"])


def _citation(facts: CardFacts) -> str:
    contact = f"Contact: {text(facts.dataset.contact)}.\n\n" if facts.dataset.contact else ""
    return (
        f"{contact}{fence(citation(facts), 'bibtex')}\n\n`Content` names exactly these rows. Made with `coldforge`, an "
        "open implementation of the data side of DeepEyesV2 ([arXiv 2511.05271](https://arxiv.org/abs/2511.05271))."
    )


def content_of(facts: CardFacts) -> str:
    """Return what names exactly these rows: 16 digits over the content of every export."""
    return digest({export.name: export.manifest.content for export in facts.exports})[:16]


def _share(part: int, whole: int) -> str:
    return percent(part / whole) if whole else ""
