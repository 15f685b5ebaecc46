"""Prompt texts by role and mode, read from `manifests/prompts/<name>/`.

`base` is asked at the gates, `teacher` writes the trajectories and may be guided, `no_call` is a teacher that
shows where no call is needed, `export` is what the student is trained on. The text with tools is the plain text
and the tool text after it, so that a gate compares nothing but the tools. Where calls are JSON, how they are
written is a text of its own: a provider that takes calls as structure tells its model itself.

What stands between `[search]` and `[/search]` is told where there is a search, what stands between `[no search]` and
`[/no search]` where there is none: a tool that is not there is not spoken of.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from pipeline.dialects import Dialect
from pipeline.errors import UsageError
from pipeline.identity import digest
from pipeline.manifests import manifests_dir
from pipeline.records import IMAGE_MARK, Mode

Role = Literal["base", "teacher", "no_call", "export"]

_SLOTS = ("{images}", "{question}")
_TOOLS_SLOT = "{tools}"
# Qwen, Llama 3 and most others; the longest in use is far below 64 characters.
_PASSAGE = re.compile(r"\[((?:no )?)search\](.*?)\[/\1search\]", re.DOTALL)
_SEARCHES = re.compile(r"\bimage_search\b|[\"'`]search[\"'`]")
_MARK = re.compile(r"\[/?(?:no )?search\]")
_CHAT_TOKEN = re.compile(r"<\|[^|<>\n]{1,64}\|>")


@dataclass(frozen=True)
class Prompts:
    """The texts of one prompt set. `load_prompts` reads and checks them."""

    plain_system: str
    tools_system: str
    """Follows `plain_system` where there are tools."""
    calls_system: str
    """Follows `tools_system` where calls are JSON in text: the schemas and how a call is written."""
    plain_user: str
    """Template with the slots `{images}` and `{question}`, for `user_text` of the dialect."""
    tools_user: str
    """Follows `plain_user` where there are tools."""
    guidance: str
    """Follows the system prompt of teachers that have tools; never exported."""
    no_call_guidance: str
    """In its place where a teacher is to answer without a call."""
    plain_guidance: str
    """Follows the system prompt of teachers that have no tools."""

    def system(self, role: Role, mode: Mode, *, native: bool = False) -> str:
        """Return the system prompt; `native`: for a provider that takes calls as structure."""
        parts = [self.plain_system]
        if mode == "tools":
            parts.append(self.tools_system)
            if not native:
                parts.append(self.calls_system)
        guidance = {
            ("teacher", "tools"): self.guidance,
            ("no_call", "tools"): self.no_call_guidance,
            ("teacher", "plain"): self.plain_guidance,
        }
        return _join([*parts, guidance.get((role, mode), "")])

    def user(self, role: Role, mode: Mode) -> str:  # noqa: ARG002 - the same for all roles, so that only `system` knows
        """Return the template of the first user message."""
        return _join([self.plain_user, self.tools_user] if mode == "tools" else [self.plain_user])

    def hash(self, role: Role, mode: Mode, *, native: bool = False) -> str:
        """Return the sha256 of what a model is told."""
        return digest({"system": self.system(role, mode, native=native), "user": self.user(role, mode)})

    def hashes(self) -> dict[str, str]:
        """Return the sha256 of the texts of each `role/mode`; what a native provider is told is part of them."""
        said = [
            (role, mode) for role in get_args(Role) for mode in get_args(Mode) if (role, mode) != ("no_call", "plain")
        ]
        return {f"{role}/{mode}": self.hash(role, mode) for role, mode in said}


def load_prompts(name: str, dialect: Dialect, teacher_guidance: Path | None = None) -> Prompts:
    """Read a prompt set for a dialect, with a search or without; `teacher_guidance` replaces the set's own guidance.

    Raises:
        UsageError: the set or a file is missing, a slot is, or the set is written for another dialect.
    """
    root = manifests_dir() / "prompts"
    folder = root / name
    if not folder.is_dir():
        known = ", ".join(sorted(file.parent.name for file in root.glob("*/user.md")))
        raise UsageError(f"prompts.name: there is no prompt set {name}; known sets: {known}")
    prompts = Prompts(
        plain_system=read_prompt(folder / "system.md", dialect),
        tools_system=read_prompt(folder / "system_tools.md", dialect),
        calls_system=_read_calls(folder / "system_calls.md", dialect),
        plain_user=read_prompt(folder / "user.md", dialect),
        tools_user=read_prompt(folder / "user_tools.md", dialect),
        guidance=read_prompt(teacher_guidance or folder / "teacher_guidance.md", dialect),
        no_call_guidance=read_prompt(folder / "teacher_guidance_no_call.md", dialect),
        plain_guidance=read_prompt(folder / "teacher_guidance_plain.md", dialect),
    )
    _check_slots(folder / "user.md", prompts.plain_user, _SLOTS)
    return prompts


def load_variants(directory: Path, own: Prompts, dialect: Dialect) -> Mapping[str, Prompts]:
    """Read variants of a prompt set by name: every folder in `directory`, and every `*.md` file.

    A folder holds files named as those of a set, and a file is a `system.md`; other texts are those of `own`.

    Raises:
        UsageError: there is no variant, one is empty, or a file is wrong as in `load_prompts`.
    """
    try:
        found = sorted(path for path in directory.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise UsageError(f"prompt variants {directory} cannot be read ({error.strerror})") from error
    variants = {path.stem if path.is_file() else path.name: _load_variant(path, own, dialect) for path in found}
    if not variants:
        raise UsageError(f"prompt variants {directory}: there is no folder and no file in it")
    if len(variants) < len(found):
        raise UsageError(f"prompt variants {directory}: a folder and a file have one name; rename one of them")
    return variants


def _load_variant(path: Path, own: Prompts, dialect: Dialect) -> Prompts:
    if path.suffix == ".md" and path.is_file():
        return replace(own, plain_system=read_prompt(path, dialect))
    texts = {}
    for file in sorted(path.glob("*")) if path.is_dir() else ():
        match file.name:
            case "system.md":
                texts["plain_system"] = read_prompt(file, dialect)
            case "system_tools.md":
                texts["tools_system"] = read_prompt(file, dialect)
            case "system_calls.md":
                texts["calls_system"] = _read_calls(file, dialect)
            case "user.md":
                texts["plain_user"] = read_prompt(file, dialect)
                _check_slots(file, texts["plain_user"], _SLOTS)
            case "user_tools.md":
                texts["tools_user"] = read_prompt(file, dialect)
            case "teacher_guidance.md" | "teacher_guidance_no_call.md" | "teacher_guidance_plain.md":
                continue  # of a whole set; no student is told it
            case _:
                raise UsageError(f"prompt variant {file} is not named like a file of a prompt set, such as system.md")
    if not texts:
        raise UsageError(f"prompt variant {path} is neither a *.md file nor a folder with files such as system.md")
    return replace(own, **texts)


def for_search(text: str, *, search: bool) -> str:
    """Return a text as it is told where there is a search, or where there is none."""
    return _PASSAGE.sub(lambda passage: passage[2] if bool(passage[1]) != search else "", text)


def read_prompt(path: Path, dialect: Dialect) -> str:
    """Return the text of a prompt file.

    Raises:
        UsageError: it cannot be read, or holds what no prompt may: image marks, control tokens, tools there are not.
    """
    try:
        text = for_search(path.read_text(encoding="utf-8"), search=dialect.search).strip()
    except OSError as error:
        raise UsageError(
            f"prompt file {path} cannot be read ({error.strerror}); restore it, or correct `prompts` in the recipe"
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"prompt file {path} is not UTF-8 (byte {error.start}); save it as UTF-8") from error
    if IMAGE_MARK in text:
        # Trainers count the marks of a row against its images.
        raise UsageError(
            f"prompt file {path} holds {IMAGE_MARK}; only images of a question may be marked so, remove it"
        )
    tool = None if dialect.search else _SEARCHES.search(text)
    if tool:
        raise UsageError(
            f"prompt file {path} names the tool {tool.group()}, and the recipe has no `search`; "
            "put what is said of it between [search] and [/search], or name a corpus"
        )
    mark = _MARK.search(text)
    if mark:
        raise UsageError(f"prompt file {path} holds {mark.group()} without its other end; write both, or neither")
    token = _CHAT_TOKEN.search(text)
    if token:
        raise UsageError(f"prompt file {path} holds {token.group()}, which a tokenizer reads as control; remove it")
    return text


def _read_calls(path: Path, dialect: Dialect) -> str:
    """Return the text on calls with the schemas in it. Its presence tells what dialect the set is written for."""
    if not dialect.tools:
        if path.exists():
            raise UsageError(
                f"prompt file {path} tells how to call tools by JSON, but the dialect is {dialect.name}; "
                "correct `prompts.name` or `dialect` in the recipe"
            )
        return ""
    if not path.exists():
        raise UsageError(
            f"prompt file {path} is missing, which tells how to call tools by JSON as the dialect {dialect.name} does; "
            "correct `prompts.name` or `dialect` in the recipe"
        )
    text = read_prompt(path, dialect)
    _check_slots(path, text, (_TOOLS_SLOT,))
    return text.replace(_TOOLS_SLOT, dialect.tools_text)


def _check_slots(path: Path, text: str, slots: Sequence[str]) -> None:
    for slot in slots:
        if text.count(slot) != 1:
            raise UsageError(f"prompt file {path} has {text.count(slot)} slots {slot}; it needs exactly one")


def _join(parts: list[str]) -> str:
    return "\n\n".join(part for part in parts if part)
