"""`coldforge export`: write the exports of a finished run again, under other prompts if wanted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.console import print_line, require_ledger, require_store
from flows.cli.run import StoreDir
from flows.cli.status import RunDir
from pipeline.commands import command

if TYPE_CHECKING:
    from flows.recipe.recipe import Recipe
    from pipeline.engine.units import UnitInput
    from pipeline.export.layout import Manifest
    from pipeline.export.rows import ExportContext
    from pipeline.prompts.sets import Prompts
    from pipeline.store.blobs import BlobStore
    from pipeline.students.tokens import TokenCounter


Tombstones = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="What no export may hold, beside manifests/tombstones.yaml and the list of the recipe."
    ),
]

_EXPORT = "export/"
"""Begins what a manifest calls the texts that rows are told."""


def export(
    run: RunDir,
    prompt_variants: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folders of prompt files, or *.md system texts; one is drawn per question."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where to write.", show_default="RUN/export, or RUN/export-<name of DIR>"),
    ] = None,
    store: StoreDir = None,
    tombstones: Tombstones = None,
) -> None:
    """Write the exports of RUN again, without what was taken down since; no model is asked.

    With --prompt-variants rows differ in what they are told.
    """
    from flows.recipe.file import load_recipe
    from flows.report.exports import taken_down
    from flows.stages.publish import Formats, write_exports
    from pipeline.errors import UsageError
    from pipeline.export.rights import Rights
    from pipeline.export.tombstones import Tombstones as TombstoneIndex
    from pipeline.export.tombstones import matches
    from pipeline.store.blobs import BlobStore

    require_ledger(run)
    if prompt_variants is not None and out is not None and out.resolve() == (run / "export").resolve():
        raise UsageError(f"--out {out}: the run's own export stays as it is; name another directory for the variants")
    recipe = load_recipe(run / "recipe.yaml")
    blobs = BlobStore(require_store(run, store) / "blobs")
    context = _context(recipe, _written(run), blobs, prompt_variants)
    if out is None:
        out = run / ("export" if prompt_variants is None else f"export-{prompt_variants.resolve().name}")
    unit = _selected(run)
    formats = Formats.of(recipe)
    taken = taken_down(run, tombstones)
    rights = Rights(TombstoneIndex.of(taken), formats.withheld_images)
    context = replace(context, rights=rights, split_by_licence=formats.split_by_licence, validation=formats.validation)
    published = write_exports(out, unit, formats, recipe.student.deploy_pixels, context)
    for shard in published:
        print_line(f"{shard.shard + '/' + shard.format:<34}{shard.n_rows:>8,} rows{shard.nbytes / 1e6:>10,.1f} MB")
        for reason, rows in sorted(Counter(row.reason for row in shard.refused).items()):
            print_line(f"    left out: {rows:,} {reason}, named in its manifest.json")
    matched = matches(taken, {mark for shard in published for row in shard.refused for mark in row.tombstones})
    if matched is not None:
        print_line(matched)
    prompts = "1 prompt set" if len(context.told) == 1 else f"{len(context.told)} prompt sets"
    print_line(f"{prompts}; next: {command('verify', run if out.resolve() == (run / 'export').resolve() else out)}")


def _written(run: Path) -> Manifest:
    """Return what the run said of its own exports.

    Raises:
        UsageError: it has none that can be read.
    """
    from flows.report.exports import gone, mended
    from flows.report.lookup import finished_stages
    from pipeline.errors import UsageError
    from pipeline.export.layout import MANIFEST, Manifest
    from pipeline.export.verify.file_checks import read_manifest

    for path in sorted((run / "export").glob(f"*/*/{MANIFEST}")):
        manifest = read_manifest(path.parent)
        if isinstance(manifest, Manifest):
            return manifest
        raise UsageError(f"{path} {manifest}; run `coldforge run` again, which writes it anew")
    if gone(run):
        raise UsageError(f"{run} holds no export any more, and it has published some; {mended(run)}")
    if "publish" in finished_stages(run):
        raise UsageError(f"{run} holds no export: it finished, and no row came out; `{command('stats', run)}` says why")
    raise UsageError(f"{run} holds no export: the run has not finished; run `coldforge run` again")


def _selected(run: Path) -> UnitInput:
    """Return what the run selected.

    Raises:
        UsageError: a stage that is read has not finished, its parts are gone, or another version wrote labels of rows.
    """
    from flows.report.lookup import finished_stages
    from flows.report.tables import query_table
    from flows.stages.publish import selected_rows
    from flows.stages.validate import VALIDATE
    from pipeline.engine.done import Done
    from pipeline.errors import UsageError

    stages = finished_stages(run)
    needed = ("screen", "dedup", "gate1", "gate2", "synthesize", "validate", "select")
    missing = [name for name in needed if name not in stages]
    if missing:
        raise UsageError(f"{run}: {', '.join(missing)} not finished or gone; run `coldforge run` again")
    if stages["validate"].version != VALIDATE.version:
        raise UsageError(
            f"{run} was validated by another version of coldforge; `coldforge run` again pays for nothing twice"
        )
    sql = "SELECT record_id FROM outcomes WHERE stage = 'select' AND outcome = 'kept'"
    selected = frozenset(str(row[0]) for row in query_table(run, sql).rows)
    unit = selected_rows(Done(run, stages), selected)
    if len(unit.records) != len(selected):
        raise UsageError(
            f"{run}/stages holds {len(unit.records)} of {len(selected)} selected records; run `coldforge run` again"
        )
    return unit


def _context(recipe: Recipe, written: Manifest, blobs: BlobStore, variants: Path | None) -> ExportContext:
    from pipeline.dialects import by_name
    from pipeline.export.rows import ExportContext
    from pipeline.export.told import told_by

    texts = _prompts(recipe, written, variants)
    return ExportContext(
        name=written.name,
        blobs=blobs,
        dialect=by_name(recipe.dialect),
        told=tuple(told_by(text, variant) for variant, text in texts.items()),
        prompts={name: sha256 for name, sha256 in written.prompts.items() if not name.startswith(_EXPORT)},
        student=written.student,
        counter=_counter(recipe, written),
        sources=written.sources,
        corpus=written.corpus,
        benchmarks=written.benchmarks,
    )


def _counter(recipe: Recipe, written: Manifest) -> TokenCounter:
    """Return what counted the run's tokens.

    Raises:
        UsageError: the tokenizer is gone, or no longer what it was.
    """
    from pipeline.errors import UsageError
    from pipeline.students.tokens import TokenCounter

    counter = TokenCounter.open(recipe.student.tokenizer)
    if counter.name != written.tokens:
        raise UsageError(
            f"student.tokenizer: this run counted tokens by {written.tokens}, now they would be by {counter.name}; "
            "put the tokenizer back, or run `coldforge run` again"
        )
    return counter


def _prompts(recipe: Recipe, written: Manifest, variants: Path | None) -> Mapping[str, Prompts]:
    """Return the texts that the student is told, by the name of each variant; the run's own has none.

    Raises:
        UsageError: a text is missing or wrong, or the run's own prompt set is no longer what it was.
    """
    from pipeline.errors import UsageError
    from pipeline.export.told import told_by
    from pipeline.prompts.sets import load_prompts, load_variants

    dialect = recipe.wire
    # The guidance of teachers may be a file that is gone; no student is told it.
    own = load_prompts(recipe.prompt_set, dialect)
    if any(written.prompts.get(prompt.name) != prompt.sha256 for prompt in told_by(own)):
        raise UsageError(
            f"the prompt set {recipe.prompt_set} was changed since this run; "
            "run `coldforge run` again, which exports under the texts that rows were made for"
        )
    return {"": own} if variants is None else load_variants(variants, own, dialect)
