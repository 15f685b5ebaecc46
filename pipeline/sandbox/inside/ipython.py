"""The part of IPython that cells are written for: `IPython.display`, without IPython. Guest side.

`display` and `Image` show pictures as in a notebook; what holds text is shown as its text. Everything else is an
import error that says what there is.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

_PNG = b"\x89PNG"
_MISSING = "IPython is not installed here, and has no {}: display(picture), Image(file) and plt.show() show pictures"


class Image:
    """A picture file, by name or content, to be shown as it is; sizes that a browser would apply are not."""

    def __init__(self, data: Any = None, url: str | None = None, filename: Any = None, **_: Any) -> None:
        if url is not None or (isinstance(data, str) and data.startswith(("http://", "https://"))):
            raise OSError("there is no network here: Image takes the name of a file, or its content")
        if isinstance(data, str | Path):
            filename = data
        self.data: bytes = Path(filename).read_bytes() if filename is not None else bytes(data)

    def _repr_png_(self) -> bytes | None:
        return self.data if self.data.startswith(_PNG) else None

    def _repr_jpeg_(self) -> bytes | None:
        return None if self.data.startswith(_PNG) else self.data


class _Text:
    def __init__(self, data: Any = "", *_: Any, **__: Any) -> None:
        self.data = data

    def __repr__(self) -> str:
        return str(self.data)


def install(display: Callable[..., None]) -> None:
    """Make `IPython` and `IPython.display` importable."""
    shown = _module("IPython.display")
    texts = {name: type(name, (_Text,), {}) for name in ("HTML", "Markdown", "Latex", "Pretty")}
    vars(shown).update(texts, display=display, Image=Image, clear_output=lambda *_, **__: None)
    # As when IPython is imported by a program that it does not run.
    top = _module("IPython", display=shown, get_ipython=lambda: None, version_info=(9, 0, 0), __version__="9.0.0")
    top.__path__ = []


def _module(name: str, **content: Any) -> types.ModuleType:
    module = sys.modules[name] = types.ModuleType(name)
    module.__spec__ = ModuleSpec(name, None, is_package="." not in name)

    def missing(attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        raise ImportError(_MISSING.format(attribute))

    vars(module).update(content, __getattr__=missing)
    return module
