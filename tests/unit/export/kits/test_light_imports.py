from __future__ import annotations

import json
import subprocess
import sys

import pytest

GRADER = (
    "filters.answers",
    "filters.answers.metrics",
    "filters.answers.votes",
    "pipeline.dialects",
    "pipeline.math_worker",
)
SANDBOX = ("pipeline.sandbox.service.client", "pipeline.students.family")


@pytest.mark.parametrize(
    ("modules", "needed"),
    [(GRADER, {"pydantic"}), ((*GRADER, *SANDBOX), {"pydantic", "urllib3"})],
    ids=["reward", "environment"],
)
def test_what_trainers_import_needs_little_besides_the_standard_library(
    modules: tuple[str, ...], needed: set[str]
) -> None:
    code = (
        f"import sys, json, {', '.join(modules)}; print(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    )
    listed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    loaded = {name for name in json.loads(listed) if not name.startswith("_")} - sys.stdlib_module_names
    of_pydantic = {"annotated_types", "pydantic_core", "typing_extensions", "typing_inspection"}
    assert loaded - of_pydantic - {"filters", "pipeline"} == needed
