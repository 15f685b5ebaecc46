"""Commands of ours in messages, as a person can copy them."""

from __future__ import annotations

import shlex


def command(*words: object) -> str:
    """Return a command line of `coldforge`; a word with a space or a sign of the shell in it is quoted."""
    return shlex.join(["coldforge", *map(str, words)])
