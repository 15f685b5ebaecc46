from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from pipeline.dialects import DEEPEYESV2, TOOL_CALL
from pipeline.errors import UsageError
from pipeline.store.blobs import BlobStore
from pipeline.students.tokens import ESTIMATE, TOKENIZER, TokenCounter, loss_tokens
from tests.support.export_rows import sft_rows


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A byte-level BPE tokenizer that was saved with truncation and padding switched on."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator(["plt.imshow(image_1.crop((0, 0, 32, 32)))"] * 20, trainer)
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=64)
    path = tmp_path_factory.mktemp("tokenizer")
    tokenizer.save(str(path / TOKENIZER))
    return path


def test_without_a_tokenizer_four_characters_are_a_token_and_the_name_says_so() -> None:
    counter = TokenCounter.open(None)
    assert [counter.count("x" * n) for n in (0, 1, 4, 5, 8, 9)] == [0, 1, 1, 2, 2, 3]
    # A character of these scripts is one; "é" and "я" are as others.
    assert [counter.count(text) for text in ("汉" * 9, "汉字kana", "カナ", "한국", "日本, Japan", "éé яя")] == [
        9,
        3,
        2,
        2,
        4,
        2,
    ]
    assert counter.name == "4 characters per token (1 in Chinese, Japanese, Korean)"
    assert (counter.identity, counter.exact) == ("", False)


def test_a_tokenizer_counts_the_whole_text_and_nothing_else_whatever_it_was_saved_with(directory: Path) -> None:
    counter = TokenCounter.open(directory)
    text = "plt.imshow(image_1.crop((0, 0, 32, 32)))"
    assert counter.exact
    assert 1 < counter.count(text) < len(text)
    assert counter.count(text * 10) >= 9 * counter.count(text)
    assert counter.count("") == 0


def test_a_tokenizer_is_known_by_what_is_in_its_file_and_not_by_where_it_lies(directory: Path, tmp_path: Path) -> None:
    content = (directory / TOKENIZER).read_bytes()
    (tmp_path / TOKENIZER).write_bytes(content)
    moved = TokenCounter.open(str(tmp_path))
    assert moved.identity == TokenCounter.open(directory).identity == hashlib.sha256(content).hexdigest()
    assert moved.name == f"tokenizer {moved.identity}"


@given(st.lists(st.text(), max_size=5))
def test_messages_are_counted_one_by_one(texts: list[str]) -> None:
    assert ESTIMATE.total(texts) == sum(map(ESTIMATE.count, texts))


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff"])
def test_a_directory_without_a_tokenizer_is_a_usage_error_that_names_the_field(
    content: bytes | None, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / TOKENIZER).write_bytes(content)
    with pytest.raises(UsageError, match=r"student\.tokenizer: .*tokenizer\.json"):
        TokenCounter.open(tmp_path)


def test_loss_falls_on_the_assistant_messages_as_they_are_written_in_the_dialect(tmp_path: Path) -> None:
    for row in sft_rows(BlobStore(tmp_path), 3):
        for dialect in (DEEPEYESV2, TOOL_CALL):
            said = [dialect.render_turn(t.think, t.action, t.arguments) for t in row.trajectory.turns]
            assert loss_tokens(row.trajectory, dialect, ESTIMATE) == sum(-(-len(text) // 4) for text in said)


def test_no_large_library_is_loaded_before_a_tokenizer_is_opened() -> None:
    code = "import sys, pipeline.students.tokens; print({'tokenizers', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
