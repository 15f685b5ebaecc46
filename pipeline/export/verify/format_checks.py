"""What a row must look like in each format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args

from pipeline.dialects import Dialect, DialectName, by_name
from pipeline.dialects.bad_calls import BadCall
from pipeline.export.formats.deepeyesv2 import ENV_KEY, ENV_NAME
from pipeline.export.formats.json_files import canonical_row
from pipeline.export.formats.llamafactory import DATASET_INFO, dataset_info
from pipeline.export.formats.trl import text_of
from pipeline.export.formats.verl import DATA_SOURCES
from pipeline.export.layout import (
    MANIFEST,
    OF_FORMAT,
    Format,
    Manifest,
    Mix,
    RowKey,
    by_split,
    is_json,
    rl_mode,
    row_hash,
)
from pipeline.export.rows import MODE
from pipeline.export.told import ExportPrompt, has_slots, question_of
from pipeline.export.verify.file_checks import Fault, plain_file
from pipeline.identity import canonical_json, parse_json
from pipeline.records import IMAGE_MARK, Mode
from pipeline.students.tokens import ESTIMATE, TokenCounter


class RowView(NamedTuple):
    """A row of any format, seen alike."""

    record_id: Any
    messages: Any
    images: list[bytes]
    canonical: dict[str, Any]
    """What `row_hash` is taken of."""
    unlearnt: frozenset[int] = frozenset()
    """Assistant messages, by their place among all, that the row says are not learnt."""


def view_row(row: dict[str, Any], kind: Format, directory: Path) -> RowView:
    """Return a row with the bytes of its images.

    Raises:
        ValueError: it lacks a field, a field has another type, or an image file is missing.
    """
    try:
        if is_json(kind):
            contents = [plain_file(directory, path).read_bytes() for path in row["images"]]
            view = RowView(row["id"], row["messages"], contents, canonical_row(row, contents))
            return _unflagged(view) if kind == "ms_swift" else view
        images = [image["bytes"] for image in row["images"]]
        if not all(isinstance(image, bytes) for image in images):
            raise ValueError("an image has no bytes")
        messages = row.get("messages") or row.get("prompt")
        if kind == "trl":
            messages = [{**message, "content": text_of(message["content"])} for message in messages or ()]
        return RowView(named(row), messages, images, row)
    except (KeyError, TypeError, AttributeError, OSError) as error:
        raise ValueError(f"lacks a field of the format or has another type in it ({error!r})") from error


def named(row: dict[str, Any]) -> Any:
    """Return the id of a row of any format.

    Raises:
        KeyError, TypeError: it has none.
    """
    return row["id"] if "id" in row else row["extra_info"]["index"]


def _unflagged(view: RowView) -> RowView:
    """Return a row without the flag that an assistant's message has.

    Raises:
        ValueError: it is missing, or where it does not belong, or the answer is not learnt.
    """
    flags = [message.get("loss") for message in view.messages]
    if any(isinstance(flag, bool) != (m["role"] == "assistant") for flag, m in zip(flags, view.messages, strict=True)):
        raise ValueError("`loss` is true or false in assistant messages, and in no others")
    if flags[-1:] != [True]:
        raise ValueError("its last message, the answer, is not learnt")
    plain = [{name: value for name, value in message.items() if name != "loss"} for message in view.messages]
    return view._replace(messages=plain, unlearnt=frozenset(n for n, flag in enumerate(flags) if flag is False))


class Asked(NamedTuple):
    """What a row asks of a model: what is left of its first messages when the prompt is taken off."""

    prompt: ExportPrompt
    question: str


def asked(view: RowView, manifest: Manifest) -> Asked | None:
    """Return the prompt that a row is told and its question; None if it is told no prompt of the manifest."""
    messages = view.messages if isinstance(view.messages, list) else []
    match [message for message in messages[:2] if _is_message(message)]:
        case [{"role": "system", "content": system}, {"role": "user", "content": user}]:
            for prompt in filter(lambda prompt: has_slots(prompt.user), manifest.told):
                question = question_of(prompt, system, user)
                if question is not None:
                    return Asked(prompt, question)
    return None


def content_key(view: RowView, manifest: Manifest) -> str | None:
    """Return the sha256 of what a row asks: question and images, under whatever prompt; None if that cannot be told.

    Ids are what somebody wrote beside a row. This is what a model is shown.
    """
    told = asked(view, manifest)
    if told is None:
        return None
    shown = view.messages[1]["content"].count(IMAGE_MARK)
    return row_hash({"text": told.question, "images": view.images[:shown]})


def row_faults(
    row: dict[str, Any], view: RowView, manifest: Manifest, key: RowKey, counter: TokenCounter | None
) -> Iterator[str]:
    """Yield what is wrong with a row that can be read."""
    if view.record_id != key.record_id:
        yield f"its id is {view.record_id!r}, rows.jsonl says {key.record_id}"
    messages = view.messages
    if not isinstance(messages, list) or not all(_is_message(message) for message in messages):
        yield "its messages are not a list of {role, content} texts"
        return
    marks = sum(message["content"].count(IMAGE_MARK) for message in messages)
    if marks != len(view.images):
        yield f"{marks} {IMAGE_MARK} marks for {len(view.images)} images"
    yield from _role_faults([message["role"] for message in messages], manifest)
    mode = told_mode(manifest, key)
    told = asked(view, manifest)
    if told is None or told.prompt.mode != mode:
        yield f"is not told the prompt of its lane: none of {', '.join(_names(manifest, mode)) or 'no name'}"
    said = [message["content"] for message in messages if message["role"] == "assistant"]
    if manifest.dialect in get_args(DialectName):  # another is a fault of the manifest
        yield from _turn_faults(said, by_name(manifest.dialect), mode)
    yield from lane_faults(manifest, key, said)
    learnt = [m["content"] for n, m in enumerate(messages) if m["role"] == "assistant" and n not in view.unlearnt]
    if counter is not None and counter.total(learnt) != key.loss_tokens:
        yield f"rows.jsonl says {key.loss_tokens} loss tokens, what is learnt of it has {counter.total(learnt)}"
    yield from _field_faults(row, manifest, key)


def _names(manifest: Manifest, mode: Mode) -> list[str]:
    return [prompt.name for prompt in manifest.told if prompt.mode == mode]


def _is_message(message: object) -> bool:
    return (
        isinstance(message, dict)
        and set(message) == {"role", "content"}
        and all(isinstance(text, str) for text in message.values())
    )


def _role_faults(roles: Sequence[str], manifest: Manifest) -> Iterator[str]:
    if manifest.shard == "rl":
        if list(roles) != ["system", "user"]:
            yield f"roles are {', '.join(roles)}; a prompt is one system and one user message"
        return
    expected = ["system", *("user" if i % 2 == 0 else "assistant" for i in range(len(roles) - 1))]
    if list(roles) != expected:
        yield f"roles do not alternate: {', '.join(roles)}"
    if roles[-1:] != ["assistant"]:
        yield "does not end with an assistant message"


def _turn_faults(said: Sequence[str], dialect: Dialect, mode: Mode) -> Iterator[str]:
    """Yield assistant messages that are no turn of the dialect, answers before the end, calls at the end."""
    for number, text in enumerate(said):
        parsed = dialect.parse(text, mode)
        if isinstance(parsed, BadCall):
            yield f"assistant message {number} is not a turn of the dialect: {parsed.reason}"
        elif (parsed.action == "answer") != (number == len(said) - 1):
            yield f"assistant message {number} is {parsed.action}; exactly the last is an answer"


def _field_faults(row: dict[str, Any], manifest: Manifest, key: RowKey) -> Iterator[str]:
    match manifest.shard, manifest.format:
        case _, "llamafactory" | "ms_swift":
            return
        case "sft", "verl":
            yield from _question_faults(row, manifest, key)
            return
        case _, "huggingface" | "trl":
            facts = row
            yield from _empty_texts(row, _SFT_TEXTS if manifest.shard == "sft" else _RL_TEXTS)
        case _:
            facts = row["extra_info"]
            yield from _empty_texts(facts, _EXTRA_TEXTS)
            yield from _verl_faults(row, manifest.format, key)
    yield from index_faults(facts, key)
    yield from _question_faults(row, manifest, key)


def _question_faults(row: dict[str, Any], manifest: Manifest, key: RowKey) -> Iterator[str]:
    question_id = key.record_id if manifest.shard == "rl" else row["question_id"]
    if question_id != key.question_id:
        yield f"question id is {question_id!r}, rows.jsonl says {key.question_id}"


_SFT_TEXTS = ("source", "licence", "answer", "meta")
_RL_TEXTS = (*_SFT_TEXTS, "question", "answers", "answer_type")
_EXTRA_TEXTS = ("index", "question", "answer", "answers", "answer_type")


def _empty_texts(fields: dict[str, Any], names: Sequence[str]) -> Iterator[str]:
    for name in names:
        if not fields.get(name):
            yield f"{name} is empty"


def _verl_faults(row: dict[str, Any], kind: Format, key: RowKey) -> Iterator[str]:
    if kind == "deepeyesv2" and not row["images"]:
        yield "has no image; the environment deepeyes_v2 needs one"
    if row["data_source"] != DATA_SOURCES[key.category]:
        yield f"data_source is {row['data_source']!r}; category {key.category} is called {DATA_SOURCES[key.category]}"
    loop = {"agent_name": "tool_agent", "env_name": "deepeyes_v2", ENV_KEY: ENV_NAME}
    for name, value in loop.items():
        if name in row and row[name] != value:
            yield f"{name} is {row[name]!r}, not {value}"
    reward = row["reward_model"]
    if not reward or reward["style"] not in {"rule", "model"} or not reward["ground_truth"]:
        yield "reward_model has no style or no ground_truth"


def dataset_info_faults(directory: Path, manifest: Manifest) -> Iterator[Fault]:
    """Yield a `dataset_info.json` that is not the one written for these parts; others stop or mislead the loader."""
    parts = by_split([file.path for file in manifest.data])
    try:
        found = plain_file(directory, DATASET_INFO).read_bytes()
    except (OSError, ValueError) as error:
        yield Fault(DATASET_INFO, None, f"cannot be read: {error}")
        return
    if found != dataset_info(manifest.name, parts):
        yield Fault(DATASET_INFO, None, f"is not what is written for {manifest.name} and its data files")


def check_mix(manifest: Manifest, keys: Sequence[RowKey | None]) -> Iterator[Fault]:
    """Yield parts of the manifest's mix that are not those of the rows, counted again from their index."""
    said = {(part.lane, part.category): part for part in manifest.mix}
    if len(said) < len(manifest.mix):
        yield Fault(MANIFEST, None, "its mix names a lane and category twice")
    mix = Mix()
    for key in (key for key in keys if key is not None):
        mix.add(key.lane, key.category, key.loss_tokens)
    found = {(part.lane, part.category): part for part in mix.parts()}
    for name in sorted(said.keys() | found.keys()):
        told, counted = (
            "none" if part is None else f"{part.rows} rows of {part.loss_tokens} loss tokens"
            for part in (said.get(name), found.get(name))
        )
        if told != counted:
            yield Fault(MANIFEST, None, f"mix says {told} of {'/'.join(name)}, the rows add up to {counted}")


def lane_faults(manifest: Manifest, key: RowKey, said: Sequence[str]) -> Iterator[str]:
    """Yield a lane that the row cannot have; `said` are its assistant messages."""
    if (key.lane is None) != (manifest.shard == "rl"):
        yield f"rows.jsonl says lane {key.lane}; rows of sft have one, those of rl none"
    elif key.lane is not None and key.lane != "tools" and len(said) > 1:
        yield f"has {len(said)} assistant messages; a row of lane {key.lane} makes no call"


def index_faults(facts: dict[str, Any], key: RowKey) -> Iterator[str]:
    """Yield what a row holds otherwise than the index: each field that both have. `facts` holds those of the row."""
    try:
        meta = parse_json(facts.get("meta") or "{}")
    except ValueError as error:
        yield f"meta is not JSON: {error}"
        meta = {}
    # A column `labels` would be taken for token ids (`formats.huggingface`); other text is JSON there.
    told = {"labels": "question_labels"}
    held = {**(meta if isinstance(meta, dict) else {}), **facts}
    for name, value in key:
        column = told.get(name, name)
        said = value if isinstance(value, str) else canonical_json(value)
        if name not in OF_FORMAT and column in held and held[column] != said:
            yield f"{column} is {held[column]!r}, rows.jsonl says {said}"


def counter_for(manifest: Manifest, given: TokenCounter | None) -> TokenCounter | None:
    """Return what counts the manifest's tokens: the estimate, or the tokenizer that was given; None: it is not here."""
    return next((counter for counter in (ESTIMATE, given) if counter and counter.name == manifest.tokens), None)


def told_mode(manifest: Manifest, key: RowKey) -> Mode:
    """Return the mode of the prompt that a row has to be told."""
    return rl_mode(manifest.format) if key.lane is None else MODE[key.lane]
