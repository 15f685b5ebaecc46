"""Texts of two runs of the same cell, made comparable."""

from __future__ import annotations

import re

# Pillow writes them in capitals.
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def normalise(text: str) -> str:
    """Replace memory addresses, the one part of a `repr` that address space randomisation changes."""
    return _ADDRESS.sub(" at 0x0", text)
