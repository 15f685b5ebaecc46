"""Sending a repository to the hub: in pieces, each of which stays, and what readers go by last.

The library `huggingface_hub` sends; this module decides what and in which order. Files under new names go first, in
commits of a bounded size: a reader of the release before never meets them. The last commit holds what replaces a file,
what is taken out, the manifests and the card, so that the repository is one release before it and the next after it.
Whatever the hub holds with the same hash is not sent again, which is all there is to resuming; files of its large
storage are offered by hash first, so that what came of a killed attempt is not sent again either.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from flows.publishing.exports import Export
from pipeline.errors import InfrastructureError, UsageError
from pipeline.export.layout import CARD, MANIFEST, file_hash

if TYPE_CHECKING:
    from huggingface_hub import HfApi

PIECE_FILES = 200
"""Per commit: the hub answers within its time limit up to some hundred files."""
PIECE_BYTES = 2 * 10**9
"""Per commit, unless one file is larger: what a killed attempt may have to offer again."""
_TARGET = re.compile(r"hf://(?:datasets/)?([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)/?")
_OURS = ("sft/", "rl/", "card/")
"""Folders in which a file that this release has not is one of an earlier release, and is taken out."""


class Sent(NamedTuple):
    """A file of the repository."""

    path: str
    """From its root."""
    local: Path
    sha256: str
    nbytes: int


class Pieces(NamedTuple):
    """What is to be done, in its order."""

    first: tuple[tuple[Sent, ...], ...]
    """Commits of files that nothing refers to yet."""
    last: tuple[Sent, ...]
    gone: tuple[str, ...]
    """Paths that the last commit takes out."""
    there: tuple[Sent, ...]
    """What the hub holds already."""


class Remote(NamedTuple):
    """A file that the hub holds."""

    nbytes: int
    blob: str
    """Name of its content in git."""
    sha256: str | None
    """Of a file in the large storage."""


def target(to: str) -> str:
    """Return the repository that `--to` names.

    Raises:
        UsageError: it names none.
    """
    found = _TARGET.fullmatch(to)
    if found is None:
        raise UsageError(f"--to {to}: write hf://OWNER/NAME, a data set of the hub")
    return found.group(1)


def repository(exports: Sequence[Export], card: Mapping[str, bytes], root: Path) -> tuple[Sent, ...]:
    """Return the files of the repository by path: what manifests list, they themselves, the card."""
    listed = [
        Sent(f"{export.name}/{file.path}", export.directory / file.path, file.sha256, file.nbytes)
        for export in exports
        for file in export.manifest.files
    ]
    manifests = [f"{export.name}/{MANIFEST}" for export in exports]
    # What makes the folder of a shard one data set; one without the plain format has none.
    shards = [path for path in (f"{shard}/{CARD}" for shard in ("rl", "sft")) if (root / path).is_file()]
    return tuple(sorted([*listed, *(_file(path, root / path) for path in (*manifests, *shards, *card))]))


def _file(path: str, local: Path) -> Sent:
    return Sent(path, local, file_hash(local), local.stat().st_size)


def pieces(files: Iterable[Sent], remote: Mapping[str, Remote]) -> Pieces:
    """Return what is to be sent to a hub that holds `remote`, and in which commits."""
    first: list[Sent] = []
    last: list[Sent] = []
    there: list[Sent] = []
    ours = set()
    for file in files:
        ours.add(file.path)
        held = remote.get(file.path)
        if held is not None and _same(file, held):
            there.append(file)
        elif held is not None or _is_read_first(file.path):
            last.append(file)
        else:
            first.append(file)
    gone = sorted(path for path in remote.keys() - ours if path.startswith(_OURS))
    # Exports show the same pictures. What is in the storage is not sent again, but of one offer twice it would be.
    stored, offered = {file.sha256 for file in there}, set[str]()
    alone, repeated = list[Sent](), list[Sent]()
    for file in first:
        (repeated if file.sha256 in offered else alone).append(file)
        if file.sha256 not in stored:
            offered.add(file.sha256)
    return Pieces((*_split(alone), *_split(repeated)), tuple(last), tuple(gone), tuple(there))


def _is_read_first(path: str) -> bool:
    """Return whether readers go by a file: it must not tell of what is not there yet."""
    return "/" not in path or path.startswith("card/") or path.rpartition("/")[2] in {MANIFEST, CARD}


def _same(file: Sent, held: Remote) -> bool:
    if held.sha256 is not None:
        return held.sha256 == file.sha256
    if held.nbytes != file.nbytes:
        return False
    # Git names a small file by SHA-1 of its length and content.
    return hashlib.sha1(b"blob %d\0" % file.nbytes + file.local.read_bytes()).hexdigest() == held.blob  # noqa: S324


def _split(files: Iterable[Sent]) -> Iterator[tuple[Sent, ...]]:
    piece: list[Sent] = []
    for file in files:
        if piece and (len(piece) == PIECE_FILES or sum(f.nbytes for f in piece) + file.nbytes > PIECE_BYTES):
            yield tuple(piece)
            piece = []
        piece.append(file)
    if piece:
        yield tuple(piece)


def push(
    name: str, files: Sequence[Sent], *, token: str, public: bool, release: str, tell: Callable[[str], None]
) -> str:
    """Make the hub's repository hold these files, and return its address.

    Args:
        name: `owner/name`; it is made if it is not there, for nobody else to see unless `public`.
        files: all of the repository.
        token: of whoever may write; it goes into headers and nowhere else.
        public: whether everybody may see it. What is already there is not changed in this.
        release: names the content, for the message of the last commit.
        tell: is handed a line after each step.

    Raises:
        UsageError: the hub does not let the token write; the repository is public, and `public` was not said; or
            the hub is not to be asked (HF_HUB_OFFLINE).
        InfrastructureError: the hub does not answer, or somebody else wrote meanwhile; the same call goes on.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.constants import is_offline_mode
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if is_offline_mode():
        raise UsageError(f"hf://{name}: HF_HUB_OFFLINE is set; unset it to push")
    disable_progress_bars()
    api = HfApi(token=token)
    with _told(name, token):
        head = _opened(api, name, public=public, tell=tell)
        todo = pieces(files, _held(api, name))
        tell(f"{len(todo.there):,} of {len(files):,} files are there already")
        _commit_all(api, name, head, todo, release=release, tell=tell)
    return f"{api.endpoint}/datasets/{name}"


def _opened(api: HfApi, name: str, *, public: bool, tell: Callable[[str], None]) -> str:
    """Return the commit at which the repository stands; it is made if it is not there."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        about = api.dataset_info(name)
    except RepositoryNotFoundError:
        api.create_repo(name, repo_type="dataset", private=not public)
        about = api.dataset_info(name)
        tell(f"{name}: made, {'private' if about.private else 'for everybody to see'}")
    if not about.private and not public:
        raise UsageError(f"hf://{name} is public; say --public to push what everybody will see")
    if about.private and public:
        tell(f"{name} is private, and stays so: its settings on the hub change that")
    return str(about.sha)


def _held(api: HfApi, name: str) -> dict[str, Remote]:
    from huggingface_hub.hf_api import RepoFile

    tree = api.list_repo_tree(name, repo_type="dataset", recursive=True)
    files = (entry for entry in tree if isinstance(entry, RepoFile))
    return {f.path: Remote(f.size, f.blob_id, f.lfs.sha256 if f.lfs is not None else None) for f in files}


def _commit_all(api: HfApi, name: str, head: str, todo: Pieces, *, release: str, tell: Callable[[str], None]) -> None:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    def commit(parent: str, sent: Sequence[Sent], gone: Sequence[str], message: str) -> str:
        added = [CommitOperationAdd(file.path, file.local) for file in sent]
        taken = [CommitOperationDelete(path) for path in gone]
        # What came in between would be mixed with this release: `parent_commit` refuses that.
        done = api.create_commit(
            name, [*added, *taken], commit_message=message, repo_type="dataset", parent_commit=parent
        )
        return str(done.oid)

    for number, piece in enumerate(todo.first, start=1):
        head = commit(head, piece, (), f"Files of release {release}, part {number} of {len(todo.first)}")
        tell(f"part {number} of {len(todo.first)}: {_size(piece)}")
    if todo.last or todo.gone:
        commit(head, todo.last, todo.gone, f"Release {release}")
        tell(f"card and manifests: {_size(todo.last)}; {len(todo.gone):,} files of earlier releases taken out")
    else:
        tell("nothing to send: the hub holds this release")


def _size(files: Iterable[Sent]) -> str:
    listed = list(files)
    return f"{len(listed):,} files, {sum(file.nbytes for file in listed) / 1e6:,.1f} MB"


@contextmanager
def _told(name: str, token: str) -> Iterator[None]:
    """Say what a failure means, in words that cannot hold the token."""
    from huggingface_hub.errors import HfHubHTTPError, HTTPError, RepositoryNotFoundError  # type: ignore[attr-defined]

    def said(error: BaseException) -> str:
        return " ".join(str(error).split()).replace(token, "…")

    try:
        yield
    except RepositoryNotFoundError as error:
        raise UsageError(f"hf://{name}: the hub does not show it to this token; {_FIX}") from error
    except HfHubHTTPError as error:
        raise _refusal(name, error.response.status_code, said(error)) from error
    except ValueError as error:  # what the hub says of the head of a card, or of a file that it does not store
        raise UsageError(f"hf://{name}: the hub does not take it: {said(error)}") from error
    except (RuntimeError, HTTPError, ConnectionError, TimeoutError) as error:
        # What happens to one of several files at once comes wrapped in a RuntimeError; any other is none of the hub's.
        cause = error.__cause__ if isinstance(error, RuntimeError) else error
        if not isinstance(cause, HfHubHTTPError | HTTPError | ConnectionError | TimeoutError):
            raise
        raise InfrastructureError(f"hf://{name}: no answer ({said(cause)}); push again to go on") from error


_FIX = "give $HF_TOKEN a token that may write there, or correct --to"


def _refusal(name: str, status: int, said: str) -> UsageError | InfrastructureError:
    match status:
        case 401 | 403:
            return UsageError(f"hf://{name}: the hub does not let this token write ({said}); {_FIX}")
        case 409 | 412:
            return InfrastructureError(
                f"hf://{name}: somebody else wrote to it meanwhile ({said}); push again, which looks anew"
            )
        case 429 | 500 | 502 | 503 | 504:
            return InfrastructureError(f"hf://{name}: the hub is busy or fails ({said}); push again to go on")
        case _:
            return UsageError(f"hf://{name}: the hub does not take it: {said}")
