"""Which settings of a stage differ from those that a run was made with, and what that means for its calls."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from flows.ledger.query import query
from pipeline.engine.done import Finished, read_finished
from pipeline.engine.stage import Declared
from pipeline.identity import Json, canonical_json

SHOWN = 40
"""Characters of a value in a message."""
_HASH = re.compile(r"[0-9a-f]{64}")

_NAMES: Mapping[str, str] = {
    "limits": "rollout",
    "view": "student",
    "tokens": "student.tokenizer",
    "cutoff_len": "student.cutoff_len",
    "deploy_pixels": "student.deploy_pixels",
    "base_family": "models.base.family",
    "validate_": "validate",
    "model": "revision",
    **{name: name for name in ("seed", "dialect", "prompts", "sandbox", "search")},
}
"""Fields that stand in a recipe under another name, or at another place than within the settings that hold them."""
_TEXTS = frozenset({"system", "user_template", "user"})
"""Told by the hashes of `prompts`."""
_ROLES: Mapping[str, str] = {
    **dict.fromkeys(("plain", "tools", "fresh", "blind", "pixels"), "base"),
    "stronger": "stronger",
    "judge": "judge",
}
"""Ways to ask, and the model of the recipe that is asked so."""


def made_stages(run: Path) -> Mapping[str, Finished]:
    """Return the finished stages that a run's ledger was built from.

    Raises:
        UsageError: the run has no ledger.
    """
    found = {}
    for row in query(run, "SELECT stage, fingerprint FROM stages ORDER BY position").to_pylist():
        finished = read_finished(run / "stages" / row["stage"] / row["fingerprint"][:16])
        if finished is not None:
            found[row["stage"]] = finished
    return found


def changed_settings(stage: Declared[Any, Any], made: Finished) -> tuple[str, ...]:
    """Return what differs, each as `field: before → after` in the recipe's words."""
    found = [
        f"{name}: {told}"
        for place, told in _differences((), made.settings, stage.settings.identity())
        if (name := recipe_name(place))
    ]
    if stage.stage.version != made.version:
        found.append(f"version of the stage: {made.version} → {stage.stage.version}")
    return tuple(dict.fromkeys(found))


def _differences(place: tuple[str, ...], before: Json, after: Json) -> Iterator[tuple[tuple[str, ...], str]]:
    match before, after:
        case dict(), dict():
            for name in sorted(before.keys() | after.keys()):
                yield from _differences((*place, name), before.get(name), after.get(name))
        case list(), list() if len(before) == len(after):
            for number, (old, new) in enumerate(zip(before, after, strict=True)):
                yield from _differences((*place, str(number)), old, new)
        case _ if before != after:
            yield place, f"{_short(before)} → {_short(after)}"


def _short(value: Json) -> str:
    text = value if isinstance(value, str) else canonical_json(value)
    text = _HASH.sub(lambda found: found.group()[:12], text)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def recipe_name(place: tuple[str, ...]) -> str:
    """Return where a setting of a stage stands in a recipe; nothing for texts, which their hashes tell."""
    if place[:2] == ("judge", "settings"):
        return ".".join(("judge", *place[2:]))
    role = f"teachers.{place[2]}" if place[0] == "teachers" and len(place) > 2 else _ROLES.get(place[0])  # noqa: PLR2004 - lane, number
    for number, part in enumerate(place):
        if part in _TEXTS:
            return ""
        if role is not None and part in {"sampling", "asked"}:
            rest = place[number + 1 :] if part == "asked" else place[number:]
            return ".".join(("models", role, *rest))
        if part in _NAMES:
            return ".".join((_NAMES[part], *place[number + 1 :]))
    if role is not None and len(place) == 1:
        return f"models.{role}"
    return ".".join(place)


_IN_REQUESTS = ("seed", "dialect", "view", "system", "user_template", "tools")
_OF_MODEL = ("model", "sampling", "asked")


def _asks(stage: str, settings: Any) -> list[Any]:
    """Return how the models of a stage are asked, in the arms that every question takes."""
    match stage:
        case "gate1":
            return [settings["plain"]]
        case "gate2":
            return [settings["tools"], settings["fresh"]]
        case _:
            return [asks[0] for _, asks in sorted(settings["teachers"].items())]


def request_part(stage: str, settings: Any) -> Json:
    """Return what of a stage's settings is in every request to its models; other settings only judge answers.

    Of teachers, which are told apart one by one, only what they are all told.
    """
    fields = _IN_REQUESTS if stage == "synthesize" else (*_IN_REQUESTS, *_OF_MODEL)
    return [[ask[field] for field in fields] for ask in _asks(stage, settings)]


def teachers_of(settings: Any) -> list[Json]:
    """Return each teacher as requests tell it: its model and how it is sampled."""
    return [[ask[field] for field in _OF_MODEL] for ask in settings["teachers"]["tools"]]


def screens_alike(before: Any, after: Any) -> bool:
    """Return whether gate 1 stops questions for the same reasons, thresholds of its counts apart."""
    thresholds = all(before["gate"][name] == after["gate"][name] for name in ("max_blind_right", "judge_questions"))
    return thresholds and all(before[name] == after[name] for name in ("blind", "stronger", "judge", "lanes"))


def may_ask_more(stage: str, before: Any, after: Any) -> bool:
    """Return whether a change may lengthen conversations, or add some, although what was asked stays asked."""
    pairs = list(zip(_asks(stage, before), _asks(stage, after), strict=True)) if stage != "gate1" else []
    if any(old[name] != new[name] for old, new in pairs for name in ("limits", "sandbox", "search")):
        return True
    judged = ("synthesize", "validate_", "row", "grader", "teachers", "gold", "judge")
    return stage == "synthesize" and any(before[name] != after[name] for name in judged)
