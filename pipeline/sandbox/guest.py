"""The guest environment, its packages apart from the project's own, and the identity of what runs in it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

from pipeline.errors import InfrastructureError, UsageError
from pipeline.identity import digest
from pipeline.sandbox.inside import root
from pipeline.sandbox.inside.policy import Policy

_LOCK = Path(__file__).with_name("guest.lock")
_MARK = "complete"
_LAYOUT = 1
"""Version of how the directory is made; a new one builds anew."""
_OUTSIDE = ("zygote_process", "launcher", "cgroup", "session", "roundtrip", "usage", "result")
"""Modules of the host's side that shape results: the guest's surroundings, its limits, status and texts."""


def identity(policy: Policy) -> str:
    """Return the sha256 of everything that shapes what a cell gives back: what it runs on, and what it may use."""
    return digest({"environment": environment(), "policy": digest(asdict(policy))})


def environment() -> str:
    """Return the sha256 of what guest code runs on: packages, interpreter, architecture and our own code.

    Of the code every module counts that runs inside or shapes what comes out, whole: a cell that was cached
    under other rules must not be taken for one of today's.
    """
    files = [*root.shipped(), *(_LOCK.with_name(f"{name}.py") for name in _OUTSIDE)]
    code = {path.relative_to(_LOCK.parent).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    return digest({"packages": _packages(), "code": code})


def _packages() -> str:
    return digest(
        {
            "lock": _LOCK.read_text(),
            "python": platform.python_version(),
            "machine": platform.machine(),
            "layout": _LAYOUT,
        }
    )


def location() -> Path:
    """Return where the environment is or would be, below the user's cache directory."""
    home = os.environ.get("XDG_CACHE_HOME")
    cache = Path(home) if home else Path.home() / ".cache"
    return cache / "coldforge" / "guest" / _packages()[:16]


def require() -> Path:
    """Return the environment's directory.

    Raises:
        UsageError: it was not built.
    """
    path = location()
    if not (path / _MARK).exists():
        raise UsageError(f"guest environment is missing ({path}); run `coldforge sandbox setup`")
    return path


def setup(on_line: Callable[[str], None] = lambda _: None) -> Path:
    """Build the environment if it is not there, and return its directory.

    Args:
        on_line: takes each line of progress.

    Raises:
        UsageError: the cache directory cannot be written.
        InfrastructureError: a package could not be installed.
    """
    path = location()
    if (path / _MARK).exists():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{path.parent}: {error.strerror}; set XDG_CACHE_HOME to a writable directory") from error
    with (path.parent / f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two runs that start together build once
        if (path / _MARK).exists():
            return path
        on_line(f"building the guest environment in {path}")
        building = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}-"))
        try:
            _install(building, on_line)
            building.chmod(0o755)  # mkdtemp's is private, and guests read it as another user
            (building / _MARK).write_text(f"{platform.python_version()}\n")
            shutil.rmtree(path, ignore_errors=True)  # of an interrupted removal: it has no mark
            building.rename(path)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise
    return path


def _install(directory: Path, on_line: Callable[[str], None]) -> None:
    site = directory / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    site.mkdir(parents=True)
    command = [*_installer(), "--target", str(site), "--requirement", str(_LOCK), "--no-deps"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, umask=0o022)
    lines = []
    with process:
        assert process.stdout is not None  # noqa: S101 - PIPE above
        for line in process.stdout:
            lines.append(line.rstrip())
            on_line(lines[-1])
    if process.returncode:
        raise InfrastructureError("guest environment: installing failed:\n" + "\n".join(lines[-10:]))
    compileall = [sys.executable, "-m", "compileall", "-q", "-j", "0", str(site)]
    subprocess.run(compileall, check=False, stdout=subprocess.DEVNULL, umask=0o022)


def _installer() -> list[str]:
    """Return the install command: uv where there is one, else pip."""
    if find_spec("uv") is not None:
        return [sys.executable, "-m", "uv", "pip", "install", "--python", sys.executable, "--link-mode", "copy"]
    if (uv := shutil.which("uv")) is not None:
        return [uv, "pip", "install", "--python", sys.executable, "--link-mode", "copy"]
    return [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-compile"]
