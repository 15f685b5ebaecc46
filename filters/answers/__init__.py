"""Answers: what a text says, and whether it is one of the stored answers."""

from __future__ import annotations

from filters.answers.grader import grade

__all__ = ["grade"]
