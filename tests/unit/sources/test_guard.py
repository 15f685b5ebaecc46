"""What is evaluated on is no source, by whatever name it comes; what only sounds like it is one."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from flows.cli.main import make_app
from pipeline.errors import UsageError
from pipeline.sources.guard import Guarded, guard_list, refuse_eval_only, unguarded
from pipeline.sources.manifest import load_manifest

COMMIT = "0" * 40


def refused(place: Path, **said: object) -> str | None:
    """Return what a manifest is refused with; None if it is not."""
    content = {"key": "own", "kind": "hf", "licence": "CC0-1.0", "revision": COMMIT, "columns": {"text": "a"}, **said}
    (place / "own.yaml").write_text(yaml.safe_dump(content))
    manifest, file = load_manifest("own.yaml", place)
    try:
        refuse_eval_only(manifest, file)
    except UsageError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ({"hub": "craigwu/vstar_bench"}, "V* Bench"),
        ({"hub": "lmms-lab/vstar-bench", "split": "test"}, "V* Bench"),
        ({"hub": "lmms-lab-encoder/vstar-bench"}, "V* Bench"),
        ({"hub": "LMMS-Lab/VStar-Bench"}, "V* Bench"),
        ({"hub": "honglyhly/DeepEyesV2_RL", "files": ["*.parquet"]}, "V* Bench"),
        ({"hub": "honglyhly/DeepEyesV2_RL", "files": ["perception_all_1.parquet", "VSTAR_*"]}, "V* Bench"),
        ({"hub": "honglyhly/DeepEyesV2_RL", "split": "test"}, "V* Bench"),
        ({"hub": "someone/a-copy-of-it", "config": "vstar", "split": "test"}, "V* Bench"),
        ({"hub": "DreamMr/HR-Bench"}, "HR-Bench"),
        ({"hub": "yifanzhang114/MME-RealWorld-lite-lmms-eval"}, "MME-RealWorld"),
        ({"hub": "yifanzhang114/MME-RealWorld-CN-Lmms-eval"}, "MME-RealWorld"),
        ({"hub": "m-a-p/SimpleVQA"}, "SimpleVQA"),
        ({"hub": "CaraJ/MMSearch", "config": "end2end", "split": "end2end"}, "MMSearch"),
        ({"hub": "Cie1/MMSearch-Plus"}, "MMSearch-Plus"),
        ({"hub": "princeton-nlp/CharXiv", "split": "validation"}, "CharXiv"),
        ({"hub": "AI4Math/MathVista", "split": "testmini"}, "MathVista"),
        ({"hub": "CaraJ/MathVerse-lmmseval"}, "MathVerse"),
        ({"hub": "MathLLMs/MathVision"}, "MathVision"),
        ({"hub": "We-Math/We-Math", "split": "testmini"}, "We-Math"),
        ({"hub": "Osilly/VDR-Bench"}, "VDR-Bench"),
        ({"hub": "Mini-o3/VisualProbe_Hard"}, "VisualProbe"),
        ({"hub": "HuggingFaceM4/ChartQA", "split": "test"}, "ChartQA test"),
        ({"hub": "HuggingFaceM4/ChartQA", "split": "train+test"}, "ChartQA test"),
        ({"hub": "HuggingFaceM4/ChartQA", "split": "test[:10%]"}, "ChartQA test"),
        ({"hub": "HuggingFaceM4/ChartQA", "files": "data/*.parquet"}, "ChartQA test"),
        ({"hub": "lmms-lab-encoder/ChartQA", "split": "test"}, "ChartQA test"),
        ({"hub": "lmms-lab/textvqa", "split": "validation"}, "TextVQA validation and test"),
        ({"hub": "lmms-lab/DocVQA", "config": "DocVQA", "split": "validation"}, "DocVQA validation and test"),
        ({"hub": "x/docs", "config": "InfographicVQA", "split": "test"}, "InfographicVQA validation and test"),
        ({"hub": "lmms-lab/FVQA", "split": "test"}, "FVQA test"),
        ({"hub": "lmms-lab/FVQA", "files": "fvqa_*.parquet"}, "FVQA test"),
        ({"hub": "hiyouga/geometry3k", "files": ["data/train-*", "data/test-*"]}, "Geometry3K test"),
    ],
)
def test_a_set_of_the_hub_is_no_source(tmp_path: Path, said: dict[str, object], title: str) -> None:
    message = refused(tmp_path, **said)
    assert message is not None
    assert f"is {title}, which is evaluated on" in message
    assert "own.yaml" in message


@pytest.mark.parametrize(
    "said",
    [
        {"hub": "craigwu/seal_vqa_data"},
        {"hub": "honglyhly/DeepEyesV2_RL", "files": ["perception_all_*.parquet", "reason.parquet", "search.parquet"]},
        {"hub": "HuggingFaceM4/ChartQA", "split": "train"},
        {"hub": "HuggingFaceM4/ChartQA", "split": "val"},  # its paper evaluates on test
        {"hub": "lmms-lab/textvqa", "split": "train"},
        {"hub": "lmms-lab/DocVQA", "files": "DocVQA/train-*"},
        {"hub": "lmms-lab/FVQA", "files": "fvqa_train.parquet"},
        {"hub": "someone/mmsearch_r1_infoseek_sub_2k"},
        {"hub": "We-Math/We-Math2.0-Pro", "split": "pro"},
        {"hub": "Mini-o3/VisualProbe_train"},
        {"hub": "someone/mathvista-like-charts"},
        {"hub": "someone/testing", "split": "test"},
    ],
)
def test_what_only_sounds_like_one_is_a_source(tmp_path: Path, said: dict[str, object]) -> None:
    assert refused(tmp_path, **said) is None


@pytest.mark.parametrize(
    ("path", "files", "caught"),
    [
        ("*.parquet", ["perception_all_1.parquet", "vstar_test.parquet"], "vstar_test.parquet"),
        ("data", ["data/VStar_Test.parquet"], "VStar_Test.parquet"),
        ("data", ["data/search.parquet", "data/more/vstar-bench.parquet"], "more/vstar-bench.parquet"),
        ("ChartQA", ["ChartQA/data/train-0.parquet", "ChartQA/data/test-00000-of-00001.parquet"], "data/test-00000"),
        ("chartqa/test.parquet", ["chartqa/test.parquet"], "test.parquet"),
        ("vstar_bench", ["vstar_bench/rows.parquet"], "rows.parquet"),
        ("HRBench4K.parquet", ["HRBench4K.parquet"], "HRBench4K.parquet"),
        ("x/hr_bench_8k.parquet", ["x/hr_bench_8k.parquet"], "hr_bench_8k.parquet"),
        ("mathvista_testmini-00000-of-00001.parquet", ["mathvista_testmini-00000-of-00001.parquet"], "mathvista"),
        ("fvqa_test.parquet", ["fvqa_test.parquet"], "fvqa_test.parquet"),
        ("textvqa/validation-*.parquet", ["textvqa/validation-00000-of-00003.parquet"], "validation-00000"),
        ("*.parquet", ["perception_all_1.parquet", "reason.parquet", "search.parquet"], None),
        ("ChartQA/data/train-*", ["ChartQA/data/train-0.parquet", "ChartQA/data/test-0.parquet"], None),
        ("fvqa_train.parquet", ["fvqa_train.parquet", "fvqa_test.parquet"], None),
        ("mmsearch_r1_infoseek_sub_2k.parquet", ["mmsearch_r1_infoseek_sub_2k.parquet"], None),
        ("test.parquet", ["test.parquet"], None),  # of whatever it is
        ("vstar_train.parquet", ["vstar_train.parquet"], None),
        ("chartqa_test_run/train.parquet", ["chartqa_test_run/train.parquet"], None),
    ],
)
def test_a_file_here_is_known_by_its_name(tmp_path: Path, path: str, files: list[str], caught: str | None) -> None:
    place = tmp_path / "place"
    for name in files:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(b"")
    message = refused(place, kind="parquet", path=path)
    assert (message is None) == (caught is None), message
    assert caught is None or caught in str(message)


@pytest.mark.parametrize(
    ("folder", "split", "files", "caught"),
    [
        ("ChartQA", "train", ["data/train-0.parquet", "data/test-0.parquet"], False),  # the library reads the split
        ("ChartQA", "test", ["data/train-0.parquet", "data/test-0.parquet"], True),
        ("rl", "train", ["perception_all_1.parquet", "vstar_test.parquet"], True),
        ("MathVista", "train", ["data/testmini-0.parquet"], True),
    ],
)
def test_a_folder_that_the_library_reads(
    tmp_path: Path, folder: str, split: str, files: list[str], caught: bool
) -> None:
    for name in files:
        (tmp_path / folder / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / name).write_bytes(b"")
    assert (refused(tmp_path, path=folder, split=split) is not None) == caught


def test_a_local_copy_is_known_by_where_it_is_from(tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").write_bytes(b"")
    url = "https://huggingface.co/datasets/AI4Math/MathVista"
    assert "MathVista" in str(refused(tmp_path, kind="parquet", path="rows.parquet", source_url=url))


def test_who_says_that_a_source_is_for_evaluation_alone_is_believed(tmp_path: Path) -> None:
    assert "role: eval_only" in str(refused(tmp_path, hub="someone/questions", role="eval_only"))


def test_the_list_names_each_set_once_and_tells_which_are_missing() -> None:
    keys = [guarded.key for guarded in guard_list()]
    assert len(set(keys)) == len(keys)
    assert unguarded(keys) == ()
    assert unguarded([*keys[1:], "mine"]) == (keys[0],)


@pytest.mark.parametrize("guarded", guard_list(), ids=lambda guarded: str(guarded.key))
def test_a_set_tells_how_its_hashes_are_made(guarded: Guarded) -> None:
    if not guarded.commands:
        assert guarded.note
        return
    get, build = guarded.commands
    assert get.startswith("hf download ")
    _, *words = shlex.split(build)
    # The command reads its own line: options that it does not have end with 2 and a usage, a missing file with ours.
    said = CliRunner().invoke(make_app(), words)
    assert (said.exit_code, "Usage" in said.output) == (2, False)
    assert f"{guarded.key}/" in said.output
