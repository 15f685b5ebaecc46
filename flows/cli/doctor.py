"""`coldforge doctor`: is this installation whole, and can this machine run a curation?"""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from flows.cli.console import JsonFlag, print_json, print_line

if TYPE_CHECKING:
    from importlib.metadata import Distribution, PackagePath

    from flows.cli.checks import Check

DISTRIBUTION = "coldforge"
PACKAGES = ("pipeline", "filters", "flows")
LOW_DISK = 5 * 10**9
"""Bytes. The demo takes a fifth of a gigabyte; a real run of thousands of photographs takes several."""


def doctor(as_json: JsonFlag = False) -> None:
    """Check Python, packages, our own files, sandbox, embedded model and disk. Exit 3 if something is wrong."""
    from flows.cli.checks import print_checks
    from pipeline.errors import CheckError

    checks = list(_checks())
    wrong = [check for check in checks if check.finding == "wrong"]
    if as_json:
        print_json({"checks": [check._asdict() for check in checks], "wrong": len(wrong)})
        raise typer.Exit(CheckError.exit_code if wrong else 0)
    print_checks(checks)
    if wrong:
        raise CheckError(f"{len(wrong)} of {len(checks)} checks failed (see `wrong` above)")
    print_line("this machine can run a curation")


def _checks() -> Iterator[Check]:
    from flows.cli.checks import Check, checked, tell_reader, tell_sandbox
    from flows.recipe.recipe import Runtime

    yield Check("python", "ok", f"{platform.python_version()} at {sys.executable}")
    yield _check_packages()
    for package in PACKAGES:
        yield checked(f"files of {package}", partial(_tell_files, package))
    yield checked("sandbox", lambda: tell_sandbox(Runtime()))
    reader = checked("model reader", tell_reader)
    # A run against a model server needs no embedded model.
    yield reader if reader.finding == "ok" else reader._replace(finding="note")
    yield _check_disk(Path.cwd())


def _check_packages() -> Check:
    """Compare what is installed with what this release asks for; the pins are there because newer releases break."""
    from importlib.metadata import PackageNotFoundError, requires, version

    from packaging.requirements import Requirement

    from flows.cli.checks import Check

    wanted = [Requirement(line) for line in requires(DISTRIBUTION) or []]
    needed = [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    problems = []
    for one in needed:
        try:
            found = version(one.name)
        except PackageNotFoundError:
            problems.append(f"{one.name} is missing")
            continue
        if not one.specifier.contains(found, prereleases=True):
            problems.append(f"{one.name} is {found}, needed is {one.specifier}")
    if problems:
        return Check("packages", "wrong", "\n".join([*problems, "install again from requirements.lock"]))
    return Check("packages", "ok", f"{len(needed)} as required")


def _tell_files(package: str) -> str:
    """Tell where an import package comes from.

    Raises:
        CheckError: its files are not, or not all, those of this distribution: three generic import names can be
            shadowed by another directory, and overwritten by another distribution that pip installs without a word.
    """
    from importlib.metadata import distribution
    from importlib.util import find_spec

    from pipeline.errors import CheckError

    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise CheckError(f"{package} is not a regular package; install coldforge again in an environment of its own")
    found, ours = Path(spec.origin).resolve().parent, distribution(DISTRIBUTION)
    checkout = _editable_root(ours)
    home = checkout / package if checkout is not None else Path(str(ours.locate_file(package))).resolve()
    if found != home:
        raise CheckError(
            f"{package} is imported from {found}, not from {home}; start from another directory, without PYTHONPATH"
        )
    if checkout is not None:
        return f"{found} (editable)"
    # Byte code is made on the spot and recorded without a hash.
    files = [file for file in ours.files or [] if file.parts[0] == package and file.hash is not None]
    changed = [str(file) for file in files if not _is_intact(file)]
    if changed or not files:
        raise CheckError(
            f"{len(changed)} files of {package} are not those that were installed, such as "
            f"{', '.join(changed[:3]) or found}; they were edited, or another distribution has files of these names: "
            "install coldforge again in an environment of its own"
        )
    return f"{found}, {len(files)} files intact"


def _editable_root(ours: Distribution) -> Path | None:
    """Return the checkout of an editable installation (PEP 610), None for a wheel's."""
    import json
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    text = ours.read_text("direct_url.json")
    origin = json.loads(text) if text else {}
    if not origin.get("dir_info", {}).get("editable"):
        return None
    return Path(url2pathname(urlsplit(origin["url"]).path)).resolve()


def _is_intact(file: PackagePath) -> bool:
    """Compare a file with the hash that the installer recorded."""
    import base64
    import hashlib

    path = Path(str(file.locate()))
    if file.hash is None or not path.is_file():
        return False
    digest = hashlib.new(file.hash.mode, path.read_bytes()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == file.hash.value


def _check_disk(directory: Path) -> Check:
    from flows.cli.checks import Check

    free = shutil.disk_usage(directory).free
    return Check("disk", "note" if free < LOW_DISK else "ok", f"{free / 1e9:.1f} GB free at {directory}")
