"""The sandbox over HTTP: one machine that can isolate serves sessions to others. `protocol` describes it."""

from __future__ import annotations
