"""Runs that have a card: whole curations in this process, with ledger and exports, made in a second or two."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from flows.ledger.snapshot import Shard, build_ledger
from flows.recipe.file import load_recipe
from pipeline.export.layout import MANIFEST, Manifest
from pipeline.export.verify.file_checks import read_manifest
from tests.support.curated import RECIPE, curated, write_corpus
from tests.support.runs import facts

TERMS = {
    "source_url": "https://cellars.example/data",
    "attribution": "The Cellars Project",
    "licence_images": "CC0-1.0",
    "redistributable": True,
}
"""What a source has to say before a card of it may be published."""


def carded_run(place: Path, name: str = "run", terms: Mapping[str, Any] = TERMS, **changes: Any) -> Path:
    """Curate the cellars in `place` under a changed recipe, and return the run directory, with its ledger."""
    if not (place / "cellars.yaml").exists():
        write_corpus(place)
    for manifest in place.glob("*.yaml"):
        said = yaml.safe_load(manifest.read_text())
        if isinstance(said, dict) and "licence" in said:
            manifest.write_text(yaml.safe_dump({**said, **terms}))
    content = {**RECIPE, "gate": {**RECIPE["gate"], "fresh_share": 0.5}, **changes}
    finished = curated(place, content, name)
    run = place / name
    recipe = load_recipe(run / "recipe.yaml")
    manifests = [read_manifest(path.parent) for path in sorted((run / "export").glob(f"*/*/{MANIFEST}"))]
    shards = [Shard(m.shard, m.format, m.rows, 0) for m in manifests if isinstance(m, Manifest)]
    told = facts(recipe.name, shards=shards, deploy_pixels=recipe.student.deploy_pixels)._replace(gate=recipe.gate)
    build_ledger(run, list(finished.values()), told)
    return run
