"""What needs vLLM runs only where COLDFORGE_VLLM=1: `make test-vllm` installs it first, 3.5 GB and minutes of CPU."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from pipeline.models.local.launch import interpreter
from tests.vllm.lessons import lessons

FLAGS = (
    *("--dtype", "float32", "--max-model-len", "4096", "--max-num-seqs", "32", "--enforce-eager"),
    *("--limit-mm-per-prompt", '{"image": 8, "video": 0}'),
    # vLLM 0.32 on CPU ends ("CPU Generator does not use offset") when it takes the prompt of a request with a seed
    # in pieces, so it has to take each at once.
    *("--no-enable-chunked-prefill", "--max-num-batched-tokens", "8192"),
)
"""Of the CPU build: nothing to compile, and room for a prompt and some images."""
CPU = {
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "OMP_NUM_THREADS": str(len(os.sched_getaffinity(0))),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("COLDFORGE_VLLM") == "1":
        return
    skip = pytest.mark.skip(reason="needs vLLM (3.5 GB): `make test-vllm` installs it and sets COLDFORGE_VLLM=1")
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(skip)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny Qwen2.5-VL that calls a tool once and then answers a number."""
    os.environ.update(CPU)
    directory = tmp_path_factory.mktemp("checkpoint")
    (directory / "lessons.json").write_text(json.dumps(lessons()))
    path = directory / "tiny-qwen"
    script = Path(__file__).with_name("make_tiny_qwen.py")
    made = subprocess.run(
        [interpreter(), script, path, directory / "lessons.json"], check=False, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    print(f"\ntiny Qwen2.5-VL: {made.stdout.strip()}")  # noqa: T201 - the target quotes what it measured
    return path
