from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {
    "datasets",
    "duckdb",
    "numpy",
    "pandas",
    "polars",
    "prefect",
    "pyarrow",
    "ray",
    "torch",
    "transformers",
    "vllm",
}


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"]])
def test_help_loads_no_heavy_library(arguments: list[str]) -> None:
    # The modules themselves are listed: a limit in seconds would measure the machine.
    program = (
        "import sys\n"
        "from flows.cli.main import main\n"
        f"sys.argv = ['coldforge', *{arguments!r}]\n"
        "try:\n    main()\nexcept SystemExit as done:\n    assert not done.code, done.code\n"
        "print('LOADED', *sorted({name.partition('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = done.stdout.rpartition("LOADED")[2].split()
    assert HEAVY.intersection(loaded) == set()
    assert "Usage" in done.stdout
