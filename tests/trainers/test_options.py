"""The scripts of a kit take the trainer's own options behind them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.support.kits import FACTS, FILES
from tests.trainers.conftest import run_program

CPU = ["--use_cpu", "true", "--bf16", "false", "--deepspeed", ""]
OWN = {
    "train_sft": {"num_train_epochs": 3, "learning_rate": 1e-5, "max_length": FACTS.cutoff_len},
    "train_grpo": {"num_train_epochs": 3, "learning_rate": 1e-6, "num_generations": 16, "generation_batch_size": 16},
}
FIELDS = ("bf16", "deepspeed", "model_init_kwargs", "output_dir")


@pytest.mark.trainer("trl")
@pytest.mark.parametrize("script", OWN)
def test_options_behind_a_script_take_the_place_of_its_own_and_unknown_ones_are_refused(
    script: str, tmp_path: Path
) -> None:
    kit = tmp_path / "rl" / "trl" / "kit"
    kit.mkdir(parents=True)
    shutil.copy(FILES / f"{script}.py", kit)
    (kit / "kit.json").write_text(FACTS.model_dump_json())
    other = ["--num_train_epochs", "2", "--model_init_kwargs", json.dumps({"dtype": "float32"}), "--output_dir", "out"]
    given = {
        "kit": str(kit),
        "script": script,
        "deepspeed": str(kit / "ds_z3.json"),
        "fields": [*FIELDS, *OWN[script]],
        "options": [CPU, [*CPU, *other], [*CPU, "--epochs_of_training", "2"]],
        "out": str(tmp_path / "told.json"),
    }
    ours, theirs, refused = run_program("trl", "trl_options", given, tmp_path)["told"]
    assert {name: ours[name] for name in OWN[script]} == OWN[script]
    assert (ours["bf16"], ours["deepspeed"] or None, ours["model_init_kwargs"]) == (False, None, {"dtype": "bfloat16"})
    assert (theirs["num_train_epochs"], theirs["output_dir"]) == (2, "out")
    assert theirs["model_init_kwargs"] == {"dtype": "float32"}
    assert theirs["learning_rate"] == ours["learning_rate"]
    assert "--epochs_of_training" in refused
