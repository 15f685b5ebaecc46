"""What lies beside an export so that a trainer can begin: `kit/`, small, for the trainer of the format alone.

Programs are files of this package (`files/`), shipped as they are; what depends on the data is `kit.json`, which they
read, and one configuration, which is written here. No file is made from rows: equal exports have equal kits.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from importlib.resources import files

from pipeline.dialects import DialectName
from pipeline.export.kit_facts import KIT_FACTS, KitFacts
from pipeline.export.kits import deepeyesv2, llamafactory, ms_swift, verl
from pipeline.export.layout import Facts
from pipeline.export.summary import Summary
from pipeline.identity import digest
from pipeline.students.family import FAMILIES

KIT = "kit"
REQUIREMENTS = "requirements.txt"


def kit_files(facts: Facts, summary: Summary) -> dict[str, bytes]:
    """Return the files of an export's kit by their paths, relative to the export.

    There is none for plain data sets, and none where every row is to validate with.
    """
    found = _KITS.get((facts.shard, facts.format))
    if found is None or "train" not in summary.files:
        return {}
    written, shipped = found
    made = {name: text.encode() for name, text in written(facts, summary).items()}
    made |= {name: (files(__name__) / "files" / name).read_bytes() for name in shipped}
    if any(name.endswith(".py") for name in shipped):
        made[KIT_FACTS] = _facts(facts, summary)
    if _OURS & set(shipped):
        made[REQUIREMENTS] = requirements(summary.version).encode()
    return {f"{KIT}/{name}": content for name, content in sorted(made.items())}


def kits_revision() -> str:
    """Return the identity of what kits are made by: exports that hold other programs do not stand."""
    package = files(__name__)
    shipped = [place for place in (*package.iterdir(), *package.joinpath("files").iterdir()) if place.is_file()]
    return digest({place.name: hashlib.sha256(place.read_bytes()).hexdigest() for place in shipped})


def requirements(version: str) -> str:
    """Return what the programs that import coldforge need beside it, for `pip install -r`.

    It is installed without its own dependencies, which a trainer's environment would not all take.
    """
    return (
        f"# pip install --no-deps coldforge=={version} && pip install -r {KIT}/{REQUIREMENTS}\n"
        "pillow>=11\npydantic>=2.11\nsympy>=1.13\nurllib3>=2.2\n"
    )


Write = Callable[[Facts, Summary], Mapping[str, str]]


def _nothing(_: Facts, __: Summary) -> Mapping[str, str]:
    return {}


_OURS = frozenset({"reward.py", "agent_loop.py", "env_coldforge.py"})
"""Programs that import coldforge."""
_KITS: Mapping[tuple[str, str], tuple[Write, tuple[str, ...]]] = {
    ("sft", "llamafactory"): (llamafactory.files_of, ("budget.py", "ds_z3.json")),
    ("sft", "ms_swift"): (ms_swift.files_of, ("budget.py",)),
    ("sft", "trl"): (_nothing, ("train_sft.py", "ds_z3.json")),
    ("sft", "verl"): (verl.sft_files, ("budget.py",)),
    ("rl", "trl"): (_nothing, ("train_grpo.py", "reward.py", "budget.py", "ds_z3.json")),
    ("rl", "verl"): (verl.rl_files, ("agent_loop.py", "reward.py", "budget.py")),
    ("rl", "deepeyesv2"): (deepeyesv2.files_of, ("env_coldforge.py", "reward.py", "budget.py")),
}
"""(shard, format) → what is written for the data, and the programs that are shipped."""


def _facts(facts: Facts, summary: Summary) -> bytes:
    dialect: DialectName = "tool_call" if facts.dialect == "tool_call" else "deepeyesv2"
    told = KitFacts(
        dialect=dialect,
        search=summary.search,
        family=facts.student.family,
        max_pixels=facts.student.max_pixels,
        view=facts.student.view,
        seed=summary.seed,
        sandbox=summary.sandbox,
        max_turns=summary.max_turns,
        model=facts.student.revision,
        min_pixels=FAMILIES[facts.student.family].smallest,
        cutoff_len=facts.student.cutoff_len,
        files=dict(summary.files),
    )
    return (json.dumps(told.model_dump(), indent=2) + "\n").encode()
