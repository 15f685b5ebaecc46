"""Which settings of a stage differ from those that a run was made with, and what that means for its calls."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.engine.stage import Stage
from pipeline.identity import Json, canonical_json, parse_json
from pipeline.store.ledger import query

SHOWN = 40
"""Characters of a value in a message."""
_HASH = re.compile(r"[0-9a-f]{64}")

_NAMES: Sequence[tuple[str, str, str]] = (
    ("gate", "settings", "gate"),
    ("gate", "model", "models.base"),
    ("gate1", "stronger", "models.stronger"),
    ("gate1", "lanes.settings", "lanes"),
    ("", "deploy_pixels", "student.deploy_pixels"),
    ("", "gold.settings", "gold"),
    ("", "judge.settings", "judge"),
    ("", "judge", "models.judge"),
    ("validate", "long_cot.settings", "long_cot"),
    ("validate", "cutoff_len", "student.cutoff_len"),
    ("", "tokens", "student.tokenizer"),
    ("synthesize", "teaching", "synthesize"),
    ("synthesize", "teachers", "models.teachers"),
    ("synthesize", "validators.settings", "validate"),
    ("screen", "images.settings", "images"),
    ("screen", "questions.settings", "questions"),
    ("decontaminate", "rule.settings", "decontaminate"),
    ("dedup", "settings", "dedup"),
    ("validate", "settings", "validate"),
    ("select", "settings", "select"),
    ("", "rollout.seed", "seed"),
    ("", "rollout.dialect", "dialect"),
    ("", "rollout.view", "student"),
    ("", "rollout.limits", "rollout"),
    ("", "rollout.sandbox", "sandbox"),
    ("", "rollout.search", "search"),
)
"""Beginning of a stage's name, a part of its settings, and the recipe's field that it comes from."""


class Made(NamedTuple):
    """A stage as a run made it."""

    fingerprint: str
    version: int
    model: str
    settings: Json


def made_stages(run: Path) -> Mapping[str, Made]:
    """Return the finished stages that a run's ledger was built from.

    Raises:
        UsageError: the run has no ledger.
    """
    found = {}
    for row in query(run, "SELECT stage, fingerprint FROM stages ORDER BY position").to_pylist():
        path = run / "stages" / row["stage"] / row["fingerprint"][:16] / "stage.json"
        content = parse_json(path.read_text())
        found[row["stage"]] = Made(row["fingerprint"], content["version"], content["model"], content["settings"])
    return found


def changed_settings(stage: Stage, made: Made) -> tuple[str, ...]:
    """Return what differs, each as `field: before → after` in the recipe's words."""
    found = [
        f"{_recipe_name(stage.name, place)}: {told}" for place, told in _differences("", made.settings, stage.settings)
    ]
    if stage.model != made.model:
        found.append(f"revision: {_short(made.model)} → {_short(stage.model)}")
    if stage.version != made.version:
        found.append(f"version of the stage: {made.version} → {stage.version}")
    return tuple(found)


def _differences(place: str, before: Json, after: Json) -> Iterator[tuple[str, str]]:
    match before, after:
        case dict(), dict():
            for name in sorted(before.keys() | after.keys()):
                yield from _differences(f"{place}.{name}".lstrip("."), before.get(name), after.get(name))
        case list(), list() if len(before) == len(after):
            for number, (old, new) in enumerate(zip(before, after, strict=True)):
                yield from _differences(f"{place}.{number}", old, new)
        case _ if before != after:
            yield place, f"{_short(before)} → {_short(after)}"


def _short(value: Json) -> str:
    text = value if isinstance(value, str) else canonical_json(value)
    text = _HASH.sub(lambda found: found.group()[:12], text)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def _recipe_name(stage: str, place: str) -> str:
    for beginning, part, name in _NAMES:
        if stage.startswith(beginning) and (place == part or place.startswith(f"{part}.")):
            return name + place.removeprefix(part)
    return place


def request_part(settings: Any) -> Json:
    """Return what of a stage's settings is in every request to its models; other settings only judge answers."""
    rollout = settings["rollout"]
    part: dict[str, Json] = {name: rollout[name] for name in ("seed", "dialect", "view")}
    part["prompts"] = settings["prompts"]
    part["model"] = settings.get("model")
    return part


SCREENS = ("blind", "max_blind_right", "judge_questions")
"""Of the gates' settings: what stops a question beside the counts of its plain rollouts."""


def screens_alike(before: Any, after: Any) -> bool:
    """Return whether gate 1 stops questions for the same reasons, thresholds of its counts apart."""
    same = all(before["settings"].get(name) == after["settings"].get(name) for name in SCREENS)
    return same and all(before.get(name) == after.get(name) for name in ("stronger", "judge", "lanes"))


def may_ask_more(stage: str, before: Any, after: Any) -> bool:
    """Return whether a change may lengthen conversations, or add some, although what was asked stays asked."""
    names = ["limits", "sandbox", "search"] if stage != "gate1" else []
    if any(before["rollout"][name] != after["rollout"][name] for name in names):
        return True
    judged = ("teaching", "validators", "grader", "teachers", "gold", "judge")
    return stage == "synthesize" and any(before.get(name) != after.get(name) for name in judged)
