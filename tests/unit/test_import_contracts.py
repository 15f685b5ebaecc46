from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.command import ROOT

CONTRACTS = {
    contract["name"]: contract
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
}
# Each line breaks one contract; together they break all of them.
VIOLATIONS = {
    "pipeline/bad.py": "import filters.rule\nimport duckdb, datasets, prefect, sympy\n",
    "pipeline/sandbox/inside/bad.py": "from pipeline.errors import UsageError\n",
    "pipeline/sources/values/bad.py": "import pipeline.sources.rows\n",
    "pipeline/models/bad.py": "import vllm\nimport pipeline.demo.vocabulary\n",
    "filters/answers/bad.py": "import filters.screen.images\n",
    "filters/bad.py": "from pipeline.engine.stage import Stage\nimport os\n",
    "pipeline/records/bad.py": "import pipeline.engine.stage\n",
    "flows/ledger/bad.py": "import flows.report.tables\n",
    "flows/stages/ingest.py": "import flows.stages.screen\n",
    "flows/asking/bad.py": "import pipeline.engine.executor\n",
    "flows/bad.py": "def late() -> None:\n    import transformers\n",
}


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What import-linter says about a copy of the packages with every violation in it."""
    copy = tmp_path_factory.mktemp("copy")
    for package in ("pipeline", "filters", "flows"):
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    for name, text in VIOLATIONS.items():
        (copy / name).write_text(text)
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("contract", CONTRACTS)
def test_a_violation_breaks_its_contract(contract: str, verdicts: str) -> None:
    assert f"{contract} BROKEN" in verdicts


def test_what_the_guest_must_not_import_is_all_that_is_ours() -> None:
    paths = [*(ROOT / "pipeline").iterdir(), *(ROOT / "pipeline/sandbox").iterdir()]
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in paths
        if (path.suffix == ".py" and path.stem != "__init__") or (path / "__init__.py").exists()
    }
    ours = {"filters", "flows", *modules} - {"pipeline.sandbox", "pipeline.sandbox.inside"}
    assert set(CONTRACTS["inside the sandbox nothing of ours"]["forbidden_modules"]) == ours
