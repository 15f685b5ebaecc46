"""Prompt texts by role and mode, read from `manifests/prompts/<name>/`.

`base` is asked at the gates, `teacher` writes the trajectories and may be guided, `export` is what the
student is trained on. The text with tools is the plain text and the tool text after it, so that a gate
compares nothing but the tools.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from pipeline.errors import UsageError
from pipeline.identity import digest
from pipeline.manifests import manifests_dir
from pipeline.records import Mode

Role = Literal["base", "teacher", "export"]

_SLOTS = ("{images}", "{question}")
_IMAGE_MARK = "<image>"


@dataclass(frozen=True)
class Prompts:
    """The texts of one prompt set. `load_prompts` reads and checks them."""

    plain_system: str
    tools_system: str
    """Follows `plain_system` where there are tools."""
    plain_user: str
    """Template with the slots `{images}` and `{question}`, for `user_text` of the dialect."""
    tools_user: str
    """Follows `plain_user` where there are tools."""
    guidance: str
    """Follows the system prompt of teachers that have tools; never exported."""

    def system(self, role: Role, mode: Mode) -> str:
        """Return the system prompt."""
        parts = [self.plain_system]
        if mode == "tools":
            parts.append(self.tools_system)
            if role == "teacher":
                parts.append(self.guidance)
        return _join(parts)

    def user(self, role: Role, mode: Mode) -> str:  # noqa: ARG002 - the same for all roles, so that only `system` knows
        """Return the template of the first user message."""
        return _join([self.plain_user, self.tools_user] if mode == "tools" else [self.plain_user])

    def hashes(self) -> dict[str, str]:
        """Return the sha256 of the texts of each `role/mode`."""
        return {
            f"{role}/{mode}": digest({"system": self.system(role, mode), "user": self.user(role, mode)})
            for role in get_args(Role)
            for mode in get_args(Mode)
        }


def load_prompts(name: str, teacher_guidance: Path | None = None) -> Prompts:
    """Read a prompt set; `teacher_guidance` replaces the guidance that comes with it.

    Raises:
        UsageError: the set or a file is missing, or the user prompt lacks a slot.
    """
    root = manifests_dir() / "prompts"
    folder = root / name
    if not folder.is_dir():
        known = ", ".join(sorted(path.name for path in root.iterdir() if path.is_dir()))
        raise UsageError(f"prompts.name: there is no prompt set {name}; known sets: {known}")
    prompts = Prompts(
        plain_system=_read(folder / "system.md"),
        tools_system=_read(folder / "system_tools.md"),
        plain_user=_read(folder / "user.md"),
        tools_user=_read(folder / "user_tools.md"),
        guidance=_read(teacher_guidance or folder / "teacher_guidance.md"),
    )
    _check_user(folder / "user.md", prompts.plain_user)
    return prompts


def _read(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise UsageError(
            f"prompt file {path} cannot be read ({error.strerror}); restore it, or correct `prompts` in the recipe"
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"prompt file {path} is not UTF-8 (byte {error.start}); save it as UTF-8") from error
    if _IMAGE_MARK in text:
        # Trainers count the marks of a row against its images.
        raise UsageError(
            f"prompt file {path} holds {_IMAGE_MARK}; only images of a question may be marked so, remove it"
        )
    return text


def _check_user(path: Path, text: str) -> None:
    for slot in _SLOTS:
        if text.count(slot) != 1:
            raise UsageError(f"prompt file {path} has {text.count(slot)} slots {slot}; it needs exactly one")


def _join(parts: list[str]) -> str:
    return "\n\n".join(part for part in parts if part)
