"""The file system a guest sees: a small read-only root with the guest environment and system libraries. Stdlib only."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pipeline.sandbox.inside import linux

SITE = "/guest"
"""Where the guest's packages appear."""
PREFIX = "/python"
"""Where an interpreter that is not the system's own appears; a neutral name: tracebacks do not depend on the host.

/proc/self/mountinfo still says what is mounted from where: a guest can learn the names of these directories.
"""
CODE = "/coldforge"
BOX, TEMPORARY, SHARED = "/box", "/tmp", "/dev/shm"  # noqa: S108 - inside the new root, private to a session
SCRATCH = "/mnt"

# The new root is put together on top of /sys: it exists everywhere and nothing we bind lies below it.
_STAGE = "/sys"
_SYSTEM = ("/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec", "/usr/share/zoneinfo")
_TOP = ("/bin", "/sbin", "/lib", "/lib32", "/lib64")  # links into /usr on most systems
_ETC = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/mime.types")
_LIBRARIES = ("lib", "lib64")
_DEVICES = ("null", "zero", "full", "random", "urandom")
_READ_ONLY = linux.MOUNT_ATTR_RDONLY | linux.MOUNT_ATTR_NOSUID


@dataclass(frozen=True)
class Place:
    """Where the parts of a root are on the host."""

    prefix: str
    """`sys.base_prefix` of the interpreter."""
    python: str
    """The interpreter as seen inside."""
    version: str
    """As in `python3.11`."""
    site: str
    """Directory of the guest's packages."""


def shipped() -> list[Path]:
    """Return the files of the project that exist inside, all of this folder; nothing else of it is visible there."""
    return sorted(Path(__file__).parent.glob("*.py"))


def build(place: Place) -> None:
    """Assemble the root and make it ours. The caller is in a mount namespace of its own, able to mount.

    Raises:
        OSError: a step failed; the message names it.
    """
    os.umask(0o022)
    linux.mount("none", "/", "", linux.MS_REC | linux.MS_PRIVATE)
    linux.mount("tmpfs", _STAGE, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=755,size=8m")
    for path in _SYSTEM:
        if Path(path).is_dir():
            _bind(path, path)
    for path in _TOP:
        if Path(path).is_symlink():
            Path(_STAGE + path).symlink_to(Path(path).readlink())
        elif Path(path).is_dir():
            _bind(path, path)
    for path in _ETC:
        if Path(path).exists():
            _bind(path, path)
    _interpreter(place)
    _devices()
    _files()
    for path in (BOX, TEMPORARY, SHARED, SCRATCH):
        Path(_STAGE + path).mkdir(parents=True)
    Path(_STAGE + "/proc").mkdir()
    mount_proc(_STAGE)
    os.chdir(_STAGE)
    linux.pivot_root_here()
    linux.set_mount_attributes("/", _READ_ONLY | linux.MOUNT_ATTR_NODEV, recursive=False)


def mount_proc(root: str = "") -> None:
    """Mount a /proc of the caller's own process namespace.

    Below a container with a masked /proc the kernel refuses; guests then live with an empty directory, which
    also hides the /proc of their zygote.

    Raises:
        OSError: not even that could be mounted.
    """
    flags = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC
    # Only the process directories (Linux 5.8): no cpuinfo, sysrq or kcore. Older kernels know no such option.
    for options in ("subset=pid,hidepid=2", "hidepid=2"):
        try:
            linux.mount("proc", f"{root}/proc", "proc", flags, options)
        except OSError:
            continue
        return
    linux.mount("none", f"{root}/proc", "tmpfs", flags | linux.MS_RDONLY, "mode=555,size=4k")


def _interpreter(place: Place) -> None:
    inside = place.prefix if place.prefix == "/usr" else PREFIX
    if inside == PREFIX:
        # Not all of it: /usr/local and the prefix of a distribution of packages hold much besides.
        for name in ("bin", *_LIBRARIES):
            if Path(place.prefix, name).is_dir():
                _bind(f"{place.prefix}/{name}", f"{PREFIX}/{name}")
    # Packages of the host's interpreter are no part of the guest.
    for name in _LIBRARIES:
        _hide(f"{inside}/{name}/{place.version}/site-packages")
    _hide(f"{inside}/lib/python3/dist-packages")
    _bind(place.site, SITE)
    # The usual places of DejaVu and Noto CJK, filled from the guest environment: equal text on every host.
    for fonts, name in (
        ("matplotlib/mpl-data/fonts/ttf", "truetype/dejavu"),
        ("cvttf_NotoSansCJK_Regular", "opentype/noto"),
    ):
        if Path(place.site, fonts).is_dir():
            _bind(f"{place.site}/{fonts}", f"/usr/share/fonts/{name}")


def _devices() -> None:
    for name in _DEVICES:
        # Read-only is the node, not the device: its times are the host's, and a touch is seen by every session.
        _bind(f"/dev/{name}", f"/dev/{name}", _READ_ONLY | linux.MOUNT_ATTR_NOEXEC)
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        Path(f"{_STAGE}/dev/{name}").symlink_to(f"/proc/self/fd{target}")


def _files() -> None:
    etc = Path(_STAGE, "etc")
    (etc / "passwd").write_text(f"guest:x:1000:1000:guest:{BOX}:/bin/sh\n")
    (etc / "group").write_text("guest:x:1000:\n")
    (etc / "hosts").write_text("127.0.0.1 localhost sandbox\n")
    package = Path(_STAGE + CODE, "pipeline", "sandbox", "inside")
    package.mkdir(parents=True)
    for parent in (package.parent, package.parent.parent):
        (parent / "__init__.py").touch()  # ours import the host side
    for path in shipped():
        (package / path.name).write_bytes(path.read_bytes())


def _bind(source: str, target: str, attributes: int = _READ_ONLY | linux.MOUNT_ATTR_NODEV) -> None:
    path = Path(_STAGE + target)
    if Path(source).is_dir():
        path.mkdir(parents=True, exist_ok=True)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    linux.mount(source, str(path), "", linux.MS_BIND | linux.MS_REC)
    linux.set_mount_attributes(str(path), attributes, recursive=True)


def _hide(target: str) -> None:
    if Path(_STAGE + target).is_dir():
        linux.mount("tmpfs", _STAGE + target, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=755,size=4k")
        linux.set_mount_attributes(_STAGE + target, _READ_ONLY | linux.MOUNT_ATTR_NODEV, recursive=False)
