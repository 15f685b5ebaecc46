"""Licences of sources, told in the words of the hub that the card is for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict

from pipeline.manifests import manifests_dir

OTHER = "other"
_UNSTATED = frozenset({"", "unknown", "other"})
"""Words of the hub that say nothing of what may be done with the data."""
_NOTE = re.compile(r"\s*\([^()]*\)\s*$")


class _Known(BaseModel):
    """`manifests/hub/licences.yaml`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ids: frozenset[str]
    spdx: dict[str, str]
    named: dict[str, str]


class Licence(NamedTuple):
    """A licence as a source says it."""

    said: str
    """With the note behind it, as in `MIT (airportsdata)`."""
    hub: str
    """The hub's id; `other` where it has none."""
    link: str
    """Its text, or a page about it."""


def licence(said: str) -> Licence | None:
    """Return what the hub calls a licence; None if it is not known, or says nothing."""
    known, name = _known(), _NOTE.sub("", said).strip()
    key = name.lower()
    if key in _UNSTATED:
        return None
    if key in known.named:
        return Licence(said, OTHER, known.named[key])
    if key in known.spdx or key in known.ids:
        return Licence(said, known.spdx.get(key, key), f"https://spdx.org/licenses/{name}.html")
    return None


def hub_ids() -> frozenset[str]:
    """Return what the hub takes as the licence of a repository."""
    return _known().ids


def of_all(licences: Iterable[str]) -> str:
    """Return the hub's id for rows under all of these: that of the only one, or `other`."""
    found = {one.hub if (one := licence(said)) is not None else OTHER for said in licences}
    return found.pop() if len(found) == 1 else OTHER


@cache
def _known() -> _Known:
    return _Known.model_validate(yaml.safe_load((manifests_dir() / "hub" / "licences.yaml").read_text("utf-8")))
