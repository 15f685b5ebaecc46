"""Isolated notebooks for model-written Python: see `docs/design/sandbox.md` for the threat model."""

from __future__ import annotations

from pipeline.sandbox.policy import Limits, Policy
from pipeline.sandbox.pool import Pool
from pipeline.sandbox.probe import IsolationError
from pipeline.sandbox.result import CellError, CellImage, CellResult
from pipeline.sandbox.session import Session

__all__ = ["CellError", "CellImage", "CellResult", "IsolationError", "Limits", "Policy", "Pool", "Session"]
