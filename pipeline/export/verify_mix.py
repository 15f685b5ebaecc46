"""Check what an SFT export says it teaches: the lane of every row, and the mix of them all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pipeline.export.layout import MANIFEST, Manifest, RowKey, mix_of
from pipeline.export.rows import MODE
from pipeline.export.verify_files import Fault
from pipeline.identity import canonical_json
from pipeline.records import Mode
from pipeline.students.tokens import ESTIMATE, TokenCounter


def check_mix(manifest: Manifest, keys: Sequence[RowKey | None]) -> Iterator[Fault]:
    """Yield parts of the manifest's mix that are not those of the rows, counted again from their index."""
    said = {(part.lane, part.category): part for part in manifest.mix}
    if len(said) < len(manifest.mix):
        yield Fault(MANIFEST, None, "its mix names a lane and category twice")
    found = {(part.lane, part.category): part for part in mix_of(key for key in keys if key is not None)}
    for name in sorted(said.keys() | found.keys()):
        told, counted = (
            "none" if part is None else f"{part.rows} rows of {part.loss_tokens} loss tokens"
            for part in (said.get(name), found.get(name))
        )
        if told != counted:
            yield Fault(MANIFEST, None, f"mix says {told} of {'/'.join(name)}, the rows add up to {counted}")


def lane_faults(manifest: Manifest, key: RowKey, said: Sequence[str], counter: TokenCounter | None) -> Iterator[str]:
    """Yield a lane that the row cannot have, and loss tokens that are not those of what it says (`said`)."""
    if (key.lane is None) != (manifest.shard == "rl"):
        yield f"rows.jsonl says lane {key.lane}; rows of sft have one, those of rl none"
    elif key.lane is not None and key.lane != "tools" and len(said) > 1:
        yield f"has {len(said)} assistant messages; a row of lane {key.lane} makes no call"
    if counter is not None and counter.total(said) != key.loss_tokens:
        yield f"rows.jsonl says {key.loss_tokens} loss tokens, its assistant messages have {counter.total(said)}"


def label_faults(facts: dict[str, Any], manifest: Manifest, key: RowKey) -> Iterator[str]:
    """Yield labels, a lane or a category that a row holds otherwise than the index; `facts` holds its fields."""
    told = {"question_labels": canonical_json(key.labels)}
    if manifest.format == "huggingface":
        told["category"] = key.category
    if manifest.shard == "sft":
        told["lane"] = str(key.lane)
    for name, value in told.items():
        if facts.get(name) != value:
            yield f"{name} is {facts.get(name)!r}, rows.jsonl says {value}"


def counter_for(manifest: Manifest, given: TokenCounter | None) -> TokenCounter | None:
    """Return what counts the manifest's tokens: the estimate, or the tokenizer that was given; None: it is not here."""
    return next((counter for counter in (ESTIMATE, given) if counter and counter.name == manifest.tokens), None)


def told_mode(key: RowKey) -> Mode:
    """Return the mode of the prompt that a row has to be told."""
    return "tools" if key.lane is None else MODE[key.lane]
