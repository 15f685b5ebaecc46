"""Reads options as the scripts of a kit for TRL do; run by the interpreter of .venv-trainers-trl."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any


def main() -> None:
    """Write the fields that are asked for, or what was said against the options, for each line of options."""
    given = json.loads(sys.argv[1])
    sys.path.insert(0, given["kit"])
    # Options are read without the reward.
    stand_in: Any = ModuleType("reward")
    stand_in.compute_score = None
    sys.modules["reward"] = stand_in
    script: Any = import_module(given["script"])
    script.DEEPSPEED = given["deepspeed"]
    told = [_read(script, options, given["fields"]) for options in given["options"]]
    Path(given["out"]).write_text(json.dumps({"told": told}))


def _read(script: Any, options: list[str], fields: list[str]) -> Any:
    sys.argv = [script.__file__, *options]
    try:
        made = script.options()
    except ValueError as error:
        return str(error)
    return {name: getattr(made, name) for name in fields}


if __name__ == "__main__":
    main()
