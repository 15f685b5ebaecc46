"""The OCR network that rapidocr ships, one thread per process, with the distribution it hides.

RapidOCR finds the lines; its recogniser returns only the likeliest text, so the same ONNX file is run here
directly. Preprocessing follows `rapidocr/ch_ppocr_rec`: height 48, scaled to [-1, 1], blank at index 0,
the characters of the model's metadata, then the space.
"""

from __future__ import annotations

import hashlib
import math
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.demo.reader.perception import Perception, Step, TextBox
from pipeline.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

NETWORKS = ("PP-OCRv6_det_small.onnx", "PP-OCRv6_rec_small.onnx")
"""Detector and recogniser, inside rapidocr's wheel (Apache-2.0)."""
METHOD = 1
"""Raise when this file changes what is perceived."""
_HEIGHT = 48
_SHORTER_SIDE = 736
"""The detector's input is enlarged to this (its own default). 1024 costs twice as much and reads no more."""
_LATIN_END = "\u0250"
"""Just after Latin Extended-B."""
_CANDIDATES = 4
_LEAST = 0.002
"""Candidates below this are drawn less than once in the life of a demo."""


def model_files() -> tuple[Path, Path]:
    """Return the files of detector and recogniser.

    Raises:
        UsageError: rapidocr is not installed, or is a release with other networks.
    """
    spec = find_spec("rapidocr")
    if spec is None or spec.origin is None:
        raise UsageError("the model `reader` needs rapidocr: install coldforge[demo]")
    detector, recogniser = (Path(spec.origin).parent / "models" / name for name in NETWORKS)
    for path in (detector, recogniser):
        if not path.is_file():
            raise UsageError(f"rapidocr does not ship {path.name}; install the release of requirements.lock")
    return detector, recogniser


@cache
def model_digest() -> str:
    """Return 12 hex digits of the sha256 over both networks."""
    sha256 = hashlib.sha256()
    for path in model_files():
        sha256.update(path.read_bytes())
    return sha256.hexdigest()[:12]


def model_id() -> str:
    """Return the identity under which perceptions of text are stored."""
    return f"ppocrv6-small.{model_digest()}.{METHOD}"


def read_text(pixels: NDArray[Any]) -> Perception:
    """Return all lines of text of an RGB image."""
    import numpy as np

    bgr = np.ascontiguousarray(pixels[:, :, ::-1])  # rapidocr's networks were trained on OpenCV's order
    found = _detector()(bgr, use_det=True, use_cls=False, use_rec=False)
    boxes = () if found.boxes is None else tuple(_text_box(bgr, corners) for corners in found.boxes)
    height, width = pixels.shape[:2]
    read = sorted((box for box in boxes if box.text.strip()), key=lambda box: (box.y0, box.x0))
    return Perception(model=model_id(), width=width, height=height, boxes=tuple(read))


def _text_box(bgr: NDArray[Any], corners: NDArray[Any]) -> TextBox:
    # Lines of the sheets are level, so the rectangle around the corners is the line.
    x0, y0 = (math.floor(side) for side in corners.min(axis=0))
    x1, y1 = (math.ceil(side) for side in corners.max(axis=0))
    x0, y0 = max(x0, 0), max(y0, 0)
    return TextBox(x0=x0, y0=y0, x1=x1, y1=y1, steps=_recognise(bgr[y0:y1, x0:x1]))


def _recognise(line: NDArray[Any]) -> tuple[Step, ...]:
    """Return the distribution of each timestep of one line, without padding: cheaper, and no batch changes it."""
    import cv2
    import numpy as np

    session, characters, latin = _recogniser()
    width = max(1, math.ceil(_HEIGHT * line.shape[1] / line.shape[0]))
    scaled = cv2.resize(line, (width, _HEIGHT)).astype(np.float32) / 255
    batch = ((scaled - 0.5) / 0.5).transpose(2, 0, 1)[np.newaxis]
    (probabilities,) = session.run(None, {session.get_inputs()[0].name: batch})
    return tuple(_step(row, characters) for row in probabilities[0][:, latin])


def _step(row: NDArray[Any], characters: tuple[str, ...]) -> Step:
    import numpy as np

    row = row / row.sum()
    best = np.argpartition(row, -_CANDIDATES)[-_CANDIDATES:]
    # Ties in index order, so that equal pixels give equal bytes.
    ordered = sorted((int(index) for index in best), key=lambda index: (-float(row[index]), index))
    kept = [index for index in ordered if row[index] >= _LEAST] or ordered[:1]
    return tuple((characters[index], round(float(row[index]), 4)) for index in kept)


@cache
def _detector() -> Any:
    from rapidocr import RapidOCR

    return RapidOCR(
        params={
            "Global.log_level": "error",
            "Det.limit_side_len": _SHORTER_SIDE,
            "Det.limit_type": "min",
            # One thread: as many workers as cores run side by side, and sums stay in one order.
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )


@cache
def _recogniser() -> tuple[Any, tuple[str, ...], NDArray[Any]]:
    """Return the session, the Latin characters it knows and their indices; the blank is the empty string."""
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(model_files()[1]), options, providers=["CPUExecutionProvider"])
    alphabet = session.get_modelmeta().custom_metadata_map["character"].splitlines()
    characters = ("", *alphabet, " ")
    # The network knows 18,000 characters; one who reads English takes a blurred word for Latin letters.
    latin = np.array([index for index, character in enumerate(characters) if max(character, default="") < _LATIN_END])
    return session, tuple(characters[index] for index in latin), latin
