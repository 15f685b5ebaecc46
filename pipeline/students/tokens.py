"""Counting tokens of text: by the student's own tokenizer where there is one, otherwise by an estimate that says so.

The tokenizer is read by `tokenizers` and not by `transformers`: all that is needed is `tokenizer.json`, and the larger
library takes seconds to import and looks for further files.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.dialects import Dialect
from pipeline.errors import UsageError
from pipeline.records import Trajectory

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TOKENIZER = "tokenizer.json"
CHARACTERS = 4
"""Per token, where no tokenizer is named: about what English prose and code take in byte-pair vocabularies of 100,000
and more entries. Of Chinese, Japanese and Korean a character is counted as one: they take one to two."""
_WIDE = re.compile("[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]")


@dataclass(frozen=True)
class TokenCounter:
    """Counts the tokens of a text, without those that a chat template puts around it."""

    name: str
    """What counts, as exports state it: `4 characters per token …`, or `tokenizer` and the sha256 of its file."""
    identity: str
    """sha256 of `tokenizer.json`; empty for the estimate."""
    tokenizer: Tokenizer | None = None

    @classmethod
    def open(cls, directory: Path | str | None, field: str = "student.tokenizer") -> TokenCounter:
        """Return the counter of a tokenizer's directory; None: the estimate. `field` is where the user named it.

        Raises:
            UsageError: the directory holds no `tokenizer.json`, or one that cannot be read.
        """
        if directory is None:
            return ESTIMATE
        path = Path(directory) / TOKENIZER
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UsageError(
                f"{field}: {path} cannot be read ({error.strerror}); name the directory of the student's tokenizer, "
                f"which holds {TOKENIZER}, or leave it out to count {CHARACTERS} characters as a token"
            ) from error
        sha256 = hashlib.sha256(content).hexdigest()
        return cls(f"tokenizer {sha256}", sha256, _load(path, content, field))

    @property
    def exact(self) -> bool:
        """Return whether the student's own tokenizer counts."""
        return self.tokenizer is not None

    def count(self, text: str) -> int:
        """Return how many tokens `text` takes."""
        if self.tokenizer is None:
            wide = 0 if text.isascii() else len(_WIDE.findall(text))
            return wide - (wide - len(text)) // CHARACTERS
        # Without special tokens: begin and end belong to the chat template.
        return len(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def total(self, texts: Iterable[str]) -> int:
        """Return the tokens of several messages, each counted by itself, as trainers tokenise them."""
        return sum(self.count(text) for text in texts)


ESTIMATE = TokenCounter(f"{CHARACTERS} characters per token (1 in Chinese, Japanese, Korean)", "")


def loss_tokens(trajectory: Trajectory, dialect: Dialect, counter: TokenCounter) -> int:
    """Return the tokens that a trainer learns of a trajectory: its assistant messages, as exports write them.

    Raises:
        ValueError: a turn cannot be written, such as one that was no valid message.
    """
    return counter.total(dialect.render_turn(turn.think, turn.action, turn.arguments) for turn in trajectory.turns)


def _load(path: Path, content: bytes, field: str) -> Tokenizer:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_buffer(content)
    except Exception as error:
        raise UsageError(f"{field}: {path} is not a tokenizer ({error}); download it again") from error
    # Settings of whoever saved the file; a count must be of the whole text and nothing else.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
