"""Every command that a text of ours names exists, with the options that are written behind it."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from typer.main import get_command

from flows.cli.main import make_app
from pipeline.commands import command
from tests.support.command import ROOT

TEXTS = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "manifests").rglob("*.yaml")),
    *(path for floor in ("flows", "filters", "pipeline") for path in sorted((ROOT / floor).rglob("*.py"))),
    ROOT / "Makefile",
]
"""What people read, and the code: its help and its messages name commands, too."""
_CALL = re.compile(r"(?:`|^\s*(?:\$\s+)?|\(|next: |/bin/)coldforge ((?:(?!#|  |`)[^\n])+)", re.MULTILINE)
_TARGET = re.compile(r"(?:`|^)make ([a-z][a-z-]*)", re.MULTILINE)


class Named(NamedTuple):
    """A command as a text has it."""

    file: Path
    words: tuple[str, ...]


def named() -> Iterator[Named]:
    for path in TEXTS:
        for found in _CALL.finditer(path.read_text()):
            words = tuple(re.split(r"[\s.,;:)]+", found[1].strip()))
            if re.match(r"[a-z-]+$", words[0]):
                yield Named(path.relative_to(ROOT), words)


COMMANDS: Any = get_command(make_app())


def unknown(words: tuple[str, ...]) -> str | None:
    """What of a command line does not exist."""
    command = COMMANDS
    place = list(words)
    while commands := getattr(command, "commands", None):
        if not place or not re.match(r"[a-z]", place[0]):
            break  # `coldforge --help`, or a group named as a whole
        if place[0] not in commands:
            return place[0]
        command = commands[place.pop(0)]
    options = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    given = [word.partition("=")[0] for word in place[: place.index("--") if "--" in place else None]]
    return next((word for word in given if re.match(r"--[a-z]", word) and word not in options), None)


PROSE = {
    "again",
    "an",
    "has",
    "itself",
    "knows",
    "needs",
    "outside",
    "saw",
    "that",
    "version",
    "is",
    "reads",
    "and",
    "or",
}
"""Words after the project's name in a sentence that begins a line."""


def test_every_command_that_a_text_names_exists() -> None:
    calls = [call for call in named() if call.words[0] not in PROSE]
    assert [(call, missing) for call in calls if (missing := unknown(call.words))] == []


CODE = [path for path in TEXTS if path.suffix == ".py"]
BUILT = ROOT / "pipeline" / "sources" / "guard.py"
"""Its patterns of files are for the shell to fill in, and come with the project."""


def built() -> Iterator[Named]:
    """The commands that code puts together by `command`; of a word that is not written out stands a dot."""
    for path in CODE:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "command":
                words = (one.value if isinstance(one, ast.Constant) else "." for one in node.args)
                yield Named(path.relative_to(ROOT), tuple(map(str, words)))


def test_every_command_that_code_puts_together_exists() -> None:
    assert {call.words[0] for call in built()} >= {"stats", "show", "verify", "card", "review", "sources"}
    assert [(call, missing) for call in built() if (missing := unknown(call.words))] == []


def test_a_command_with_a_name_of_the_users_in_it_is_put_together_where_it_is_quoted() -> None:
    loose = []
    for path in CODE:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr) and path != BUILT:
                text = "".join(str(one.value) if isinstance(one, ast.Constant) else "\0" for one in node.values)
                loose += [(path, found[0]) for found in re.finditer(r"coldforge ([a-z-]+)[^`;,)\n]*\0", text)]
    commands = getattr(COMMANDS, "commands", {})
    assert [one for one in loose if one[1].split()[1] in commands] == []


@given(st.lists(st.text(st.characters(exclude_characters="\0"), min_size=1), min_size=1))
def test_a_shell_reads_the_words_of_a_printed_command_as_they_are(words: list[str]) -> None:
    assert shlex.split(command(*words)) == ["coldforge", *words]


def test_enough_commands_are_found_to_tell() -> None:
    seen = {call.words[0] for call in named()}
    assert {"run", "plan", "stats", "verify", "replay", "sandbox", "benchmarks", "export", "show", "status"} <= seen
    assert unknown(("whence", "runs/demo")) == "whence"
    assert unknown(("sandbox", "explain")) == "explain"
    assert unknown(("run", "x.yaml", "--whole")) == "--whole"


def test_every_target_of_make_that_a_text_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    texts = [path for path in TEXTS if path.suffix in {".md", ""}]
    wanted = {(path.name, name) for path in texts for name in _TARGET.findall(path.read_text())}
    assert {name for _, name in wanted} >= {"demo", "test"}
    assert {one for one in wanted if one[1] not in targets} == set()
