"""A kit is made of what the manifest and the sums of an export say: small, readable by its trainer, always equal."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipeline.export.formats.llamafactory import dataset_info
from pipeline.export.kit_facts import KitFacts
from pipeline.export.kits import KIT, kit_files
from pipeline.export.kits.lengths import lengths
from pipeline.export.layout import Facts
from pipeline.export.rows import Split
from pipeline.export.summary import Spread, Summary
from pipeline.rollout import served
from tests.support.export_rows import STUDENT, TOLD
from tests.support.kits import FILES

SPLITS = {
    "train": ("data/train-0a1b-00000-of-00002.parquet", "data/train-0a1b-00001-of-00002.parquet"),
    "validation": ("data/validation-2c3d-00000-of-00001.parquet",),
}
SCREEN = 90
"""Lines: a screen or two."""
KITS = {
    ("sft", "llamafactory"): {"train.yaml", "budget.py", "kit.json", "ds_z3.json"},
    ("sft", "ms_swift"): {"train.sh", "budget.py", "kit.json"},
    ("sft", "trl"): {"train_sft.py", "kit.json", "ds_z3.json"},
    ("sft", "verl"): {"train_sft.sh", "budget.py", "kit.json"},
    ("rl", "trl"): {"train_grpo.py", "reward.py", "budget.py", "kit.json", "requirements.txt", "ds_z3.json"},
    ("rl", "verl"): {
        *{"launch.sh", "agent_loop.py", "agent_loop.yaml", "reward.py", "budget.py", "kit.json", "requirements.txt"}
    },
    ("rl", "deepeyesv2"): {
        *{"launch.sh", "env_coldforge.py", "reward.py", "budget.py", "kit.json", "requirements.txt"}
    },
    ("sft", "huggingface"): set(),
    ("rl", "huggingface"): set(),
}


def facts(shard: Any, form: Any, **more: Any) -> Facts:
    usual: dict[str, Any] = {
        "name": "tiny",
        "dialect": "deepeyesv2",
        "prompts": {},
        "told": tuple(TOLD),
        "tokens": "a" * 64,
        "student": STUDENT,
        "validation": 0.02,
        "sources": {},
        "corpus": None,
        "benchmarks": {},
        "refused": (),
    }
    return Facts(shard=shard, format=form, **{**usual, **more})


def summary(**more: Any) -> Summary:
    usual: dict[str, Any] = {
        "rows": 61,
        "splits": {"train": 60, "validation": 1},
        "files": SPLITS,
        "row_tokens": Spread.of([900, 4_000]),
        "prompt_tokens": Spread.of([700, 1_300]),
        "response_tokens": Spread.of([200, 2_700]),
        "most_images": 6,
        "categories": ("perception", "search"),
        "search": True,
        "seed": 7,
        "sandbox": "c" * 64,
        "max_turns": 9,
        "max_completion_tokens": 16_384,
        "version": "0.1.0",
    }
    return Summary(**{**usual, **more})


@pytest.mark.parametrize(("shard", "form"), KITS)
def test_a_format_has_the_kit_of_its_trainer(shard: str, form: str) -> None:
    made = kit_files(facts(shard, form), summary())
    assert set(made) == {f"{KIT}/{name}" for name in KITS[shard, form]}
    assert made == kit_files(facts(shard, form), summary())


def every_file() -> list[tuple[str, str]]:
    made = (
        kit_files(facts(*kind), summary(files=files)) for kind in KITS for files in (SPLITS, {"train": SPLITS["train"]})
    )
    return sorted({(path, content.decode()) for kit in made for path, content in kit.items()})


@pytest.mark.parametrize(("path", "text"), every_file(), ids=[path for path, _ in every_file()])
def test_each_file_is_what_its_name_says_and_fits_on_two_screens(path: str, text: str) -> None:
    assert len(text.splitlines()) <= 2 * SCREEN
    assert "{" not in text or not path.endswith("requirements.txt")
    match path.rpartition(".")[2]:
        case "py":
            compile(text, path, "exec")
        case "sh":
            subprocess.run(["sh", "-n"], input=text, text=True, check=True)
        case "yaml":
            assert yaml.safe_load(text)
        case "json" if path.endswith("ds_z3.json"):
            assert json.loads(text)["zero_optimization"]["stage"] == 3
        case "json":
            assert KitFacts.model_validate_json(text).max_pixels == STUDENT.max_pixels


def test_a_script_names_the_variables_that_programs_read() -> None:
    scripts = " ".join(text for path, text in every_file() if path.endswith(".sh"))
    read = {
        served.SANDBOX_URL,
        served.SEARCH_RECORD,
        *re.findall('"(COLDFORGE_[A-Z_]+)"', (FILES / "reward.py").read_text()),
    }
    assert set(re.findall("COLDFORGE_[A-Z_]+", scripts)) <= read


def test_a_script_names_the_files_of_its_export() -> None:
    swift = kit_files(facts("sft", "ms_swift"), summary())[f"{KIT}/train.sh"].decode()
    train = " ".join(f'"$EXPORT/{path}"' for path in SPLITS["train"])
    assert f"--dataset {train} \\\n" in swift
    assert (
        f'--val_dataset "$EXPORT/{SPLITS["validation"][0]}" --eval_strategy epoch --per_device_eval_batch_size 1 \\\n'
        in swift
    )
    # A folder of one's own does not have the name by which ms-swift knows the model.
    assert f"--model_type {STUDENT.family} --template {STUDENT.family} \\\n" in swift
    verl = kit_files(facts("rl", "verl"), summary())[f"{KIT}/launch.sh"].decode()
    assert f'data.train_files="[$EXPORT/{SPLITS["train"][0]},$EXPORT/{SPLITS["train"][1]}]"' in verl


def test_llama_factory_is_told_the_data_sets_of_its_own_list_and_the_budget_of_the_student() -> None:
    files: dict[Split, tuple[str, ...]] = {
        "train": ("train-0a1b-00000.json", "train-0a1b-00001.json"),
        "validation": ("validation-2c3d-00000.json",),
    }
    made = yaml.safe_load(kit_files(facts("sft", "llamafactory"), summary(files=files))[f"{KIT}/train.yaml"])
    assert [*made["dataset"].split(", "), made["eval_dataset"]] == list(json.loads(dataset_info("tiny", files)))
    assert (made["image_max_pixels"], made["cutoff_len"], made["template"]) == (262_144, 20_480, "qwen2_vl")
    assert made["eval_strategy"] == "epoch"
    # Rows are as long when they are evaluated; the trainer's own default is 8 at a time.
    assert made["per_device_eval_batch_size"] == made["per_device_train_batch_size"] == 1
    assert made["learning_rate"] == 1e-5


def test_where_there_is_no_search_none_is_spoken_of() -> None:
    for form in ("verl", "deepeyesv2"):
        script = kit_files(facts("rl", form), summary(search=False))[f"{KIT}/launch.sh"].decode()
        assert "SEARCH" not in script


@given(st.lists(st.integers(1, 30_000), min_size=1), st.lists(st.integers(0, 60_000)), st.integers(1, 40_000))
def test_no_prompt_and_no_rollout_of_curation_is_too_long_for_training(
    prompts: list[int], responses: list[int], allowed: int
) -> None:
    room = lengths(
        summary(prompt_tokens=Spread.of(prompts), response_tokens=Spread.of(responses), max_completion_tokens=allowed)
    )
    assert room.prompt >= max(prompts)
    assert room.response >= max([allowed, *responses])


@given(st.lists(st.integers(0, 1_000), min_size=1))
def test_a_spread_is_made_of_the_numbers_themselves(values: list[int]) -> None:
    spread = Spread.of(values)
    assert {spread.median, spread.p95, spread.most} <= set(values)
    assert spread.median <= spread.p95 <= spread.most == max(values)
    assert sum(value <= spread.p95 for value in values) >= 0.95 * len(values)


@pytest.mark.parametrize(("shard", "form"), KITS)
@pytest.mark.parametrize("rows", [1, 13, 60, 5_000])
def test_a_batch_is_no_larger_than_the_data(shard: str, form: str, rows: int) -> None:
    made = kit_files(facts(shard, form), summary(rows=rows, splits={"train": rows}))
    sizes = [int(n) for text in made.values() for n in re.findall(rb"[.]train_batch_size=(\d+)", text)]
    assert all(1 <= size <= rows for size in sizes)


@pytest.mark.parametrize(("shard", "form"), KITS)
def test_checkpoints_go_beside_the_exports(shard: str, form: str) -> None:
    texts = [text.decode() for text in kit_files(facts(shard, form), summary()).values()]
    told = [line for text in texts for line in text.splitlines() if re.search(r"output_dir|local_dir|SAVES=", line)]
    assert all(re.search(r"SAVES|\.\./\.\./\.\./saves", line) for line in told)
    assert bool(told) == (form != "huggingface")
