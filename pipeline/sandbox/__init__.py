"""Isolated notebooks for model-written Python.

Code of a model is hostile: it runs in namespaces of its own on a read-only root without network, privileges or
anything of the host's, and what comes back is checked before it is kept. `Pool` is the way in.
"""

from __future__ import annotations

from pipeline.sandbox.backend import Notebook, Sandbox
from pipeline.sandbox.inside.policy import Limits, Policy
from pipeline.sandbox.pool import Pool
from pipeline.sandbox.probe import IsolationError
from pipeline.sandbox.result import CellError, CellImage, CellResult
from pipeline.sandbox.session import Session

__all__ = [
    "CellError",
    "CellImage",
    "CellResult",
    "IsolationError",
    "Limits",
    "Notebook",
    "Policy",
    "Pool",
    "Sandbox",
    "Session",
]
