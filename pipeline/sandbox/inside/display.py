"""What a cell shows as a picture, as raw pixels. Guest side; the image libraries come with `install`.

`plt.show()`, `Figure.show()`, `Image.show()`, `display(x)`, a picture as a cell's last value, and
figures still open at the end of a cell: as in a notebook.
"""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path
from typing import Any

from pipeline.sandbox.inside.policy import Limits

MAX_DECODED_PIXELS = 89_478_485
"""Of an image file: the bound at which the host decodes. Beyond, Pillow raises."""
_MIN_SIDE = 32
"""Of an 8-bit array to be taken for a picture and not for a table of numbers."""
_CHANNELS = (3, 4)


class Screen:
    """The pictures of the running cell, within the limits."""

    def __init__(self) -> None:
        self.limits = Limits()
        self.clear()

    def clear(self) -> None:
        """Forget the last cell's pictures."""
        self.shapes: list[tuple[str, int, int]] = []
        self.pixels: list[bytes] = []
        self.notes: list[str] = []
        self._left_out = 0
        self._figures: list[Any] = []

    def show(self, value: object) -> bool:
        """Take `value` in if it is a picture; return whether it is one."""
        from matplotlib.figure import Figure
        from PIL import Image

        if isinstance(value, Image.Image):
            self._image(value)
        elif isinstance(value, Figure):
            self._figure(value)
        elif _is_picture(value):
            self._array(value)
        else:
            return False
        return True

    def show_open_figures(self, *, draw: bool = True) -> None:
        """Take in all open figures in their order (but not if they are not to be drawn), and close them."""
        import matplotlib.pyplot as plt
        from matplotlib._pylab_helpers import Gcf

        try:
            managers = Gcf.get_all_fig_managers()
            if managers and not draw:
                self.notes.append(f"{len(managers)} open figures are not shown: the cell was interrupted.")
                return
            for manager in managers:
                self._figure(manager.canvas.figure)
        finally:
            plt.close("all")

    def finish(self, *, draw: bool) -> None:
        """Take in what is left at the end of a cell; a figure that cannot be drawn becomes a note."""
        try:
            self.show_open_figures(draw=draw)
        except BaseException as error:  # noqa: BLE001 - guest code draws here and may raise anything
            self.notes.append(f"A figure is not shown: {type(error).__name__}.")
        if self._left_out:
            self.notes.append(f"{self._left_out} more images are not shown: at most {self.limits.images} per cell.")

    def _fits(self, width: int, height: int) -> bool:
        if len(self.shapes) >= self.limits.images:
            self._left_out += 1
            return False
        taken = sum(w * h for _, w, h in self.shapes)
        most = min(self.limits.image_pixels, self.limits.cell_pixels - taken)
        if not 0 < width * height <= most:
            self.notes.append(f"An image of {width}x{height} pixels is not shown: at most {most} pixels fit.")
            return False
        return True

    def _image(self, image: Any) -> None:
        if self._fits(*image.size):
            flat = image if image.mode in {"L", "RGB"} else _flatten(image)
            self._take(flat.mode, flat.size, flat.tobytes())

    def _array(self, array: Any) -> None:
        from PIL import Image

        if self._fits(array.shape[1], array.shape[0]):
            image = Image.fromarray(array.astype("uint8") * 255 if array.dtype == bool else array)
            flat = image if image.mode in {"L", "RGB"} else _flatten(image)
            self._take(flat.mode, flat.size, flat.tobytes())

    def _figure(self, figure: Any) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from PIL import Image

        if any(figure is other for other in self._figures):
            return
        self._figures.append(figure)
        canvas = figure.canvas if isinstance(figure.canvas, FigureCanvasAgg) else FigureCanvasAgg(figure)
        width, height = canvas.get_width_height()
        if self._fits(width, height):
            canvas.draw()
            image = _flatten(Image.frombuffer("RGBA", (width, height), canvas.buffer_rgba(), "raw", "RGBA", 0, 1))
            self._take(image.mode, image.size, image.tobytes())

    def _take(self, mode: str, size: tuple[int, int], pixels: bytes) -> None:
        self.shapes.append((mode, *size))
        self.pixels.append(pixels)


SCREEN = Screen()


def _is_picture(value: Any) -> bool:
    import numpy as np

    if not isinstance(value, np.ndarray) or value.dtype not in {np.dtype("uint8"), np.dtype("bool")}:
        return False
    if value.ndim == 3:  # noqa: PLR2004 - rows, columns, channels
        return value.shape[2] in _CHANNELS and value.dtype != bool and min(value.shape[:2]) > 0
    return value.ndim == 2 and min(value.shape) >= _MIN_SIDE  # noqa: PLR2004 - rows, columns


def display(*values: object) -> None:
    """Show pictures as pictures and anything else as text, as a notebook does."""
    for value in values:
        if not SCREEN.show(value):
            print(repr(value))  # noqa: T201 - this is what it is for


def install() -> None:
    """Import the image libraries, make them quiet, single-threaded and bounded, and take over their windows."""
    import cv2
    import matplotlib as mpl
    import matplotlib.pyplot as plt
    import numpy as np
    from matplotlib.figure import Figure
    from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps  # noqa: F401 - warm

    mpl.use("Agg")
    plt.close(plt.figure())  # loads the fonts
    np.zeros(1).sum()
    cv2.setNumThreads(1)
    Image.init()
    Image.MAX_IMAGE_PIXELS = MAX_DECODED_PIXELS
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    plt.show = lambda *_, **__: SCREEN.show_open_figures()
    Figure.show = lambda figure, *_, **__: _show(figure)
    setattr(Image.Image, "show", lambda image, *_, **__: _show(image))  # noqa: B010 - a method is replaced on purpose


def _show(value: object) -> None:
    SCREEN.show(value)


def preload(names: list[str], contents: list[bytes], where: str) -> dict[str, Any]:
    """Write each original file once, link its other names to it, and return the opened images by name.

    Pixels are decoded at their first use, unless the image must be turned upright or made RGB, as the
    host does with what it shows the model (`pipeline.images.decode`).
    """
    from PIL import Image

    images: dict[str, Any] = {}
    for name, content in zip(names, contents, strict=True):
        path = f"{where}/{name}"
        Path(path).write_bytes(content)
        os.link(path, f"{path}.png")
        os.link(path, f"{path}.jpg")
        image: Any = Image.open(io.BytesIO(content))
        if _may_be_turned(image, content):
            image = _upright(image)
        plain = image.mode == "RGB" and "transparency" not in image.info
        images[name] = image if plain else _flatten(image)
    return images


def _may_be_turned(image: Any, content: bytes) -> bool:
    """Return whether the file may hold an orientation. For PNG, Pillow knows only after decoding all of it."""
    if image.format == "PNG":
        return any(mark in content for mark in (b"eXIf", b"Raw profile type", b"XML:com.adobe.xmp"))
    return _orientation(image) != 1


def _upright(image: Any) -> Any:
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    image.load()
    turn = turns.get(_orientation(image))
    return image if turn is None else image.transpose(turn)


def _orientation(image: Any) -> int:
    """Return the EXIF orientation, 1 where there is none or the block is damaged."""
    try:
        value = image.getexif().get(0x0112, 1)
    except Exception:  # noqa: BLE001 - Pillow's parser raises whatever damaged bytes make it stumble over
        return 1
    return value if isinstance(value, int) else 1


def _flatten(image: Any) -> Any:
    """Return RGB; transparent pixels become white, as in a viewer."""
    from PIL import Image

    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")
