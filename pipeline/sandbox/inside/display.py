"""What a cell shows as a picture, as raw pixels. Guest side; the image libraries come with `install`.

`plt.show()`, `Figure.show()`, `Image.show()`, `cv2.imshow()`, `display(x)`, a picture as a cell's last value, and
figures still open at the end of a cell: as in a notebook. An array is a table of numbers until it is said how it is to
be shown: nothing tells whether its channels are red, green, blue or the other way round.
"""

from __future__ import annotations

import io
import logging
import warnings
from pathlib import Path
from typing import Any

from pipeline.sandbox.inside import ipython, windows, wire
from pipeline.sandbox.inside.describe import NAME, WARNER, cut
from pipeline.sandbox.inside.policy import Limits

MAX_DECODED_PIXELS = 89_478_485
"""Of an image file: the bound at which the host decodes. Beyond, Pillow raises."""
_MIN_SIDE = 32
"""Of an 8-bit array that is perhaps meant as a picture and not as a table of numbers."""
_CHANNELS = (3, 4)
_AN_ARRAY = (
    "An array is shown as numbers. As a picture: display(Image.fromarray(a)) if it is RGB, cv2.imshow('', a) if BGR."
)
_CJK = "/guest/cvttf_NotoSansCJK_Regular/NotoSansCJKtc-Regular.otf"
"""A font with the signs of Chinese, Japanese and Korean (Noto Sans CJK, SIL Open Font License)."""


class _Libraries:
    """What we use of the image libraries, bound before any cell can put something else in its place."""

    def bind(self) -> None:
        import matplotlib.figure
        import numpy as np
        from matplotlib._pylab_helpers import Gcf
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from PIL import Image

        self.image, self.open, self.frombuffer = Image.Image, Image.open, Image.frombuffer
        self.new, self.composite = Image.new, Image.alpha_composite
        self.figure, self.canvas = matplotlib.figure.Figure, FigureCanvasAgg
        self.figures, self.close = Gcf.get_all_fig_managers, Gcf.destroy_all
        self.array, self.pixels = np.ndarray, (np.dtype("uint8"), np.dtype("bool"))


_LIBRARIES = _Libraries()


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
        if isinstance(value, _LIBRARIES.image):
            self._image(value)
            return True
        if isinstance(value, _LIBRARIES.figure):
            return self._figure(value)
        content = _as_file(value)
        if content is not None:
            self._image(_LIBRARIES.open(io.BytesIO(content)))
            return True
        if _AN_ARRAY not in self.notes and _may_be_picture(value):
            self.notes.append(_AN_ARRAY)
        return False

    def show_open_figures(self, *, draw: bool = True) -> None:
        """Take in all open figures in their order (but not if they are not to be drawn), and close them."""
        try:
            managers = _LIBRARIES.figures()
            if managers and not draw:
                self.notes.append(f"{len(managers)} open figures are not shown: the cell was interrupted.")
                return
            for manager in managers:
                self._figure(manager.canvas.figure)
        finally:
            _LIBRARIES.close()

    def finish(self, *, draw: bool) -> None:
        """Take in what is left at the end of a cell; a figure that cannot be drawn becomes a note."""
        try:
            self.show_open_figures(draw=draw)
        except BaseException as error:  # noqa: BLE001 - guest code draws here and may raise anything
            self.notes.append(f"A figure is not shown: {cut(type(error).__name__, NAME)}.")
        if self._left_out:
            self.notes.append(f"{self._left_out} more images are not shown: at most {self.limits.images} per cell.")

    def _fits(self, width: int, height: int) -> bool:
        if len(self.shapes) >= self.limits.images:
            self._left_out += 1
            return False
        taken = sum(w * h for _, w, h in self.shapes)
        most = min(self.limits.image_pixels, self.limits.cell_pixels - taken)
        if max(width, height) > wire.MAX_SIDE:
            self.notes.append(
                f"An image of {width}x{height} pixels is not shown: a side of at most {wire.MAX_SIDE} fits."
            )
            return False
        if not 0 < width * height <= most:
            self.notes.append(f"An image of {width}x{height} pixels is not shown: at most {most} pixels fit.")
            return False
        return True

    def _image(self, image: Any) -> None:
        if self._fits(*image.size):
            flat = image if image.mode in {"L", "RGB"} else _flatten(image)
            self._take(flat.mode, flat.size, flat.tobytes())

    def _figure(self, figure: Any) -> bool:
        """Take a figure in once; return whether there is anything on it."""
        if any(figure is other for other in self._figures):
            return True
        if figure.get_children() == [figure.patch]:
            # As `plt.savefig` leaves one behind after `plt.show`.
            return False
        self._figures.append(figure)
        canvas = figure.canvas if isinstance(figure.canvas, _LIBRARIES.canvas) else _LIBRARIES.canvas(figure)
        width, height = canvas.get_width_height()
        if self._fits(width, height):
            canvas.draw()
            image = _flatten(_LIBRARIES.frombuffer("RGBA", (width, height), canvas.buffer_rgba(), "raw", "RGBA", 0, 1))
            self._take(image.mode, image.size, image.tobytes())
        return True

    def _take(self, mode: str, size: tuple[int, int], pixels: bytes) -> None:
        self.shapes.append((mode, *size))
        self.pixels.append(pixels)


SCREEN = Screen()


def _as_file(value: object) -> bytes | None:
    """Return the picture file that an object makes of itself for notebooks (IPython's `_repr_png_`), if it does."""
    for name in ("_repr_png_", "_repr_jpeg_"):
        made = getattr(type(value), name, None)
        content = made(value) if callable(made) else None
        if isinstance(content, bytes):
            return content
    return None


def _may_be_picture(value: Any) -> bool:
    if not isinstance(value, _LIBRARIES.array) or value.dtype not in _LIBRARIES.pixels:
        return False
    if value.ndim == 3:  # noqa: PLR2004 - rows, columns, channels
        return value.shape[2] in _CHANNELS and min(value.shape[:2]) >= _MIN_SIDE
    return value.ndim == 2 and min(value.shape) >= _MIN_SIDE  # noqa: PLR2004 - rows, columns


def display(*values: object, **_: object) -> None:
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
    from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps  # noqa: F401 - warm

    mpl.use("Agg")
    plt.close(plt.figure())  # loads the fonts
    _write_every_script()
    np.zeros(1).sum()
    cv2.setNumThreads(1)
    Image.init()
    Image.MAX_IMAGE_PIXELS = MAX_DECODED_PIXELS
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    _LIBRARIES.bind()
    WARNER.install()
    windows.install(SCREEN.show, SCREEN.show_open_figures)
    ipython.install(display, lambda array: cv2.imshow("", array))


def _write_every_script() -> None:
    """Let figures take from a font of Chinese, Japanese and Korean what the one that is asked for does not have.

    Also where that is none of ours: code for such labels names fonts of its author's machine.
    """
    from matplotlib import font_manager

    find = font_manager.FontManager._find_fonts_by_props  # noqa: SLF001 - no setting adds to every list of fonts

    def found(self: Any, *arguments: Any, **options: Any) -> list[str]:
        paths: list[str] = find(self, *arguments, **options)
        return paths if _CJK in paths else [*paths, _CJK]

    font_manager.FontManager._find_fonts_by_props = found  # noqa: SLF001
    said: set[str] = set()

    def is_new(record: logging.LogRecord) -> bool:
        """Say once that a font is missing, and not for every label."""
        before = len(said)
        said.add(record.getMessage())
        return len(said) > before

    logging.getLogger(font_manager.__name__).addFilter(is_new)


def preload(names: list[str], contents: list[bytes], where: str, room: int) -> dict[str, Any]:
    """Write each original file under its three names, and return the opened images by name.

    Each name is a file of its own, which a cell may write over. If those would take more than `room` bytes, the names
    lead to one file that cannot be written.

    Pixels are decoded at their first use, unless the image must be turned upright or made RGB, as the
    host does with what it shows the model (`pipeline.images.decode`).
    """
    from PIL import Image

    images: dict[str, Any] = {}
    copies = 3 * sum(map(len, contents)) <= room
    for name, content in zip(names, contents, strict=True):
        first, *others = (Path(f"{where}/{name}{suffix}") for suffix in ("", ".png", ".jpg"))
        first.write_bytes(content)
        for path in others:
            if copies:
                path.write_bytes(content)
            else:
                path.hardlink_to(first)
        if not copies:
            first.chmod(0o444)
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
    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return _LIBRARIES.composite(_LIBRARIES.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")
