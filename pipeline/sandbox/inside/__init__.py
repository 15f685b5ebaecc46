"""What exists within a session: the files of this folder are copied into the guest, and import nothing else of ours."""

from __future__ import annotations
