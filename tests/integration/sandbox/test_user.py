"""The same sandbox for an ordinary user without any privilege: the whole corpus once more, and a masked /proc."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.sandbox import guest
from tests.support.command import ROOT

CORPUS = sorted(str(path) for path in Path(__file__).parent.glob("test_corpus*.py"))
HERE_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="these tests already run as an ordinary user")

# Runs in a child: shows what lies below private directories (an interpreter in root's home) to another
# user within a mount namespace of its own, becomes that user and starts a program.
AS_USER = """
import os, sys
from pathlib import Path
from pipeline.sandbox.inside import linux
paths = [str(Path(p).resolve()) for p in sys.argv[1].split(":")]
hidden = {str(a) for p in paths for a in Path(p).parents if not a.stat().st_mode & 1}
linux.unshare(linux.CLONE_NEWNS)
linux.mount("none", "/", "", linux.MS_REC | linux.MS_PRIVATE)
handles = [os.open(p, os.O_PATH) for p in paths]
for top in sorted(hidden, key=len)[:1]:
    linux.mount("tmpfs", top, "tmpfs", 0, "mode=755")
for path, handle in zip(paths, handles):
    if not os.path.exists(path):
        os.makedirs(path)
        linux.mount(f"/proc/self/fd/{handle}", path, "", linux.MS_BIND | linux.MS_REC)
MASKS
BECOME
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""

USER = """
os.setgroups([])
os.setresgid(12345, 12345, 12345)
os.setresuid(12345, 12345, 12345)
rights = [line.split()[1] for line in open("/proc/self/status") if line.startswith(("CapPrm", "CapEff", "CapAmb"))]
assert {int(word, 16) for word in rights} == {0}, rights
"""
# Root as most containers have it: what it starts gets no CAP_SYS_ADMIN.
WEAK_ROOT = "linux.prctl(linux.PR_CAPBSET_DROP, linux.CAP_SYS_ADMIN)"

# As a container runtime does: files and directories hidden, and a tree that cannot be written.
MASKS = """
for name in ("kcore", "keys", "timer_list", "interrupts"):
    if os.path.exists(f"/proc/{name}"):
        linux.mount("/dev/null", f"/proc/{name}", "", linux.MS_BIND)
for name in ("acpi", "scsi", "driver"):
    if os.path.isdir(f"/proc/{name}"):
        linux.mount("tmpfs", f"/proc/{name}", "tmpfs", linux.MS_RDONLY)
linux.mount("/proc/sys", "/proc/sys", "", linux.MS_BIND | linux.MS_REC)
linux.set_mount_attributes("/proc/sys", linux.MOUNT_ATTR_RDONLY, recursive=True)
"""


def as_user(*command: str, masks: str = "", become: str = USER) -> subprocess.CompletedProcess[str]:
    """Run a Python command as user 12345 without capabilities, or as somebody else."""
    environment = guest.setup()
    paths = ":".join((sys.base_prefix, sys.prefix, str(ROOT), str(environment)))
    return subprocess.run(
        [sys.executable, "-c", AS_USER.replace("MASKS", masks).replace("BECOME", become), paths, *command],
        cwd=ROOT,
        # The name decides where temporary files go, which must not be root's place.
        env={**os.environ, "HOME": "/nonexistent", "XDG_CACHE_HOME": str(environment.parents[2]), "LOGNAME": "guest"},
        capture_output=True,
        text=True,
        check=False,
    )


@HERE_ROOT
def test_the_whole_corpus_holds_for_an_ordinary_user() -> None:
    result = as_user("-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", "--rootdir", str(ROOT), *CORPUS)
    assert result.returncode == 0, result.stdout + result.stderr
    # All of it: nothing was skipped, nothing left out.
    assert re.search(r"^\d{3} passed in ", result.stdout, re.MULTILINE), result.stdout


SESSION = """
import os
from pipeline.sandbox import Policy, Pool
with Pool(Policy(), workers=1) as pool, pool.session() as session:
    print(session.run("import os\\nos.listdir('/proc')").value)
    print(session.run("import subprocess\\nsubprocess.run(['/bin/echo', 'hi'], capture_output=True).stdout").value)
    print(session.run("import multiprocessing as m\\nm.get_context('fork').Pool(2).map(abs, [-1])").value)
    print(session.run("while True: pass", seconds=0.5).status, session.run("x = 1\\nx").value)
"""


@HERE_ROOT
@pytest.mark.parametrize("masks", [MASKS, ""], ids=["masked", "whole"])
def test_below_a_masked_proc_sessions_work_with_an_empty_one(masks: str) -> None:
    result = as_user("-c", SESSION, masks=masks)
    listed, *rest = result.stdout.splitlines() or [result.stderr]
    assert rest == ["b'hi\\n'", "[1]", "timeout 1"], result
    # The kernel allows no /proc below one that hides something.
    assert listed == "[]" if masks else "'1'" in listed


WHO = """
from pipeline.sandbox import Policy, Pool
from pipeline.sandbox.inside import linux
assert not linux.has_capability(linux.CAP_SYS_ADMIN)
with Pool(Policy(), workers=1) as pool, pool.session() as session:
    print(session.run("open('/proc/self/uid_map').read().split()").value)
"""


@HERE_ROOT
def test_root_without_the_capability_to_mount_is_isolated_as_an_ordinary_user_is() -> None:
    result = as_user("-c", WHO, become=WEAK_ROOT)
    assert result.stdout == "['1000', '0', '1']\n", result
