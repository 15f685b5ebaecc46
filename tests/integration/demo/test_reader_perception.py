from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image as Pillow
from PIL import ImageDraw

from pipeline.demo import vocabulary
from pipeline.demo.reader import programs
from pipeline.demo.reader.colours import MODEL
from pipeline.demo.reader.model import Policy, Reader
from pipeline.demo.reader.perceiver import Perceiver
from pipeline.demo.reader.places import Part
from pipeline.demo.vocabulary import COLOURS
from pipeline.dialects import deepeyesv2 as dialect
from pipeline.dialects.messages import Parsed
from pipeline.dialects.observations import image_search_observation
from pipeline.errors import InfrastructureError
from pipeline.identity import canonical_json, parse_json
from pipeline.images import encode_png
from pipeline.models.chat import ChatRequest, ChatResponse, Image, Message, Sampling, Text, View
from pipeline.models.views import make_view
from pipeline.store.blobs import BlobStore, write_atomic
from pipeline.students.family import ViewRule

RULE = ViewRule("qwen2_5_vl", 262_144)
RED = vocabulary.MAP_LABEL.format(colour="red", shape="square")
BLUE = vocabulary.MAP_LABEL.format(colour="blue", shape="square")
QUESTIONS = [
    RED,
    vocabulary.TABLE_ELEVATION.format(colour="red"),
    vocabulary.TABLE_ICAO.format(colour="red"),
    vocabulary.CHART_SUM.format(colour1="red", colour2="blue"),
    vocabulary.REGION_RATIO.format(colour1="red", colour2="blue"),
    vocabulary.DOT_COUNT.format(colour="blue"),
    vocabulary.OUTLINE_FACT.format(fact=vocabulary.FACTS[0]),
    vocabulary.ELEMENT_FACT.format(colour="red"),
    "What is the mood of this picture?",
]


def sheet() -> Pillow.Image:
    """A label that the view shows clearly, and one at the edge of legibility."""
    picture = Pillow.new("RGB", (2880, 2080), "white")
    pen = ImageDraw.Draw(picture)
    for word, (x, y), text, size in (("red", (500, 400), "Rotterdam", 60), ("blue", (1500, 1200), "Samarkand", 26)):
        pen.rectangle((x, y - 17, x + 34, y + 17), fill=COLOURS[word])
        pen.text((x + 44, y), text, fill=(20, 20, 20), font_size=size, anchor="lm")
    return picture


@pytest.fixture(scope="module")
def blobs(tmp_path_factory: pytest.TempPathFactory) -> BlobStore:
    return BlobStore(tmp_path_factory.mktemp("store") / "blobs")


@pytest.fixture(scope="module")
def whole(blobs: BlobStore) -> View:
    return make_view(encode_png(sheet()), RULE, blobs)


@pytest.fixture(scope="module")
def perceiver(blobs: BlobStore) -> Iterator[Perceiver]:
    with Perceiver(blobs.root.parent / "perceptions", blobs, workers=1) as eyes:
        yield eyes


def ask(view: View, question: str, *more: Message, tools: bool = False, temperature: float = 1.0) -> ChatRequest:
    system = "Think first." + (" # Tools: python, image_search, search." if tools else "")
    return ChatRequest(
        model="reader",
        messages=(
            Message(role="system", parts=(Text(text=system),)),
            Message(role="user", parts=(Image(view=view), Text(text=f"image_1: 2880x2080\n{question}\nAnswer."))),
            *more,
        ),
        sampling=Sampling(temperature=temperature),
        seed=7,
    )


def said(perceiver: Perceiver, request: ChatRequest, samples: int = 1, policy: Policy = "naive") -> list[ChatResponse]:
    return list(asyncio.run(Reader(policy, perceiver).generate(request, range(samples))))


def answers(responses: list[ChatResponse]) -> list[str]:
    parsed = [dialect.parse(response.text, "tools") for response in responses]
    return [parse_json(one.arguments)["answer"] for one in parsed if isinstance(one, Parsed)]


def crop(view: View, part: Part, blobs: BlobStore) -> tuple[Message, Message]:
    """What a model did and saw when it cropped the sheet."""
    turn = dialect.render_turn("I zoom in.", "python", canonical_json({"code": programs.crop(part)}))
    shown = make_view(encode_png(sheet().crop(part)), RULE, blobs)
    assert view.pixels != shown.pixels
    return (
        Message(role="assistant", parts=(Text(text=turn),)),
        Message(role="user", parts=(Text(text="Code execution result:"), Image(view=shown))),
    )


def test_a_clean_label_is_read_where_it_is(perceiver: Perceiver, whole: View) -> None:
    seen = asyncio.run(perceiver.perceive(whole))
    label = next(box for box in seen.boxes if "Rotterdam" in box.text)
    scale = 2880 / whole.width
    assert label.right_of(534 / scale).text.strip() == "Rotterdam"
    assert abs((label.y0 + label.y1) / 2 * scale - 400) < 15
    assert all(abs(sum(chance for _, chance in step) - 1) < 0.05 for step in label.steps)


def test_a_perception_is_made_once_and_outlives_its_process(
    perceiver: Perceiver, whole: View, blobs: BlobStore
) -> None:
    async def together(eyes: Perceiver) -> list[str]:
        return [canonical_json(seen) for seen in await asyncio.gather(*(eyes.perceive(whole) for _ in range(5)))]

    first = asyncio.run(together(perceiver))
    made = perceiver.perceived
    assert (made, len(set(first))) == (1, 1)
    with Perceiver(perceiver.root, blobs, workers=1) as later:
        assert asyncio.run(together(later)) == first
        assert later.perceived == 0
    said(perceiver, ask(whole, RED), samples=8)
    assert perceiver.perceived == made


def test_what_is_clear_is_answered_right_without_a_tool(perceiver: Perceiver, whole: View) -> None:
    assert set(answers(said(perceiver, ask(whole, RED), samples=8))) == {"Rotterdam"}


def test_samples_of_an_unclear_label_differ_and_the_greedy_one_does_not(perceiver: Perceiver, whole: View) -> None:
    assert len(set(answers(said(perceiver, ask(whole, BLUE), samples=8)))) > 1
    assert len(set(answers(said(perceiver, ask(whole, BLUE, temperature=0.0), samples=8)))) == 1


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("policy", ["naive", "careful"])
def test_every_message_is_a_valid_turn_and_plain_mode_only_answers(
    perceiver: Perceiver, whole: View, question: str, policy: Policy
) -> None:
    for response in said(perceiver, ask(whole, question), 4, policy):
        parsed = dialect.parse(response.text, "plain")
        assert isinstance(parsed, Parsed)
        assert parsed.action == "answer"
    for response in said(perceiver, ask(whole, question, tools=True), 4, policy):
        assert isinstance(dialect.parse(response.text, "tools"), Parsed)


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_without_its_image_is_answered_all_the_same(perceiver: Perceiver, question: str) -> None:
    request = ChatRequest(
        model="reader",
        messages=(
            Message(role="system", parts=(Text(text="# Tools: python, image_search, search."),)),
            Message(role="user", parts=(Text(text=question),)),
        ),
        sampling=Sampling(),
        seed=7,
    )
    assert all(answers(said(perceiver, request, policy=policy)) for policy in ("naive", "careful"))


def test_a_damaged_perception_is_named(whole: View, blobs: BlobStore, tmp_path: Path) -> None:
    with Perceiver(tmp_path, blobs, workers=1) as eyes:
        file = tmp_path / MODEL / whole.pixels[:2] / f"{whole.pixels}.json"
        write_atomic(file, b'{"model"')
        with pytest.raises(InfrastructureError, match=whole.pixels):
            asyncio.run(eyes.colours(whole))


def test_a_careful_reader_crops_the_original_and_reads_it_there(
    perceiver: Perceiver, whole: View, blobs: BlobStore
) -> None:
    part = Part(1232, 1050, 1848, 1470)
    looks = said(perceiver, ask(whole, BLUE, tools=True), 8, "careful")
    parsed = [dialect.parse(look.text, "tools") for look in looks]
    assert {turn.action for turn in parsed if isinstance(turn, Parsed)} == {"python"}
    assert any(str(tuple(part)) in look.text for look in looks)  # others take a wider one
    again = ask(whole, BLUE, *crop(whole, part, blobs), tools=True)
    assert answers(said(perceiver, again, 4, "careful")) == ["Samarkand"] * 4


def test_a_careful_reader_looks_again_when_a_crop_cuts_the_label(
    perceiver: Perceiver, whole: View, blobs: BlobStore
) -> None:
    cut = Part(1012, 1050, 1628, 1470)  # ends in the middle of the word
    request = ask(whole, BLUE, *crop(whole, cut, blobs), tools=True)
    (response,) = said(perceiver, request, policy="careful")
    turn = dialect.parse(response.text, "tools")
    assert isinstance(turn, Parsed)
    assert turn.action == "python"
    assert str(tuple(cut)) not in turn.arguments


def test_a_thumbnail_is_never_perceived(perceiver: Perceiver, whole: View, blobs: BlobStore) -> None:
    thumbnail = make_view(encode_png(Pillow.new("RGB", (320, 240), "grey")), RULE, blobs)
    looked = Message(
        role="assistant", parts=(Text(text=dialect.render_turn("I search.", "image_search", canonical_json({}))),)
    )
    head, tail = image_search_observation(["Outline of Niger"]).split("<image>")
    found = Message(role="user", parts=(Text(text=head), Image(view=thumbnail), Text(text=tail)))
    request = ask(whole, vocabulary.OUTLINE_FACT.format(fact=vocabulary.FACTS[0]), looked, found, tools=True)
    before = perceiver.perceived
    (response,) = said(perceiver, request, policy="careful")
    assert "Niger" in response.text
    assert perceiver.perceived == before


def test_equal_requests_have_equal_responses_in_another_process(
    perceiver: Perceiver, whole: View, blobs: BlobStore, tmp_path: Path
) -> None:
    request = ask(whole, BLUE, tools=True)
    script = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from pipeline.models.chat import ChatRequest\n"
        "from pipeline.demo.reader.model import Reader\n"
        "from pipeline.demo.reader.perceiver import Perceiver\n"
        "from pipeline.store.blobs import BlobStore\n"
        "if __name__ == '__main__':\n"
        "    request = ChatRequest.model_validate_json(sys.stdin.read())\n"
        "    with Perceiver(Path(sys.argv[1]), BlobStore(Path(sys.argv[2])), 1) as eyes:\n"
        "        for response in asyncio.run(Reader('naive', eyes).generate(request, range(8))):\n"
        "            print(repr(response.text))\n"
    )
    file = tmp_path / "ask.py"
    file.write_text(script)
    command = [sys.executable, str(file), str(tmp_path / "perceptions"), str(blobs.root)]
    other = subprocess.run(command, input=request.model_dump_json(), capture_output=True, text=True, check=True)
    ours = said(perceiver, request, samples=8)
    assert other.stdout.splitlines() == [repr(response.text) for response in ours]
    assert len({response.text for response in ours}) > 1


def test_tokens_are_counted_by_length_and_by_patch(perceiver: Perceiver, whole: View) -> None:
    request = ask(whole, QUESTIONS[-1])
    (response,) = said(perceiver, request)
    letters = sum(-(-len(part.text) // 4) for m in request.messages for part in m.parts if isinstance(part, Text))
    assert response.prompt_tokens == letters + whole.width * whole.height // 784
    assert response.completion_tokens == -(-len(response.text) // 4)
