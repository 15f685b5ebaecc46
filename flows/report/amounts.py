"""Amounts in words."""

from __future__ import annotations


def counted(number: int, what: str) -> str:
    """Return so many things in words: `1 question`, `1,000 questions`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
