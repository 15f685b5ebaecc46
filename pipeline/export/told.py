"""What the student is told in a row: the export prompts, and how a row is traced back to one of them.

Rows with tools and rows without are told different texts, so an export of several lanes holds two prompts (times the
variants). A manifest carries them whole: whoever has the files can check that every row is told one of them, and what
question is left when the prompt is taken off.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from pipeline.identity import digest
from pipeline.prompts.sets import Prompts
from pipeline.records import Mode

"""What stands for an image in a text; one per image, in order."""

_SLOTS = {"{images}": r"(?:<image>\nimage_[0-9]+: [0-9]+x[0-9]+\n)*+", "{question}": "(.*)"}
"""What `user_text` of the dialects puts there. Repetition of images never gives back, so matching stays linear."""


class ExportPrompt(BaseModel):
    """What the student is told in rows of one mode."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """`export/<mode>`, with `/<variant>` behind it where there are several."""
    mode: Mode
    system: str
    user: str
    """Template that `user_text` fills."""

    @property
    def sha256(self) -> str:
        """Return the hash under which manifests list the text, as `Prompts.hash` makes it."""
        return digest({"system": self.system, "user": self.user})


class Told(NamedTuple):
    """One way to tell the student: with tools and without."""

    tools: ExportPrompt
    plain: ExportPrompt

    def of(self, mode: Mode) -> ExportPrompt:
        """Return the prompt of a mode."""
        return self.tools if mode == "tools" else self.plain


def told_by(prompts: Prompts, variant: str = "") -> Told:
    """Return what the student is told under a prompt set; `variant` is its name among several."""

    def prompt(mode: Mode) -> ExportPrompt:
        name = f"export/{mode}/{variant}" if variant else f"export/{mode}"
        return ExportPrompt(
            name=name, mode=mode, system=prompts.system("export", mode), user=prompts.user("export", mode)
        )

    return Told(prompt("tools"), prompt("plain"))


def question_of(prompt: ExportPrompt, system: str, user: str) -> str | None:
    """Return what a row asks when its prompt is taken off; None if it is not told this prompt."""
    if system != prompt.system:
        return None
    found = _pattern(prompt.user).fullmatch(user)
    return None if found is None else str(found.group(1))


def has_slots(template: str) -> bool:
    """Return whether a user template has each slot once; another could not be taken off."""
    return all(template.count(slot) == 1 for slot in _SLOTS)


@lru_cache
def _pattern(template: str) -> re.Pattern[str]:
    """Return what `template` looks like filled; only for one that `has_slots`."""
    parts = re.split(r"(\{images\}|\{question\})", template)
    return re.compile("".join(_SLOTS.get(part) or re.escape(part) for part in parts), re.DOTALL)
