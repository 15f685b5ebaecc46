"""What a card says of a run: every number of it, taken from the ledger and from what the exports say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, get_args

from filters.languages import language_of
from flows.publishing.exports import CONFIGURED, Config, Export, configs, read_exports
from flows.publishing.fields import Field, fields_of
from flows.recipe.recipe import DatasetUse, Recipe
from flows.report.lookup import finished_stages
from flows.report.queries import FUNNEL, GATE_REPORTS
from flows.report.tables import Table, query_table
from pipeline.errors import UsageError
from pipeline.export.layout import MixPart, RowKey
from pipeline.export.rows import SharedPictures
from pipeline.identity import Json
from pipeline.prompts.judge_prompts import load_judge_prompts
from pipeline.prompts.sets import Role, load_prompts
from pipeline.records import Mode, Terms, Trajectory
from pipeline.store.shards import read_columns, rows_of
from pipeline.students.family import Student

UNITS = {"sft": "trajectory", "rl": "question"}
"""Shard → what its records are called."""


class Model(NamedTuple):
    """A model that was asked, and for what."""

    part: str
    name: str
    """With its revision."""
    samples: int
    """Rollouts, or votes of a judge."""


class Prompt(NamedTuple):
    """A text that models were told."""

    role: str
    """`<role>/<mode>`, as manifests list it."""
    sha256: str
    system: str
    user: str


class Replays(NamedTuple):
    """Rows whose cells were executed again with one verdict."""

    rows: int
    executed: int
    """Of them those with a cell at all."""
    cells: int


class Asked(NamedTuple):
    """What the card counts of the questions of a shard."""

    categories: Mapping[tuple[str, str], int]
    """(category, source) → rows."""
    answer_types: Mapping[str, int]
    majority: int
    """Rows whose answer is the most frequent one among questions worded alike."""
    told: int
    """Rows of which that is known."""


@dataclass(frozen=True)
class CardFacts:
    """All that a card is written from."""

    name: str
    student: Student
    dialect: str
    exports: tuple[Export, ...]
    configs: tuple[Config, ...]
    fields: Mapping[str, tuple[Field, ...]]
    """By shard."""
    rows: Mapping[str, int]
    """By shard: those of its configuration, or of its largest export where it has none."""
    asked: Mapping[str, Asked]
    """By shard."""
    mix: tuple[MixPart, ...]
    tokens: str
    """What counted tokens."""
    tools: Mapping[tuple[str, str], int]
    """(tool, how the call ended) → calls in the SFT rows."""
    shown: int
    """Pictures that tools showed in the SFT rows."""
    languages: Mapping[str | None, int]
    """Language of the questions → how many; None: no rule tells."""
    licences: Mapping[str, Mapping[str, int]]
    """Licence of the annotations, as a row says it → rows by shard."""
    licence_sources: Mapping[str, frozenset[str]]
    """Licence, as a row says it → sources of such rows."""
    sources: Mapping[str, Terms]
    """Those with rows, and the one whose pictures searches found."""
    revisions: Mapping[str, str]
    """Source → its revision."""
    pictured: frozenset[str]
    """Sources of rows with pictures."""
    corpus: str | None
    models: tuple[Model, ...]
    prompts: tuple[Prompt, ...]
    gates: Mapping[str, Json]
    """What the gates went by."""
    funnel: Table
    reasons: Table
    placebo: Table
    benefit: Table
    arms: Table
    replays: Mapping[str, Replays]
    """By verdict: SFT rows that were executed again before they were kept."""
    shared: SharedPictures | None
    benchmarks: Mapping[str, str]
    personal: Mapping[str, int]
    """Kind of personal data → rows with it."""
    left_out: Mapping[tuple[str, str], int]
    """(shard, reason) → records that no format of the shard holds."""
    withheld_kept: bool
    """The recipe keeps pictures that may not be passed on."""
    dataset: DatasetUse
    """Who publishes it."""

    @property
    def title(self) -> str:
        """Return what the set is called for people."""
        return self.dataset.title or self.name


def gather(run: Path, recipe: Recipe) -> CardFacts:
    """Return what the card of a run says.

    Raises:
        UsageError: there is no ledger or no export, or one cannot be read; or a prompt is no longer what it was.
    """
    exports = read_exports(run)
    largest = _told_of(exports)
    first = exports[0].manifest
    keys = {shard: list(export.rows()) for shard, export in largest.items()}
    asked = {shard: {key.question_id for key in rows} for shard, rows in keys.items()}
    questions = _questions(run, set().union(*asked.values()))
    licences: dict[str, Counter[str]] = {}
    for shard, rows in keys.items():
        for key in rows:
            licences.setdefault(questions[key.question_id].licence, Counter())[shard] += 1
    found = configs(exports, sorted(licences))
    ids = {key.record_id for key in keys.get("sft", ())}
    used = {key.source for rows in keys.values() for key in rows}
    sft = largest.get("sft")
    corpus = sft.manifest.corpus if sft is not None else None
    named = used | ({corpus} if corpus is not None else set())
    sources = {name: terms for export in exports for name, terms in export.manifest.sources.items() if name in named}
    calls, shown = _calls(run, ids)
    left_out = _left_out(exports)
    return CardFacts(
        name=first.name,
        student=first.student,
        dialect=first.dialect,
        exports=exports,
        configs=found,
        fields={config.shard: fields_of(config) for config in found if config.licence is None},
        rows={shard: len(rows) for shard, rows in keys.items()},
        asked={
            shard: Asked(
                categories=Counter((key.category, key.source) for key in rows),
                answer_types=Counter(questions[key.question_id].answer_type for key in rows),
                majority=sum(key.labels.is_majority is True for key in rows),
                told=sum(key.labels.is_majority is not None for key in rows),
            )
            for shard, rows in keys.items()
        },
        mix=sft.manifest.mix if sft is not None else (),
        tokens=first.tokens,
        tools=calls,
        shown=shown,
        languages=Counter(language_of(question.text) for question in questions.values()),
        licences=licences,
        licence_sources={
            said: frozenset(question.source for question in questions.values() if question.licence == said)
            for said in licences
        },
        sources=sources,
        revisions={question.source: question.revision for question in questions.values()},
        pictured=frozenset(question.source for question in questions.values() if question.pictures),
        corpus=corpus,
        models=_models(run),
        prompts=_prompts(run, recipe, exports),
        gates=_first_row(query_table(run, "SELECT * FROM gate_settings")),
        funnel=_funnel(run, left_out),
        reasons=query_table(run, _REASONS),
        placebo=_report(run, "placebo"),
        benefit=_report(run, "benefit"),
        arms=_report(run, "arms"),
        replays=_replays(run, ids),
        shared=_shared(run, keys, questions),
        benchmarks=first.benchmarks,
        personal=Counter(kind for rows in keys.values() for key in rows for kind in key.personal_data),
        left_out=left_out,
        withheld_kept=recipe.export.withheld_images == "keep",
        dataset=recipe.dataset,
    )


def _told_of(exports: Iterable[Export]) -> dict[str, Export]:
    """Return the export of each shard whose rows a card tells of: the configuration, else the largest."""

    def rank(export: Export) -> tuple[bool, int]:
        return export.manifest.format == CONFIGURED, export.manifest.rows

    found: dict[str, Export] = {}
    for export in (export for export in exports if export.manifest.rows):
        before = found.get(export.manifest.shard)
        if before is None or rank(export) > rank(before):
            found[export.manifest.shard] = export
    return found


class _Question(NamedTuple):
    source: str
    revision: str
    text: str
    licence: str
    answer_type: str
    pictures: frozenset[str]


_QUESTIONS = """
SELECT question_id, source, source_revision, text, licence, answer_type,
       [x.sha256 for x in images] AS pictures FROM questions ORDER BY question_id
"""


def _questions(run: Path, wanted: set[str]) -> dict[str, _Question]:
    rows = query_table(run, _QUESTIONS).rows
    found = {
        str(identity): _Question(
            source=str(source),
            revision=str(revision),
            text=str(text),
            licence=str(licence),
            answer_type=str(answer_type),
            pictures=frozenset(map(str, pictures if isinstance(pictures, list) else ())),
        )
        for identity, source, revision, text, licence, answer_type, pictures in rows
        if identity in wanted
    }
    missing = sorted(wanted - found.keys())
    if missing:
        raise UsageError(
            f"{run}: its exports hold question {missing[0]}, which its ledger does not know; run `coldforge run` again"
        )
    return found


_CALLS = """
SELECT trajectory_id, action, status, count(*) AS n, sum(n_images)::BIGINT AS shown FROM turns
WHERE purpose = 'synthesis' AND action NOT IN ('answer', 'none') GROUP BY ALL
"""
_REPLAYED = "SELECT trajectory_id, verdict, cells FROM replays WHERE made_by = 'validate'"
_MODELS = """
SELECT CASE WHEN arm = 'long_cot' THEN 'long_cot' WHEN purpose = 'synthesis' THEN 'teacher'
            WHEN arm = 'stronger' THEN 'stronger' ELSE 'base' END AS part,
       model, count(*) AS rollouts
FROM trajectories GROUP BY ALL
UNION ALL
SELECT 'judge', model, sum(len(votes))::BIGINT FROM votes GROUP BY model
ORDER BY part, model
"""
_REASONS = "SELECT stage, unit, outcome, reason, n FROM reasons WHERE stage <> 'publish'"


def _calls(run: Path, ids: set[str]) -> tuple[Counter[tuple[str, str]], int]:
    """Return how often each tool ended how in the rows, and how many pictures came back."""
    calls: Counter[tuple[str, str]] = Counter()
    shown = 0
    for identity, action, status, n, images in query_table(run, _CALLS).rows:
        if identity in ids:
            calls[str(action), str(status)] += _whole(n)
            shown += _whole(images)
    return calls, shown


def _replays(run: Path, ids: set[str]) -> Mapping[str, Replays]:
    found: dict[str, Replays] = {}
    for identity, verdict, cells in query_table(run, _REPLAYED).rows:
        if identity in ids:
            before = found.get(str(verdict), Replays(0, 0, 0))
            ran = _whole(cells)
            found[str(verdict)] = Replays(before.rows + 1, before.executed + (ran > 0), before.cells + ran)
    return found


def _whole(value: Json) -> int:
    return int(str(value))


def _models(run: Path) -> tuple[Model, ...]:
    order = ("base", "stronger", "teacher", "judge", "long_cot")
    found = (Model(str(part), str(name), int(str(n))) for part, name, n in query_table(run, _MODELS).rows)
    return tuple(sorted(found, key=lambda model: (order.index(model.part), model.name)))


def _report(run: Path, name: str) -> Table:
    report = next(report for report in GATE_REPORTS if report.name == name)
    return query_table(run, report.sql, report.name, report.title)


def _first_row(found: Table) -> Mapping[str, Json]:
    return dict(zip(found.columns, found.rows[0], strict=True)) if found.rows else {}


def _funnel(run: Path, left_out: Mapping[tuple[str, str], int]) -> Table:
    """Return the funnel; what exports leave out they say themselves, for they may have been written once more."""
    found = query_table(run, FUNNEL.sql, FUNNEL.name)
    columns = ("stage", "unit", "n_in", "kept", "rejected", "quarantined", "past", "pass_rate")
    chosen = [found.columns.index(column) for column in columns]
    lines = (tuple(row[index] for index in chosen) for row in found.rows)
    rows = tuple(_as_exported(line, left_out) if line[0] == "publish" else line for line in lines)
    return Table("funnel", "", columns, rows)


def _as_exported(row: tuple[Json, ...], left_out: Mapping[tuple[str, str], int]) -> tuple[Json, ...]:
    stage, unit, n_in, *_ = row
    out = sum(n for (shard, _), n in left_out.items() if UNITS[shard] == unit)
    kept = _whole(n_in) - out
    return (stage, unit, n_in, kept, out, 0, None, kept / _whole(n_in))


def _prompts(run: Path, recipe: Recipe, exports: Sequence[Export]) -> tuple[Prompt, ...]:
    """Return the texts of a run, found again where they were read; the exports say which they have to be.

    Raises:
        UsageError: a text was changed since, or is gone.
    """
    said = {role: sha256 for export in exports for role, sha256 in export.manifest.prompts.items()}
    told = {prompt.name: prompt for export in exports for prompt in export.manifest.told}
    texts = [Prompt(prompt.name, prompt.sha256, prompt.system, prompt.user) for prompt in told.values()]
    own = load_prompts(recipe.prompt_set, recipe.wire, recipe.prompts.teacher_guidance)
    for role, sha256 in own.hashes().items():
        if role in told or role not in said:
            continue
        if said[role] != sha256:
            raise _changed(role)
    texts += [
        Prompt(f"{role}/{mode}", said[f"{role}/{mode}"], own.system(role, mode), own.user(role, mode))
        for role in get_args(Role)
        for mode in get_args(Mode)
        if f"{role}/{mode}" in said and f"{role}/{mode}" not in told
    ]
    return tuple(sorted([*texts, *_judged(run, recipe)]))


def _judged(run: Path, recipe: Recipe) -> list[Prompt]:
    """Return the texts that a judge was asked under."""
    asked = query_table(run, "SELECT DISTINCT asked, prompt FROM votes ORDER BY ALL").rows
    if not asked:
        return []
    judge = load_judge_prompts(search=recipe.search is not None)
    texts = {"answer": judge.answer, "question": judge.question}
    for kind, sha256 in asked:
        if texts[str(kind)].hash != sha256:
            raise _changed(f"judge/{kind}")
    return [
        Prompt(f"judge/{kind}", texts[str(kind)].hash, texts[str(kind)].system, texts[str(kind)].user)
        for kind, _ in asked
    ]


def _changed(role: str) -> UsageError:
    return UsageError(
        f"prompt {role} was changed since this run; put it back, or run `coldforge run` again, which asks under the "
        "texts that there are"
    )


def _shared(
    run: Path, keys: Mapping[str, Sequence[RowKey]], questions: Mapping[str, _Question]
) -> SharedPictures | None:
    """Count the pictures of RL that an SFT row shows, asked about or as an observation; None without both shards."""
    if not all(keys.get(shard) for shard in ("sft", "rl")):
        return None
    pictures = {
        shard: {sha256 for key in keys[shard] for sha256 in questions[key.question_id].pictures}
        for shard in ("sft", "rl")
    }
    ids = {key.record_id for key in keys["sft"]}
    for path in finished_stages(run)["synthesize"].paths("trajectories"):
        for row in rows_of(read_columns([path], Trajectory, ["id", "turns"])):
            if row["id"] in ids:
                pictures["sft"] |= {image["sha256"] for turn in row["turns"] for image in turn["images"]}
    return SharedPictures(len(pictures["sft"] & pictures["rl"]), len(pictures["rl"]))


def _left_out(exports: Sequence[Export]) -> Mapping[tuple[str, str], int]:
    """Count the records that every format of a shard leaves out, by the reason of the first."""
    counted: Counter[tuple[str, str]] = Counter()
    for shard in ("sft", "rl"):
        formats = [export for export in exports if export.manifest.shard == shard]
        refused = [{row.record_id: row.reason for row in export.manifest.refused} for export in formats]
        if refused:
            nowhere = set.intersection(*(set(one) for one in refused))
            counted.update((shard, refused[0][record]) for record in nowhere)
    return counted
