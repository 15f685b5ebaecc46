"""The student that the data is for, and what its family's image processor does to a picture.

A family is data: a further one that resizes by Qwen's rule is an entry of `FAMILIES`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Self

from pydantic import Field, field_validator, model_validator

from pipeline.errors import RowError
from pipeline.identity import Identity, Place
from pipeline.records import ImageRef

FamilyName = Literal["qwen2_5_vl"]
Policy = Literal["student", "native"]


class Size(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int


@dataclass(frozen=True)
class Family:
    """How the image processor of a family of models resizes, and what it counts.

    Qwen2-VL and Qwen2.5-VL: patches of 14 pixels merged two by two, at least 4 merged patches, aspect at most 200
    (`smart_resize` in transformers, models/qwen2_vl/image_processing_qwen2_vl.py).
    """

    patch: int
    """Pixels a side of what becomes one token."""
    fewest_patches: int
    max_aspect: int
    """Long side over short side; the processor raises above it."""

    @property
    def smallest(self) -> int:
        """Return the fewest pixels of a resized image; no budget can be below."""
        return self.fewest_patches * self.patch**2

    def tokens(self, size: Size) -> int:
        """Return the tokens of an image of a resized size."""
        return size.width * size.height // self.patch**2

    def resize(self, size: Size, max_pixels: int) -> Size:
        """Return the size at which an image is seen under a budget of pixels.

        Raises:
            RowError: `image_aspect`, where the processor would raise: at this size, or at what it makes of it, which is
                resized again when a server or a trainer is given the view.
        """
        patch = self.patch
        self._require_aspect(size, f"{size.width}x{size.height}")
        area = size.width * size.height
        # A side below half a patch rounds to 0 here, and is then grown like any image below the minimum.
        width, height = (round(side / patch) * patch for side in size)
        fit: Callable[[float], int]
        if width * height > max_pixels:
            shrink, fit = math.sqrt(area / max_pixels), math.floor
            width, height = (max(patch, fit(side / shrink / patch) * patch) for side in size)
        elif width * height < self.smallest:
            grow, fit = math.sqrt(self.smallest / area), math.ceil
            width, height = (fit(side * grow / patch) * patch for side in size)
        # A short side is rounded down to one patch from almost two, so the aspect may nearly double.
        seen = Size(width, height)
        self._require_aspect(seen, f"{size.width}x{size.height} is shown as {seen.width}x{seen.height}")
        return seen

    def _require_aspect(self, size: Size, named: str) -> None:
        if max(size) > self.max_aspect * min(size):
            raise RowError("image_aspect", f"{named}: aspect {max(size) / min(size):.0f}, above {self.max_aspect}")


FAMILIES: Mapping[FamilyName, Family] = {"qwen2_5_vl": Family(patch=28, fewest_patches=4, max_aspect=200)}


@dataclass(frozen=True)
class ViewRule:
    """How the student's image processor resizes, and its budget."""

    family: FamilyName
    max_pixels: int
    policy: Policy = "student"
    """`native` sends images as they are; rows made so are labelled by this field."""

    def size(self, size: Size) -> Size:
        """Return the size at which the student sees an image.

        Raises:
            RowError: `image_aspect`, where the family's processor would raise.
        """
        return size if self.policy == "native" else FAMILIES[self.family].resize(size, self.max_pixels)

    def takes(self, image: ImageRef) -> bool:
        """Return whether the student's processor takes an image of this size."""
        try:
            self.size(Size(image.width, image.height))
        except RowError:
            return False
        return True


class Student(Identity):
    """The model that the data is for."""

    family: FamilyName
    revision: str
    max_pixels: int
    """Budget per image; the released DeepEyesV2 configuration trains with 262,144. It must be the trainer's own cap for
    the data to mean what it says."""
    deploy_pixels: int | None = None
    """Budget per image where the student will be used, if it is larger: what is easy there is only hard for our
    blurring. Gate 1 then asks its survivors once more at this budget, and labels those as `resolution_artifact`."""
    view: Policy = "student"
    """`native` shows models what the student will not see; every row says so."""
    cutoff_len: int = Field(default=20_480, ge=1)
    tokenizer: Place[Path | None] = None
    """A directory with its `tokenizer.json`, to count what it learns of a row; relative paths start at the recipe.
    None: the estimate of `pipeline.students.tokens`. Where it is does not count, what it holds does."""
    template: str = "qwen2_vl"
    coordinates: Literal["original_pixels", "seen_pixels", "norm1000"] = "original_pixels"
    """Of boxes and points in what is learnt."""

    @field_validator("coordinates")
    @classmethod
    def _supported(cls, value: str) -> str:
        if value != "original_pixels":
            raise ValueError(f"{value} is not supported yet; coordinates are rendered as original_pixels only")
        return value

    @model_validator(mode="after")
    def _has_room_for_an_image(self) -> Self:
        smallest = FAMILIES[self.family].smallest
        if self.max_pixels < smallest:
            raise ValueError(f"max_pixels {self.max_pixels} must be at least {smallest}, the least {self.family} takes")
        return self

    @model_validator(mode="after")
    def _deploys_larger(self) -> Self:
        if self.deploy_pixels is not None and self.deploy_pixels <= self.max_pixels:
            raise ValueError(
                f"deploy_pixels {self.deploy_pixels} must be above max_pixels {self.max_pixels}; remove it"
            )
        return self

    @property
    def view_rule(self) -> ViewRule:
        """Return how images are resized before any model sees them."""
        return self.view_at(self.max_pixels)

    @property
    def view_rules(self) -> tuple[ViewRule, ...]:
        """Return the same for each of the student's own budgets: of training, and of deployment where it is larger."""
        return (self.view_rule, *(() if self.deploy_pixels is None else (self.view_at(self.deploy_pixels),)))

    def view_at(self, pixels: int) -> ViewRule:
        """Return the same for another budget."""
        return ViewRule(self.family, pixels, self.view)
