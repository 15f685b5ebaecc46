"""Sameness: which questions are one for training, and which stand in a benchmark."""

from __future__ import annotations

from filters.dedup.hamming import near_pairs

__all__ = ["near_pairs"]
