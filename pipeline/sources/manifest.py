"""Manifests of sources: what a data set is, under which terms, and which bytes it has to be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from pipeline.errors import UsageError
from pipeline.manifests import KEY, explain, manifests_dir, parse_yaml
from pipeline.records import Metric
from pipeline.sources.values.columns import Column, Columns
from pipeline.sources.values.wording import kind_of

SourceKind = Literal[
    "demo", "jsonl", "json", "parquet", "csv", "tsv", "llava", "sharegpt", "messages", "folder", "webdataset", "hf"
]
"""`demo` is generated. `jsonl` holds objects on lines, under our names if there is no map; `json` is a list of them.
`llava`, `sharegpt` and `messages` are three names for conversations; `folder` is pictures with files beside them,
`webdataset` tar archives, `hf` what the library `datasets` reads."""
Turns = Literal["first", "each"]
"""Which questions of a conversation are asked. A later one may need what was said before it ("And the other one?"), and
is asked without; no rule can tell. So whoever knows that each stands alone says `each`."""
Pictures = Literal["each", "some"]
"""Which rows of a source that maps `images` have one. `each`: a row without has lost it (`image_absent`)."""
SourceLane = Literal["long_cot"]
"""A lane of synthesis that a source fills by itself."""
Names = Annotated[tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)]


class SourceManifest(BaseModel):
    """One file of `manifests/sources`."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    key: str = Field(pattern=KEY)
    """Name in records, the ledger and exports."""
    kind: SourceKind
    role: Literal["train", "eval_only"] = "train"
    """`eval_only`: it may be looked at, and no recipe may curate it."""
    revision: str | None = None
    """Of the data set, such as a commit. None: nobody has looked at it; `coldforge sources check` writes the one that
    it finds into a copy, and a run refuses it before. Generated data have the digest of their content."""
    path: Path | None = None
    """A file, a pattern of files, or a directory with all of that kind. A relative path starts here. None: whoever uses
    the manifest says where the data are, with `coldforge sources check --data`."""
    hub: str | None = Field(default=None, pattern=r"^[\w.-]+/[\w.-]+$")
    """Of kind `hf`: a data set of the Hugging Face Hub, in place of `path`; `revision` is then its commit."""
    config: str | None = None
    """Of kind `hf`: the configuration; default: the only one, or the default."""
    split: str = "train"
    """Of kind `hf`."""
    files: Names = ()
    """Patterns of the files to read within `path`; for kind `hf` where the data set's own list of splits is wrong or
    missing."""
    columns: Columns | None = None
    """Which columns are the fields of a row; required for tables. Default for conversations: question and answer are
    those of the turns, `image` or `images` the pictures, `id` the key."""
    turns: Turns = "first"
    """Of conversations."""
    pictures: Pictures | None = None
    """Default: `each` for a webdataset, whose samples are files that belong together, else `some`: null is absent."""
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
    """Of the annotations; a row may name another. An SPDX identifier, or `unknown`."""
    licence_images: str = ""
    teacher_terms: str = ""
    """Whose model made questions or answers, where its terms may restrict what is trained on them."""
    source_url: str = ""
    attribution: str = ""
    """Whom the licences ask to name; exports quote it."""
    get: str = ""
    """What to do to have the data at `path`, in words or commands."""
    schema_: Literal["verified", "unverified"] | None = Field(default=None, alias="schema")
    """Of manifests that ship: whether their author has seen the data's columns described (`seen_at`), or guesses."""
    seen_at: Names = ()
    redistributable: bool | None = None
    """Whether images may be passed on; a row may say otherwise. `false`: an export leaves their rows out, unless its
    recipe keeps them (`export.withheld_images`). Default: nobody has said, and cards say that."""

    @model_validator(mode="after")
    def _complete(self) -> SourceManifest:
        if self.kind in _MAPPED and self.columns is None:
            raise ValueError(f"a source of kind {self.kind} needs columns")
        # Of tables whoever opens them names the columns that there are.
        fields = {} if self.columns is None or self.kind in TABLES else self.columns.fields()
        if left := [f"columns.{name}" for name, column in fields.items() if UNKNOWN in column.names]:
            raise ValueError(
                f"{', '.join(left)}: {UNKNOWN} stands for a column that nobody has told yet; write its name, or a "
                "constant (`{value: …}`), in its place"
            )
        read_by = {"turns": _CONVERSATIONS, "config": {"hf"}, "split": {"hf"}}
        for name, kinds in read_by.items():
            if name in self.model_fields_set and getattr(self, name) is not None and self.kind not in kinds:
                raise ValueError(
                    f"`{name}` is of kind {' or '.join(sorted(kinds))}, and this is {self.kind}; remove it"
                )
        if self.hub is not None and (self.kind != "hf" or self.path is not None):
            raise ValueError("`hub` names a data set of kind hf, in place of `path`")
        if self.files and self.kind in {"demo", "folder"}:
            raise ValueError(f"`files` are patterns of files with rows, which kind {self.kind} has none of")
        if self.hub is not None and self.revision is not None and not re.fullmatch("[0-9a-f]{40}", self.revision):
            raise ValueError(
                f"revision {self.revision!r} of {self.hub} is no commit; write its 40 hex digits, for a branch changes"
            )
        if self.pictures == "each" and self.columns is not None and self.columns.images is None:
            raise ValueError("`pictures: each` needs `columns.images`, where they are")
        if (self.schema_ == "verified") != bool(self.seen_at):
            raise ValueError("`schema: verified` needs `seen_at`, where its columns are described; nothing else does")
        return self

    @property
    def needs_pictures(self) -> bool:
        """Return whether a row without a picture has lost it."""
        if self.pictures is None:
            return self.kind == "webdataset" and self.columns is not None and self.columns.images is not None
        return self.pictures == "each"

    @property
    def unknown(self) -> tuple[str, ...]:
        """Return what a source must state to be read, and this one does not."""
        needed = () if self.kind == "demo" else ("revision", "path" if self.hub is None else "hub")
        return tuple(name for name in needed if getattr(self, name) is None)


UNKNOWN = "COLUMN"
"""In a manifest that `sources init` wrote: in place of a column that nothing tells."""
_CONVERSATIONS = frozenset({"llava", "sharegpt", "messages"})
TABLES = frozenset({"parquet", "csv", "tsv", "hf"})
_MAPPED = frozenset({"json", "parquet", "csv", "tsv", "folder", "webdataset", "hf"})


def load_manifest(name_or_path: str, base: Path | None = None) -> tuple[SourceManifest, Path]:
    """Return the manifest called `name_or_path` in `manifests/sources`, or at that path, and its file.

    A relative path starts at `base`, by default at the working directory.

    Raises:
        UsageError: there is no such file, or a field is wrong; the message names file, field and fix.
    """
    file = _find(name_or_path, base or Path())
    try:
        content = parse_yaml(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"source manifest {file} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise UsageError(f"source manifest {file} is not YAML: {error}") from error
    if not isinstance(content, dict):
        held = "is empty" if content is None else f"holds {kind_of(content)}"
        raise UsageError(
            f"source manifest {file} {held}; it is fields, such as `key: mine`; `coldforge sources init DATA` writes it"
        )
    try:
        return SourceManifest.model_validate(content), file
    except ValidationError as error:
        raise UsageError(f"source manifest {file}:\n" + "\n".join([explain(error), *_known(error)])) from error


def _known(error: ValidationError) -> Iterator[str]:
    """Yield the fields that there are, of each level at which one is not known or missing."""
    places = [problem["loc"] for problem in error.errors() if problem["type"] in {"extra_forbidden", "missing"}]
    for level in dict.fromkeys(place[:-1] for place in places):
        model = SourceManifest if not level else Columns if level == ("columns",) else Column
        known = ", ".join(field.alias or name for name, field in model.model_fields.items())
        yield f"  known fields{' of ' + '.'.join(map(str, level)) if level else ''}: {known}"


def _find(name_or_path: str, base: Path) -> Path:
    directory = manifests_dir() / "sources"
    for file in (directory / f"{name_or_path}.yaml", base / name_or_path):
        if file.is_file():
            return file
    known = ", ".join(sorted(path.stem for path in directory.glob("*.yaml")))
    raise UsageError(f"source {name_or_path}: neither a known source ({known}) nor the path of a manifest")
