"""Copied into the environment of `make test-vllm`: lets the registry's torchvision be imported beside torch for CPU.

That torchvision is built for CUDA, so its library does not load beside a torch without it, and its Python
part then fails at once because two operators, which no model here uses, have no schema. This defines them
just before torchvision is imported, and does nothing where the two packages were built for each other.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from importlib.metadata import version
from typing import Any

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


class BeforeTorchvision:
    """An import hook that finds nothing; it is only told what is about to be imported."""

    library: Any = None
    """Keeps the definitions alive."""

    @classmethod
    def find_spec(cls, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        """Define the operators when `name` is torchvision."""
        if name == "torchvision":
            sys.meta_path.remove(cls)
            cls._define()
        return None

    @classmethod
    def _define(cls) -> None:
        import torch

        if torch.version.cuda is None and not version("torchvision").endswith("+cpu"):
            cls.library = torch.library.Library("torchvision", "DEF")
            for schema in _SCHEMAS:
                cls.library.define(schema)


sys.meta_path.insert(0, BeforeTorchvision)
