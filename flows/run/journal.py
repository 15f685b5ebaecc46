"""`run.json` and the ledger: what a run has done, with clocks and versions that no record may hold."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from filters.gates.rules import GateSettings
from flows.asking.resources import Resources
from flows.ledger.journal import read_journal
from flows.ledger.snapshot import RunFacts, Shard, StageCost, build_ledger, stage_costs
from flows.recipe.inputs import Inputs, Job
from pipeline.engine.done import Finished
from pipeline.errors import UsageError
from pipeline.identity import canonical_json, parse_json
from pipeline.models.samples import Meter, Metered, Spent
from pipeline.store.blobs import write_atomic


@dataclass(frozen=True)
class Journal:
    """Keeps `run.json` of one run directory current."""

    run: Path
    invocation: int
    content: dict[str, Any]
    meter: Meter
    gate: GateSettings
    deploy_pixels: int | None
    exports: tuple[tuple[str, str], ...]
    """Shard and format of each that is asked for."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Stages end on the caller's thread, the meter saves from the loop's."""

    @classmethod
    def begin(cls, job: Job, inputs: Inputs, resources: Resources, expected: Sequence[Mapping[str, Any]]) -> Journal:
        """Open the run's journal and add this invocation; `expected` is its estimate."""
        known = read_journal(job.out) or {"invocations": []}
        before, meter = known["invocations"], resources.meter
        revisions, search = resources.revisions, resources.tools.search
        meter.spent = Spent(**known.get("spent", {}))
        meter.versions.update(known.get("models", {}))
        _require_no_smaller_run(job, before)
        environment = {
            "python": platform.python_version(),
            "machine": platform.machine(),
            "sandbox": resources.tools.python.pool.facts(),
            "base": revisions.models.get("base"),
            "teachers": [model for role, model in revisions.models.items() if role.startswith("teachers.")],
            "stronger": revisions.models.get("stronger"),
            "judge": revisions.models.get("judge"),
            "search": revisions.search,
            "image_search": "" if search is None else search.image.revision,
            "prices": _prices(resources.models),
        }
        content = {
            "name": job.recipe.name,
            "recipe": job.recipe.sha256(inputs.prompts.hashes()),
            "version": importlib.metadata.version("coldforge"),
            # Who asks no model knows nothing better than what is written of those that were asked.
            "environment": environment if resources.models else known.get("environment", environment),
            "sources": {source.key: str(source.directory.resolve()) for source in inputs.sources},
            "invocations": [
                *before,
                {
                    "started": datetime.now(UTC).isoformat(timespec="seconds"),
                    "runner": job.runner,
                    "limit": job.limit,
                    "estimate": list(expected),
                    "stages": [],
                },
            ],
        }
        recipe = yaml.safe_dump(job.recipe.model_dump(mode="json", by_alias=True), sort_keys=False, allow_unicode=True)
        write_atomic(job.out / "recipe.yaml", recipe.encode())
        journal = cls(
            job.out, len(before), content, meter, job.recipe.gate, job.recipe.student.deploy_pixels, job.recipe.exports
        )
        journal._write()
        meter.save = journal._write
        return journal

    def record(self, cost: StageCost) -> None:
        """Add what a stage spent, whether it finished or stopped."""
        with self.lock:
            self.content["invocations"][-1]["stages"].append(cost._asdict())
        self._write()

    def shards(self, *, published: bool) -> list[Shard]:
        """Return the exports that stand in the run directory; once it has published, those that have no row, too."""
        found = [_shard(path) for path in sorted((self.run / "export").glob("*/*/manifest.json"))]
        written = {(shard.shard, shard.format) for shard in found}
        return found + [Shard(*names, 0, 0) for names in self.exports if published and names not in written]

    def write_ledger(self, stages: Sequence[Finished]) -> None:
        """Rebuild the ledger from the finished stages."""
        costs = stage_costs(self.content)
        facts = RunFacts(
            name=self.content["name"],
            recipe=self.content["recipe"],
            version=self.content["version"],
            environment=canonical_json(self.content["environment"]),
            costs=costs,
            shards=self.shards(published=any(stage.name == "publish" for stage in stages)),
            gate=self.gate,
            deploy_pixels=self.deploy_pixels,
        )
        build_ledger(self.run, stages, facts)

    def _write(self) -> None:
        with self.lock:
            self.content["models"] = dict(self.meter.versions)
            self.content["spent"] = self.meter.spent._asdict()
            text = json.dumps(self.content, indent=1, ensure_ascii=False)
            write_atomic(self.run / "run.json", (text + "\n").encode())


def _shard(path: Path) -> Shard:
    manifest = parse_json(path.read_text())
    nbytes = sum(file["nbytes"] for file in manifest["files"])
    return Shard(path.parent.parent.name, path.parent.name, n_rows=manifest["rows"], nbytes=nbytes)


def _prices(models: Mapping[str, Metered]) -> list[dict[str, str | float]]:
    """Return what each model costs per million tokens: the ledger counts by it, and no record holds it."""
    purposes = {"base": "gate", "stronger": "gate", "teachers": "synthesis"}
    by_model = {
        (purposes[kind], model.revision): model.price
        for role, model in models.items()
        if (kind := role.partition(".")[0]) in purposes
    }
    # A price of nothing is none: a model of one's own.
    return [
        {"purpose": purpose, "model": model, **price._asdict()}
        for (purpose, model), price in by_model.items()
        if any(price)
    ]


def _require_no_smaller_run(job: Job, invocations: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a smaller sample in the directory of a finished run: it would replace that run's exports.

    Raises:
        UsageError: the last invocation that published took more rows.
    """
    # A publish that failed has committed no unit.
    finished = [
        entry
        for entry in invocations
        if any(stage["stage"] == "publish" and stage["units"] for stage in entry["stages"])
    ]
    if job.limit is None or not finished:
        return
    limit = finished[-1]["limit"]
    if limit is None or limit > job.limit:
        taken = "all rows" if limit is None else f"{limit} rows"
        raise UsageError(
            f"{job.out} holds a finished run of {taken}, which --limit {job.limit} would replace; give another --out"
        )
