"""The columns of each Parquet format."""

from __future__ import annotations

import pyarrow as pa

from pipeline.export.formats import deepeyesv2, huggingface, trl, verl
from pipeline.export.layout import Format, Shard


def schema_of(shard: Shard, kind: Format) -> pa.Schema:
    """Return the Arrow schema of a format's files, as its writer makes them.

    Raises:
        ValueError: the rows of the format are no Parquet.
    """
    match shard, kind:
        case _, "deepeyesv2":
            return deepeyesv2.SCHEMA
        case _, "huggingface" | "trl" | "verl":
            module = {"huggingface": huggingface, "trl": trl, "verl": verl}[kind]
            return module.SFT_SCHEMA if shard == "sft" else module.RL_SCHEMA
        case _:
            raise ValueError(f"{kind} has no columns: its rows are JSON")
