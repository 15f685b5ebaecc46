"""What is told of a place that cannot be written or read: which, why, and what helps; in one line."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping

_FIXES: Mapping[int, str] = {
    errno.EACCES: "give this user the right to it, or name another place",
    errno.EPERM: "give this user the right to it, or name another place",
    errno.EROFS: "name a place that can be written, or mount this one so",
    errno.ENOSPC: "make space there, then the same command again",
    errno.EDQUOT: "make space there, or have the quota raised, then the same command again",
    errno.EFBIG: "name a place on a file system that takes files of this size",
    errno.EEXIST: "a file stands where a folder must be: move it away, or name another place",
    errno.ENOTDIR: "a file stands where a folder must be: move it away, or name another place",
    errno.EISDIR: "a folder stands where a file must be: move it away, or name another place",
    errno.ENOTEMPTY: "somebody else has written there meanwhile: the same command again",
    errno.ENAMETOOLONG: "name a place with a shorter path",
    errno.ELOOP: "its links lead to each other: mend them",
    errno.EMFILE: "let this process open more files (`ulimit -n`)",
    errno.ENFILE: "this machine has too many files open: end other programs",
    errno.EIO: "the disk, or the way to it, is failing: check it, then the same command again",
    errno.ESTALE: "the file system was mounted anew: the same command again",
}
"""By errno(3): what helps where a place of the machine does not do what is asked of it."""


def told(error: OSError) -> str | None:
    """Return one line about a failure of files; None for any other, which is a bug of ours and keeps its traceback."""
    fix = _FIXES.get(error.errno or 0)
    if fix is None or error.errno is None:
        return None
    why = os.strerror(error.errno)
    # pyarrow has the path in its message alone, and the reason a second time.
    unnamed, _, arrow = (error.strerror or "").partition(". Detail: ")
    place = error.filename if error.filename is not None else unnamed if arrow else "a file that was written"
    return f"{os.fsdecode(place) if isinstance(place, str | bytes) else place}: {why[0].lower()}{why[1:]}; {fix}"
