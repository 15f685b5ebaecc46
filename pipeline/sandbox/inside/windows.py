"""The windows of OpenCV, Pillow and matplotlib: there are none, so what they would show is shown as by `display`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_MUTE = (
    "destroyAllWindows destroyWindow moveWindow namedWindow resizeWindow setWindowProperty setWindowTitle"
    " startWindowThread"
)
_NO_KEY = -1
_HALF_OF_16_BITS = 256


def install(show: Callable[[Any], bool], show_figures: Callable[[], None]) -> None:
    """Take over.

    Args:
        show: takes a picture of Pillow or a figure.
        show_figures: shows all open figures and closes them.
    """
    import cv2
    import matplotlib.pyplot as plt
    from matplotlib.figure import Figure
    from PIL import ImageShow

    def nothing(*_: Any, **__: Any) -> None:
        """There is no window."""

    def no_key(*_: Any, **__: Any) -> int:
        """Nobody presses a key."""
        return _NO_KEY

    def plt_show(*_: Any, **__: Any) -> None:
        """Show all open figures and close them."""
        show_figures()

    def figure_show(figure: Any, *_: Any, **__: Any) -> None:
        """Show this figure."""
        show(figure)

    class Viewer(ImageShow.Viewer):
        def show(self, image: Any, **_: Any) -> int:
            show(image)
            return 1

    def imshow(winname: str, mat: Any) -> None:
        """Show an array whose channels are in OpenCV's order: blue, green, red."""
        del winname
        show(_as_opencv_shows(mat))

    plt.show, Figure.show = plt_show, figure_show
    ImageShow.register(Viewer(), 0)
    cv2.imshow = imshow
    for name in _MUTE.split():
        setattr(cv2, name, nothing)
    for name in ("waitKey", "waitKeyEx", "pollKey"):
        setattr(cv2, name, no_key)


def _as_opencv_shows(mat: Any) -> Any:
    """Return the picture that OpenCV's window would hold.

    Raises:
        cv2.error: it would not take this array either.
    """
    import cv2
    import numpy as np
    from PIL import Image

    array = mat.get() if isinstance(mat, cv2.UMat) else mat
    if array is None or getattr(array, "size", 1) == 0:
        raise cv2.error("imshow: there is no picture; imread gives None for a file that it cannot read")
    if not isinstance(array, np.ndarray):
        raise cv2.error(f"imshow: takes an array, not {type(array).__name__}; display() takes a picture of PIL")
    if array.ndim == 3 and array.shape[2] == 1:  # noqa: PLR2004 - rows, columns, channels
        array = array[..., 0]
    if array.ndim != 2 and not (array.ndim == 3 and array.shape[2] in {3, 4}):  # noqa: PLR2004
        raise cv2.error(f"imshow: an array of shape {array.shape} is no picture of 1, 3 or 4 channels")
    # How the documentation of `imshow` says that each type is scaled.
    if array.dtype == np.uint16:
        array = array // _HALF_OF_16_BITS
    elif array.dtype in {np.dtype("float16"), np.dtype("float32"), np.dtype("float64")}:
        array = np.nan_to_num(array) * 255
    elif array.dtype not in {np.dtype("uint8"), np.dtype("int8"), np.dtype("bool")}:
        raise cv2.error(f"imshow: values of type {array.dtype} are not shown; convert to uint8")
    elif array.dtype != np.uint8:
        array = array.astype("int16") * (255 if array.dtype == bool else 1)
    bytes_ = np.clip(array, 0, 255).astype("uint8")
    return Image.fromarray(bytes_ if bytes_.ndim == 2 else np.ascontiguousarray(bytes_[..., 2::-1]))  # noqa: PLR2004
