"""What names the state of a data set: the commit of one on the Hub, a hash of files that lie here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from pipeline.errors import InfrastructureError, UsageError


def content_revision(files: Iterable[Path]) -> str:
    """Return a revision of files in their order: a hash of what they hold, whatever they are called."""
    return revision_of(map(_digest, files))


def revision_of(digests: Iterable[bytes]) -> str:
    """Return the revision of files that have these sha256, in their order."""
    whole = hashlib.sha256(b"".join(digests))
    return f"sha256-{whole.hexdigest()[:16]}"


def _digest(file: Path) -> bytes:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").digest()


_FOLDER = "`coldforge sources init FOLDER`, or `check NAME --data FOLDER` with a manifest that ships"


def hub_commit(name: str) -> str:
    """Return the commit at which a data set of the Hub stands now.

    Raises:
        UsageError: there is no such data set, or it is not open to whoever asks.
        InfrastructureError: the Hub does not answer; it may be asked again.
    """
    from huggingface_hub import HfApi

    # Of whichever HTTP library this version of the client has.
    from huggingface_hub.errors import (  # type: ignore[attr-defined]  # HTTPError is imported there, and not listed
        HTTPError,
        RepositoryNotFoundError,
    )

    try:
        commit = HfApi().dataset_info(name, revision="main").sha
    except RepositoryNotFoundError as error:
        raise UsageError(
            f"{name} is no data set of the Hub, or not open to you (HF_TOKEN, terms to accept on its page); get its "
            f"files in another way, and name their folder ({_FOLDER})"
        ) from error
    except (HTTPError, OSError) as error:
        raise InfrastructureError(
            f"{name}: the Hub does not answer ({error}); try again, or name the folder of files that you have "
            f"({_FOLDER})"
        ) from error
    if commit is None:
        raise InfrastructureError(f"{name}: the Hub names no commit; try again, or write one into the manifest")
    return commit
