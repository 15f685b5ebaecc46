"""The same records as a source of every kind, with a manifest; for laws that hold whatever the kind."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from pipeline.sources import Source, open_source

Shape = Literal[
    "jsonl", "json", "json-object", "json-lines", "parquet", "parquet-dictionary", "csv", "tsv", "llava", "llava-lines",
    "messages", "folder", "webdataset", "webdataset-gz", "hf-disk", "hf-parquet",
]  # fmt: skip
COLUMNS = {"row": "id", "text": "question", "answers": "answer", "images": "image"}
_OF_SHAPE: Mapping[str, Mapping[str, str]] = {
    "folder": {"row": "name", "text": "question", "answers": "answer", "images": "image"},
    "webdataset": {"row": "__key__", "text": "json.question", "answers": "json.answer", "images": "png"},
}


def opened(place: Path, shape: Shape, parts: Sequence[Sequence[Mapping[str, Any]]], *, keyed: bool = True) -> Source:
    """Write records `{id, question, answer, image}` as files of a shape, and open them.

    Pictures are bytes where the shape holds such, and else left out. Without `keyed` no column is the key.
    """
    data = place / "data"
    data.mkdir(parents=True, exist_ok=True)
    kind = shape.partition("-")[0]
    for number, records in enumerate(parts):
        _WRITERS[kind](data, shape, number, records)
    columns = dict(_OF_SHAPE.get(kind, COLUMNS))
    if not keyed:
        del columns["row"]
    if kind not in {"parquet", "folder", "webdataset", "hf"}:
        del columns["images"]
    columns |= {"category": "category"} if parts and "category" in parts[0][0] else {}
    manifest = {"key": "own", "kind": kind, "revision": "1", "licence": "CC0-1.0", "columns": columns}
    manifest["path"] = f"data/*{_SUFFIX.get(shape, _SUFFIX.get(kind, ''))}" if kind not in {"folder", "hf"} else "data"
    (place / "own.yaml").write_text(yaml.safe_dump(manifest))
    return open_source("own.yaml", place / "store", base=place)


_SUFFIX = {
    "jsonl": ".jsonl", "json": ".json", "json-lines": ".json", "parquet": ".parquet", "csv": ".csv", "tsv": ".tsv",
    "llava": ".json", "llava-lines": ".jsonl", "messages": ".json", "webdataset": ".tar", "webdataset-gz": ".tar.gz",
}  # fmt: skip


def _bare(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name != "image"}


def _write_lines(data: Path, shape: str, number: int, records: Sequence[Mapping[str, Any]]) -> None:
    # Blank lines, a mark in the middle and Windows line ends are all seen in the wild.
    lines = b"\r\n\r\n".join(json.dumps(_bare(record)).encode() for record in records)
    (data / f"{number}{_SUFFIX[shape]}").write_bytes(b"\xef\xbb\xbf" + lines + b"\r\n")


def _write_json(data: Path, shape: str, number: int, records: Sequence[Mapping[str, Any]]) -> None:
    if shape == "json-lines":
        _write_lines(data, shape, number, records)
        return
    items = [_bare(record) for record in records]
    text = json.dumps(items[0] if shape == "json-object" else items, indent=1, ensure_ascii=number % 2 == 0)
    (data / f"{number}.json").write_text(("\ufeff" if number else "") + text, "utf-8")


def _write_parquet(data: Path, shape: str, number: int, records: Sequence[Mapping[str, Any]]) -> None:
    table = _table(records)
    if shape == "parquet-dictionary":
        for name in ("question", "answer"):
            place = table.schema.get_field_index(name)
            table = table.set_column(place, name, table[name].dictionary_encode())
    pq.write_table(table, data / f"{number}.parquet", row_group_size=3)


def _table(records: Sequence[Mapping[str, Any]]) -> pa.Table:
    picture = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    texts = [(name, pa.string()) for name in ("id", "question", "answer")]
    rows = [{**record, "image": {"bytes": record["image"], "path": None}} for record in records]
    return pa.Table.from_pylist(rows, pa.schema([*texts, ("image", picture)]))


def _write_csv(data: Path, shape: str, number: int, records: Sequence[Mapping[str, Any]]) -> None:
    with (data / f"{number}.{shape}").open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, delimiter="," if shape == "csv" else "\t")
        writer.writerow(["id", "question", "answer"])
        for record in records:
            writer.writerow([*_bare(record).values()])
            file.write("\r\n")


def _write_turns(data: Path, shape: str, number: int, records: Sequence[Mapping[str, Any]]) -> None:
    names = ("role", "content", "user", "assistant") if shape == "messages" else ("from", "value", "human", "gpt")

    def said(record: Mapping[str, Any]) -> list[dict[str, str]]:
        first = [{names[0]: names[2], names[1]: record["question"]}, {names[0]: names[3], names[1]: record["answer"]}]
        return [*first, {names[0]: names[2], names[1]: f"{record['question']} Again?"}]

    rows = [{"id": record["id"], "conversations": said(record)} for record in records]
    name, text = (f"{number}.jsonl", "\n".join(map(json.dumps, rows))) if shape == "llava-lines" else (
        f"{number}.json", json.dumps(rows)
    )  # fmt: skip
    (data / name).write_text(text)


def _write_folder(data: Path, shape: str, number: int, records: Sequence[Mapping[str, Any]]) -> None:
    del shape
    (data / str(number)).mkdir()
    for record in records:
        (data / str(number) / f"{record['id']}.png").write_bytes(record["image"])
        beside = {"question": record["question"], "answer": record["answer"]}
        (data / str(number) / f"{record['id']}.json").write_text(json.dumps(beside))


def _write_archive(data: Path, shape: str, number: int, records: Sequence[Mapping[str, Any]]) -> None:
    name, mode = (f"{number}.tar.gz", "w:gz") if shape.endswith("gz") else (f"{number}.tar", "w")
    with tarfile.open(data / name, mode) as archive:  # type: ignore[call-overload]  # of both modes
        for record in records:
            beside = {"question": record["question"], "answer": record["answer"]}
            # A name of more than 100 characters has a header of its own before its member's.
            stem = f"{'deep/' * (30 if number else 0)}{record['id']}"
            for suffix, content in (("json", json.dumps(beside).encode()), ("png", record["image"])):
                member = tarfile.TarInfo(f"{stem}.{suffix}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))


def _write_hub(data: Path, shape: str, number: int, records: Sequence[Mapping[str, Any]]) -> None:
    if shape == "hf-parquet":
        pq.write_table(_table(records), data / f"train-{number:05}.parquet", row_group_size=2)
        return
    import datasets

    if not number:  # one data set has one directory
        datasets.Dataset(_table(records)).save_to_disk(data)


_WRITERS = {
    "jsonl": _write_lines, "json": _write_json, "parquet": _write_parquet, "csv": _write_csv, "tsv": _write_csv,
    "llava": _write_turns, "messages": _write_turns, "folder": _write_folder, "webdataset": _write_archive,
    "hf": _write_hub,
}  # fmt: skip
