"""The files of a split on the Hugging Face Hub: which they are at a commit, and where they are on this machine.

`datasets` says which files a split has, as the card or the folders of the data set tell; `huggingface_hub` downloads
each once into its cache, goes on where it broke off, and sends the token of the environment. What a commit holds does
not change, so the list is kept, and a second reading asks nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from pipeline.errors import InfrastructureError, UsageError
from pipeline.identity import canonical_json, digest, parse_json
from pipeline.sources.source import HubData
from pipeline.store.blobs import write_atomic

_AT_ONCE = 4
"""Files that are downloaded at once, each of some hundred megabytes."""
_CARDS = ("README.md", ".huggingface.yaml")


class Listing(BaseModel):
    """What a split consists of at a commit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reader: str
    """What `datasets` reads the files with, such as `parquet`."""
    files: tuple[str, ...]
    """With rows, in their order."""
    cards: tuple[str, ...] = ()
    """That tell readers which files are what."""


def listed(data: HubData) -> Listing:
    """Return which files a split has.

    Raises:
        UsageError: there is no such data set, commit, configuration or split, or it is not for whoever asks; or the Hub
            is not to be asked (HF_HUB_OFFLINE) and was not asked before.
        InfrastructureError: the Hub does not answer; it may be asked again.
    """
    asked = {**data._asdict(), "listings": None}
    path = None if data.listings is None else data.listings / f"{digest(asked)}.json"
    if path is not None and path.is_file():
        return Listing.model_validate(parse_json(path.read_text("utf-8")))
    with _told(data):
        listing = _listed(data)
    if path is not None:
        write_atomic(path, canonical_json(listing.model_dump(mode="json")).encode())
    return listing


def downloaded(data: HubData, names: Sequence[str]) -> list[Path]:
    """Return where files of a data set are on this machine; one that is not there yet is downloaded.

    The path of each ends as its name: those of a commit have the folders of the data set.

    Raises:
        UsageError, InfrastructureError: as `listed`.
    """
    from huggingface_hub import hf_hub_download

    def one(name: str) -> Path:
        return Path(hf_hub_download(data.name, name, repo_type="dataset", revision=data.revision))

    with _told(data), ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(one, names))


def _listed(data: HubData) -> Listing:
    from huggingface_hub import HfApi
    from huggingface_hub.constants import is_offline_mode

    if is_offline_mode():
        raise UsageError(
            f"{data}: HF_HUB_OFFLINE is set, and it was not downloaded before; unset it once, or get the files and "
            "name their `path`"
        )
    hub = HfApi()
    hub.auth_check(data.name, repo_type="dataset")
    about = hub.dataset_info(data.name, revision=data.revision)
    if about.sha != data.revision:
        raise UsageError(f"{data}: the Hub knows it as {about.sha}; write that as `revision`")
    reader, splits = _splits(data)
    if data.split not in splits:
        raise UsageError(f"{data}: no such split; `split` is one of {', '.join(map(str, splits)) or 'none'}")
    place = f"hf://datasets/{data.name}@{data.revision}/"
    files = tuple(str(file).removeprefix(place) for file in splits[data.split])
    there = {sibling.rfilename for sibling in about.siblings or ()}
    if outside := [file for file in files if file not in there or ".." in file.split("/")]:
        raise UsageError(f"{data}: {outside[0]} is no file of the data set; only what lies in it is read")
    return Listing(reader=reader, files=files, cards=tuple(card for card in _CARDS if card in there))


def _splits(data: HubData) -> tuple[str, Mapping[str, Iterable[object]]]:
    """Return what `datasets` reads a configuration with, and the files of each split."""
    import datasets
    from datasets.exceptions import DatasetsError

    try:
        # With its scheme: a folder of this name beside the process would be taken for it.
        builder = datasets.load_dataset_builder(
            f"hf://datasets/{data.name}", data.config, revision=data.revision,
            data_files={data.split: list(data.files)} if data.files else None,
        )  # fmt: skip
    except (DatasetsError, ValueError, KeyError, FileNotFoundError, RuntimeError) as error:  # the last: it is a script
        raise UsageError(f"{data} cannot be read with `datasets`: {_line(error)}") from error
    return str(builder.name), builder.config.data_files or {}


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


@contextmanager
def _told(data: HubData) -> Iterator[None]:
    """Say what a failure means; none of these messages holds what was sent, and so no token."""
    # Of whichever HTTP library this version of the client has.
    from huggingface_hub.errors import (  # type: ignore[attr-defined]  # HTTPError is imported there, and not listed
        EntryNotFoundError,
        GatedRepoError,
        HTTPError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        yield
    except GatedRepoError as error:
        fix = "ask for it on its page, and put a token of yours into $HF_TOKEN"
        raise UsageError(f"{data}: its owner gives it to those who ask; {fix}") from error
    except RepositoryNotFoundError as error:
        fix = "correct `hub`, or put a token of yours into $HF_TOKEN"
        raise UsageError(f"{data}: no such data set, or a private one; {fix}") from error
    except RevisionNotFoundError as error:
        raise UsageError(f"{data}: no such commit; correct `revision`") from error
    except EntryNotFoundError as error:
        raise InfrastructureError(
            f"{data}: a file is not on this machine, and does not come ({_line(error)})"
        ) from error
    except (HTTPError, ConnectionError, TimeoutError) as error:
        raise InfrastructureError(f"{data}: the Hub does not answer ({_line(error)}); run again later") from error
