from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.metadata import distribution, packages_distributions
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.command import ROOT

PROGRAMS = ROOT / "pipeline" / "export" / "kits" / "files"
"""Shipped as they are, and imported by nobody here: what they import is for a trainer's process."""
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
TEXT = {".py", ".md", ".toml", ".yaml", ".yml", ".json", ".lock", ".sql", ".txt", ".cfg", ".html", ".js", ".css", ""}


def files_of_the_project() -> list[Path]:
    """Every text file that is or would be committed."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [ROOT / name for name in names if Path(name).suffix in TEXT and (ROOT / name).is_file()]


@pytest.mark.parametrize("package", ["pipeline", "filters", "flows"])
def test_a_package_comes_from_coldforge_and_from_nowhere_else(package: str) -> None:
    # Three generic names: another distribution could overwrite or shadow them without a word.
    found = Path(str(import_module(package).__file__)).resolve()
    installed = distribution("coldforge")
    origin = json.loads(installed.read_text("direct_url.json") or "{}")
    if origin.get("dir_info", {}).get("editable"):
        assert found == Path(urlsplit(origin["url"]).path).resolve() / package / "__init__.py"
    else:
        assert found in {Path(str(installed.locate_file(file))).resolve() for file in installed.files or ()}
    assert set(packages_distributions().get(package, [])) <= {"coldforge"}


@pytest.mark.parametrize("package", ["pipeline", "filters", "flows"])
def test_every_directory_with_code_is_a_regular_package(package: str) -> None:
    # Without __init__.py, a regular package of that name further down sys.path would win.
    with_code = {path.parent for path in (ROOT / package).rglob("*.py")} - {PROGRAMS}
    assert [str(path) for path in with_code if not (path / "__init__.py").exists()] == []


def test_tests_are_no_package_and_have_unique_names() -> None:
    files = [path for path in (ROOT / "tests").rglob("*.py") if path.name != "conftest.py"]
    assert not list((ROOT / "tests").rglob("__init__.py"))
    names = [path.name for path in files]
    assert sorted({name for name in names if names.count(name) > 1}) == []


def test_the_lock_is_names_and_versions_only() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9][a-z0-9-]*==[0-9][0-9a-z.]*", line)] == []
    names = [line.partition("==")[0] for line in lines]
    assert names == sorted(set(names))


def test_the_lock_satisfies_everything_that_pyproject_asks_for() -> None:
    lock = dict(line.split("==") for line in (ROOT / "requirements.lock").read_text().splitlines())
    project = PROJECT["project"]
    asked = [
        *project["dependencies"],
        *project["optional-dependencies"]["demo"],
        *PROJECT["dependency-groups"]["dev"],
    ]
    for text in asked:
        requirement = Requirement(text)
        version = lock[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{text}, locked {version}"


def test_the_lock_is_what_these_tests_run_on() -> None:
    lock = dict(line.split("==") for line in (ROOT / "requirements.lock").read_text().splitlines())
    differ = {name: distribution(name).version for name in lock if distribution(name).version != lock[name]}
    assert differ == {}


def test_no_file_names_a_registry() -> None:
    # Where packages come from is the user's setting, not the project's. Spelt in parts, as this file is searched too.
    hosts = re.compile(
        "|".join(["pypi" + r"\.org", "python" + "hosted", "--(extra-)?index" + "-url", "--find" + "-links"])
    )
    assert [str(path) for path in files_of_the_project() if hosts.search(path.read_text())] == []


def test_no_file_names_where_it_was_written() -> None:
    # Not every home directory: validators that look for leaked paths are tested with some.
    places = re.compile(rf"{re.escape(str(ROOT))}\b|(?<![\w.~-])/wo" + r"rk/")
    assert [str(path) for path in files_of_the_project() if places.search(path.read_text())] == []


def test_no_module_is_named_like_one_of_the_standard_library() -> None:
    modules = [path for name in ("pipeline", "filters", "flows") for path in (ROOT / name).rglob("*.py")]
    assert {path.stem for path in modules if path.stem in sys.stdlib_module_names} == set()
