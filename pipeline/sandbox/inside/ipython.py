"""The parts of IPython and of Colab that cells are written for, without either. Guest side.

`display` and `Image` of `IPython.display` show pictures as in a notebook, and so does Colab's `cv2_imshow`; what holds
text is shown as its text. Everything else is an import error that says what there is.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

_PNG = b"\x89PNG"
_MISSING = "this is not {}, and has no {}: display(picture), IPython.display.Image(file) and plt.show() show pictures"


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


def install(display: Callable[..., None], cv2_imshow: Callable[[Any], None]) -> None:
    """Make `IPython.display`, its older name `IPython.core.display` and `google.colab.patches` importable.

    Args:
        display: shows anything.
        cv2_imshow: shows an array in OpenCV's order of channels.
    """
    texts = {name: type(name, (_Text,), {}) for name in ("HTML", "Markdown", "Latex", "Pretty")}
    shown: dict[str, Any] = {**texts, "display": display, "Image": Image, "clear_output": lambda *_, **__: None}
    core = _module("IPython.core", package=True, display=_module("IPython.core.display", **shown))
    # As when IPython is imported by a program that it does not run.
    about: dict[str, Any] = {"get_ipython": lambda: None, "version_info": (9, 0, 0), "__version__": "9.0.0"}
    _module("IPython", package=True, display=_module("IPython.display", **shown), core=core, **about)
    patches = _module("google.colab.patches", cv2_imshow=cv2_imshow)
    _module("google", package=True, colab=_module("google.colab", package=True, patches=patches))


def _module(name: str, *, package: bool = False, **content: Any) -> types.ModuleType:
    module = sys.modules[name] = types.ModuleType(name)
    module.__spec__ = ModuleSpec(name, None, is_package=package)
    if package:
        module.__path__ = []
    place = "Colab" if name.startswith("google") else "IPython"

    def missing(attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        raise ImportError(_MISSING.format(place, attribute))

    vars(module).update(content, __getattr__=missing)
    return module
