"""Small real rows for export tests: drawn images in a blob store, trajectories with every kind of turn.

As a program it publishes them: `python -m tests.support.export_rows BASE COUNT`.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from PIL import Image

from pipeline.dialects import DEEPEYESV2
from pipeline.export import write
from pipeline.export.layout import MANIFEST, Manifest, Published, RlFormat, SftFormat
from pipeline.export.rows import MODE, ExportContext, Labels, RlRow, SftRow
from pipeline.export.told import ExportPrompt, Told
from pipeline.identity import canonical_json
from pipeline.images import encode_png, put_image
from pipeline.records import Action, Category, ImageRef, Lane, Question, Terms, Tokens, Trajectory, Turn
from pipeline.rollout.stock_rules import by_rule
from pipeline.store.blobs import BlobStore
from pipeline.students.family import Student
from pipeline.students.tokens import ESTIMATE
from tests.support.builders import question, trajectory, turn

SFT: tuple[SftFormat, ...] = get_args(SftFormat)
RL: tuple[RlFormat, ...] = get_args(RlFormat)
TOLD = Told(
    ExportPrompt(
        name="export/tools",
        mode="tools",
        system="Think, act once per message, then answer.",
        user="{images}{question}\nEnd with the answer.\nYou may call tools.",
    ),
    ExportPrompt(
        name="export/plain",
        mode="plain",
        system="Think, then answer.",
        user="{images}{question}\nEnd with the answer.",
    ),
)
LABELS = Labels(plain_right=1, plain_valid=8, tools_right=5, tools_valid=7, difficulty=0.875, chance=0.0)
STUDENT = Student(
    family="qwen2_5_vl",
    revision="Qwen/Qwen2.5-VL-7B-Instruct",
    max_pixels=262_144,
    deploy_pixels=None,
    view="student",
    cutoff_len=20_480,
    template="qwen2_vl",
    coordinates="original_pixels",
)


def context(root: Path) -> ExportContext:
    return ExportContext(
        name="tiny",
        blobs=BlobStore(root / "blobs"),
        dialect=DEEPEYESV2,
        told=(TOLD,),
        prompts={"teacher/tools": "b" * 64},
        student=STUDENT,
        counter=ESTIMATE,
        sources={"drawn": Terms(licence="CC0-1.0", source_url="Rectangles | drawn for <tests>.")},
    )


def picture(number: int, width: int = 64, height: int = 48) -> Image.Image:
    """A gradient with a mark: no two numbers give the same pixels, and PNG has something to store."""
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    image.paste((number % 256, number // 256 % 256, 200), (4, 4, 20, 20))
    return image


def jpeg(image: Image.Image, *, orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=92, exif=exif)
    return buffer.getvalue()


def numbered(number: int, images: tuple[ImageRef, ...], category: Category = "perception") -> Question:
    return question(
        f"What number is in mark {number}? It is not an <image>.",
        source="drawn",
        source_row=str(number),
        category=category,
        images=images,
        answers=(str(number), f"no. {number}"),
        answer_type="number",
        tolerance=0.02 if number % 2 else None,
        meta={"number": number},
    )


def step(think: str, action: Action, value: str | None, observation: str | None = None, *images: ImageRef) -> Turn:
    return turn(action, value, think=think, raw_text="never exported", observation=observation, images=images)


def attempt(asked: Question, turns: tuple[Turn, ...], sample: int = 0, lane: Lane = "tools") -> Trajectory:
    view = canonical_json({"family": "qwen2_5_vl", "max_pixels": 262_144, "policy": "student"})
    taught: dict[str, Any] = {"arm": lane, "mode": MODE[lane], "sample": sample, "seed": 7}
    return trajectory(
        *turns,
        asked=asked,
        prompts=canonical_json({"teacher": "b" * 64}),
        view=view,
        system="what the teacher saw",
        user="what the teacher was asked",
        answer=asked.answers[0],
        verdict="right",
        tokens=Tokens(prompt=10, completion=5),
        sandbox="c" * 64,
        **taught,
    )


def sft_rows(blobs: BlobStore, count: int) -> list[SftRow]:
    """Rows in turn: crop and look, image search then text search, no image at all."""
    return [_sft_row(blobs, number) for number in range(count)]


def _sft_row(blobs: BlobStore, number: int) -> SftRow:
    shown = picture(number)
    turns: tuple[Turn, ...]
    answer = step("Done.", "answer", str(number))
    match number % 3:
        case 0:
            asked = numbered(number, (put_image(blobs, encode_png(shown)),))
            crop = put_image(blobs, encode_png(shown.crop((0, 0, 32, 32)).resize((64, 64))))
            look = step("Enlarge it.", "python", "plt.imshow(image_1)\nplt.show()", "Images:\n<image>", crop)
            turns = (look, answer)
        case 1:
            asked = numbered(number, (put_image(blobs, jpeg(shown)), put_image(blobs, jpeg(picture(number + 50)))))
            hits = [put_image(blobs, jpeg(picture(number + 100 + i, 32, 32))) for i in range(2)]
            found = step("Find it.", "image_search", None, "1. <image>\n[one]\n\n2. <image>\n[two]", *hits)
            read = step("Read on.", "search", f'mark "{number}" ü', "1. [one](https://example.org)")
            turns = (found, read, answer)
        case _:
            asked = numbered(number, (), "search")
            turns = (step("Look it up.", "search", "mark", "1. [one](https://example.org)"), answer)
    return sft_row(attempt(asked, turns), asked)


def sft_row(tried: Trajectory, asked: Question, cluster_id: str | None = None) -> SftRow:
    own = f"s{asked.source_row:0>63}" if cluster_id is None else cluster_id
    labels = Labels(plain_right=0, plain_valid=8, difficulty=1.0, chance=0.0)
    return SftRow(tried, asked, own, labels, by_rule(tried))


def lane_rows(blobs: BlobStore, first: int = 500) -> list[SftRow]:
    """Two rows of each lane; those of long_cot are text only."""
    lanes: tuple[Lane, ...] = ("tools", "no_call", "plain_cot", "long_cot")
    return [_lane_row(blobs, first + number, lanes[number % 4]) for number in range(8)]


def _lane_row(blobs: BlobStore, number: int, lane: Lane) -> SftRow:
    images = () if lane == "long_cot" else (put_image(blobs, jpeg(picture(number))),)
    asked = numbered(number, images, "reasoning" if lane in {"plain_cot", "long_cot"} else "perception")
    look = step("Look.", "python", "print(image_1.size)", "stdout:\n(64, 48)")
    answer = step("Step by step. " * (1 + number % 7), "answer", str(number))
    return sft_row(attempt(asked, (look, answer) if lane == "tools" else (answer,), lane=lane), asked)


def rl_rows(blobs: BlobStore, count: int, first: int = 1_000) -> list[RlRow]:
    """Questions on one picture each, of every category."""
    categories: tuple[Category, ...] = ("perception", "reasoning", "search")
    return [
        rl_row(numbered(number, (put_image(blobs, jpeg(picture(number))),), categories[number % 3]))
        for number in range(first, first + count)
    ]


def rl_row(asked: Question) -> RlRow:
    return RlRow(
        question=asked,
        cluster_id=f"r{asked.source_row:0>63}",
        labels=LABELS,
        saturated=False,
    )


def publish_sft(
    directory: Path, rows: Sequence[SftRow], formats: Sequence[SftFormat], context: ExportContext
) -> tuple[Published, ...]:
    """Write one shard by itself, in the order of its ids."""
    assert directory.name == "sft"
    ordered = sorted(rows, key=lambda row: row.trajectory.id)
    return write.publish(directory.parent, ordered, formats, (), context)


def publish_rl(
    directory: Path, rows: Sequence[RlRow], formats: Sequence[RlFormat], context: ExportContext
) -> tuple[Published, ...]:
    """As `publish_sft`."""
    assert directory.name == "rl"
    return write.publish(directory.parent, sorted(rows, key=lambda row: row.question.id), (), formats, context)


def data_file(export: Path, number: int = 0) -> Path:
    """A data file of an export, by its place among them."""
    manifest = Manifest.model_validate_json((export / MANIFEST).read_text())
    return export / manifest.data[number].path


def json_rows(export: Path) -> list[Any]:
    """The rows of a LLaMA-Factory export with one data file."""
    return list(json.loads(data_file(export).read_text("utf-8")))


def publish(root: Path, sft: Sequence[SftRow], rl: Sequence[RlRow], base: Path) -> Path:
    """Write every format of both shards below `root`."""
    rows: list[SftRow | RlRow] = [
        *sorted(sft, key=lambda row: row.trajectory.id),
        *sorted(rl, key=lambda row: row.question.id),
    ]
    write.publish(root, rows, SFT, RL, context(base))
    return root


def main(base: Path, count: int) -> None:
    blobs = context(base).blobs
    publish(base / "export", sft_rows(blobs, count), rl_rows(blobs, count), base)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
