"""Evidence about the images that tools gave back."""

from __future__ import annotations

from PIL import Image

from pipeline.images import decode, pixel_hash
from pipeline.records import ObservationFacts, Trajectory
from pipeline.store.blobs import BlobStore

BLANK_RANGE = 5
"""An image whose channels vary by no more than this (of 255) shows nothing; the DeepEyesV2 evaluation
drops images whose values are all at least 250, which is the same width at the white end."""


def observation_facts(trajectory: Trajectory, blobs: BlobStore) -> tuple[ObservationFacts, ...]:
    """Measure every image that a Python cell of the trajectory returned: is it blank, is it an input unchanged?"""
    inputs = {pixel_hash(decode(blobs.get(image.sha256))) for image in trajectory.images}
    facts = []
    for number, turn in enumerate(trajectory.turns):
        if turn.action != "python":
            continue
        for index, image in enumerate(turn.images):
            pixels = decode(blobs.get(image.sha256))
            facts.append(
                ObservationFacts(
                    trajectory_id=trajectory.id,
                    turn=number,
                    image=index,
                    sha256=image.sha256,
                    blank=all(high - low <= BLANK_RANGE for low, high in map(_extrema, pixels.split())),
                    same_as_input=pixel_hash(pixels) in inputs,
                )
            )
    return tuple(facts)


def _extrema(band: Image.Image) -> tuple[float, float]:
    """Return the lowest and the highest value of a one-band image."""
    low, high = band.getextrema()
    if isinstance(low, tuple) or isinstance(high, tuple):
        raise TypeError(f"an image of mode {band.mode} has several bands")
    return low, high
