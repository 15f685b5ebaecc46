"""Every mode in every format: decoded are the pixels that numpy works out, and what is stored shows the same."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.images import decode, only_pixels, open_picture, pixel_hash, put_image
from pipeline.images.pixels import scaled, to_rgb
from pipeline.store.blobs import BlobStore
from tests.support.pictures import COLOURS, GREY, Sample, samples

SAMPLES = samples()


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_a_picture_is_scaled_upright_and_on_white(sample: Sample) -> None:
    picture = open_picture(sample.content)
    assert picture.image.mode == "RGB"
    unlike = np.abs(np.asarray(picture.image).astype(int) - sample.shows)
    assert unlike.max() <= sample.within
    assert (picture.scaling, picture.frames, picture.plain) == (sample.scaling, sample.frames, sample.plain)


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_what_is_stored_opens_as_the_same_pixels_in_any_reader(sample: Sample, tmp_path: Path) -> None:
    reference = put_image(BlobStore(tmp_path), sample.content)
    kept = BlobStore(tmp_path).get(reference.sha256)
    with Image.open(io.BytesIO(kept)) as image:
        assert image.mode in {"L", "RGB"}
        assert not image.has_transparency_data
        assert pixel_hash(image.convert("RGB")) == pixel_hash(decode(sample.content))
        assert Image.MIME[str(image.format)] == reference.mime or image.format == "MPO"
    assert (kept == only_pixels(sample.content)) is sample.plain
    assert (reference.scaling, reference.frames, reference.nbytes) == (sample.scaling, sample.frames, len(kept))


MODES = ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"]
NUMBERS = ["I", "I;16", "I;16B", "I;16L", "I;16N", "F"]


@pytest.mark.parametrize("mode", [*MODES, *NUMBERS])
def test_every_mode_of_pillow_becomes_rgb(mode: str) -> None:
    image = to_rgb(Image.new(mode, (9, 7))).image
    assert (image.mode, image.size) == ("RGB", (9, 7))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "RGBa", "RGBX", "YCbCr", "HSV", "CMYK"])
def test_a_colour_is_the_same_colour_in_every_mode(mode: str) -> None:
    if mode == "RGBa":
        image = Image.fromarray(COLOURS).convert("RGBA").convert(mode)
    else:
        image = Image.fromarray(COLOURS).convert(mode)
    unlike = np.abs(np.asarray(to_rgb(image).image).astype(int) - COLOURS)
    # The hue of HSV has 8 bits for six sixths of a circle.
    assert unlike.max() <= (6 if mode == "HSV" else 3)


def test_two_pictures_of_16_bits_that_clipping_would_make_white_have_two_hashes() -> None:
    one, other = (np.rint(40_000 + GREY * weight).astype(np.uint16) for weight in (10.0, 80.0))
    hashes = {pixel_hash(to_rgb(Image.fromarray(values)).image) for values in (one, other)}
    assert len(hashes) == 2


@pytest.mark.parametrize(
    ("values", "shown", "scaling"),
    [
        ([[0, 4095]], [[0, 255]], "by_4095"),
        ([[0, 4096]], [[0, 16]], "by_65535"),
        ([[65_535, 0]], [[255, 0]], "by_65535"),
        ([[65_536, 0]], [[255, 0]], "by_range"),
        ([[-1, 0, 1]], [[0, 128, 255]], "by_range"),
        ([[7, 7]], [[0, 0]], "by_4095"),
        ([[70_000, 70_000]], [[0, 0]], "by_range"),
        ([[0.0, 0.5, 1.0]], [[0, 128, 255]], "by_1"),
        ([[0.25, 0.25]], [[64, 64]], "by_1"),
        ([[0.0, 1.5]], [[0, 255]], "by_range"),
        ([[-3.0, -3.0]], [[0, 0]], "by_range"),
        ([[np.nan, np.nan]], [[0, 0]], "by_range"),
        ([[np.inf, -np.inf]], [[0, 0]], "by_range"),
        ([[np.nan, 10.0, 20.0, np.inf, -np.inf]], [[0, 0, 255, 255, 0]], "by_range"),
        ([[-3e38, 3e38]], [[0, 255]], "by_range"),
        ([[1e-44, 0.0]], [[0, 0]], "by_1"),
    ],
)
def test_numbers_are_scaled_by_the_policy(values: list[list[float]], shown: list[list[int]], scaling: str) -> None:
    array = np.array(values)
    found, how = scaled(array if array.dtype.kind == "i" else array.astype(np.float32))
    assert (found.tolist(), how) == (shown, scaling)


def test_rows_are_scaled_in_bands_as_if_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    values = GREY.astype(np.float32) * 3 - 100
    whole = scaled(values)[0]
    monkeypatch.setattr("pipeline.images.pixels._BAND", 200)
    assert (scaled(values)[0] == whole).all()
