"""Manifests of sources: what a data set is, under which terms, and which bytes it has to be."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline.errors import UsageError
from pipeline.manifests import explain, manifests_dir
from pipeline.records import Metric
from pipeline.sources.columns import Columns

SourceKind = Literal[
    "demo", "jsonl", "json", "parquet", "csv", "tsv", "llava", "sharegpt", "messages", "folder", "webdataset", "hf"
]
"""`demo` is generated. `jsonl` holds objects on lines, under our names if there is no map; `json` is a list of them.
`llava`, `sharegpt` and `messages` are three names for conversations; `folder` is pictures with files beside them,
`webdataset` tar archives, `hf` what the library `datasets` reads."""
Turns = Literal["each", "first"]
"""Which questions of a conversation become rows."""
SourceLane = Literal["long_cot"]
"""A lane of synthesis that a source fills by itself."""


class SourceManifest(BaseModel):
    """One file of `manifests/sources`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    """Name in records, the ledger and exports."""
    kind: SourceKind
    revision: str | None = None
    """Of the data set, such as a commit; required. Generated data have the digest of their content."""
    path: Path | None = None
    """A file, a pattern of files, or a directory with all of that kind; required. A relative path starts here."""
    hub: str | None = Field(default=None, pattern=r"^[\w.-]+/[\w.-]+$")
    """Of kind `hf`: a data set of the Hugging Face Hub, in place of `path`; `revision` is then its commit."""
    config: str | None = None
    """Of kind `hf`: the configuration; default: the only one, or the default."""
    split: str = "train"
    """Of kind `hf`."""
    columns: Columns | None = None
    """Which columns are the fields of a row; required for tables. Default for conversations: question and answer are
    those of the turns, `image` or `images` the pictures, `id` the key."""
    turns: Turns = "each"
    image_root: Path | None = None
    """Directory in which images may lie outside of `path`: where links in it lead, or where the paths of rows begin. A
    relative path starts at the manifest. Default: an image outside of `path` is refused."""
    sha256: dict[str, str] = Field(default_factory=dict)
    """File → sha256, of every file that must not change; checked before any work."""
    metric: Metric | None = None
    """The benchmark's own way to grade the answers of this source; default: by the type of the answer, which is
    stricter. `vqa`: the answers are those of all people asked; `anls`: text in documents; `relaxed`: charts, 5 %."""
    lane: SourceLane | None = None
    """`long_cot`: every row brings its own reasoning as `solution`, over text alone; it is curated as it is, and no
    model is asked. Default: rows are questions, and a row with a `solution` is refused."""
    licence: str
    """Of the annotations; a row may name another."""
    licence_images: str = ""
    source_url: str = ""
    redistributable: bool = False
    """Whether images may be passed on. An export holds them either way, and says so in its card and manifest."""

    @model_validator(mode="after")
    def _complete(self) -> SourceManifest:
        needed = ("revision", "path" if self.hub is None else "hub", *(("columns",) if self.kind in _MAPPED else ()))
        missing = [name for name in needed if self.kind != "demo" and getattr(self, name) is None]
        if missing:
            raise ValueError(f"a source of kind {self.kind} needs {' and '.join(missing)}")
        if self.hub is not None and (self.kind != "hf" or self.path is not None):
            raise ValueError("`hub` names a data set of kind hf, in place of `path`")
        if self.hub is not None and not re.fullmatch("[0-9a-f]{40}", self.revision or ""):
            raise ValueError(
                f"revision {self.revision!r} of {self.hub} is no commit; write its 40 hex digits, for a branch changes"
            )
        return self


_MAPPED = frozenset({"json", "parquet", "csv", "tsv", "folder", "webdataset", "hf"})


def load_manifest(name_or_path: str, base: Path | None = None) -> tuple[SourceManifest, Path]:
    """Return the manifest called `name_or_path` in `manifests/sources`, or at that path, and its file.

    A relative path starts at `base`, by default at the working directory.

    Raises:
        UsageError: there is no such file, or a field is wrong; the message names file, field and fix.
    """
    file = _find(name_or_path, base or Path())
    try:
        content = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"source manifest {file} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise UsageError(f"source manifest {file} is not YAML: {error}") from error
    try:
        return SourceManifest.model_validate(content), file
    except ValidationError as error:
        known = ", ".join(SourceManifest.model_fields)
        raise UsageError(f"source manifest {file}:\n{explain(error)}\n  known fields: {known}") from error


def _find(name_or_path: str, base: Path) -> Path:
    directory = manifests_dir() / "sources"
    for file in (directory / f"{name_or_path}.yaml", base / name_or_path):
        if file.is_file():
            return file
    known = ", ".join(sorted(path.stem for path in directory.glob("*.yaml")))
    raise UsageError(f"source {name_or_path}: neither a known source ({known}) nor the path of a manifest")
