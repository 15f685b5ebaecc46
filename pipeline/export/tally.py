"""What a card and a trainer's kit say of rows, counted as they are written."""

from __future__ import annotations

import importlib.metadata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.export.layout import Mix
from pipeline.export.rows import RlRow, RolloutFacts, Sample, SftRow, Split
from pipeline.export.summary import Spread, Summary
from pipeline.records import Category, PersonalKind


@dataclass
class Tally:
    """Counts over the rows of one export."""

    rows: Counter[tuple[Category, str]] = field(default_factory=Counter)
    """By category and source."""
    splits: Counter[Split] = field(default_factory=Counter)
    sources: set[tuple[str, str, str]] = field(default_factory=set)
    """Source, revision and licence of its annotations."""
    personal: Counter[PersonalKind] = field(default_factory=Counter)
    """Rows in whose texts a kind of personal data was found."""
    tokens: Counter[int] = field(default_factory=Counter)
    """Rows by their length: tokens in the student's template, pictures at the trainer's budget."""
    prompt_tokens: Counter[int] = field(default_factory=Counter)
    """Rows by what of them stands before the first assistant message."""
    response_tokens: Counter[int] = field(default_factory=Counter)
    """Rows by the rest, observations included."""
    most_images: int = 0
    most_observation: int = 0
    """Characters."""
    mix: Mix = field(default_factory=Mix)
    edited: int = 0
    """Rows that people corrected: their question, or their transcript."""

    def add(self, sample: Sample[SftRow] | Sample[RlRow]) -> None:
        """Count a row."""
        question = sample.question
        self.rows[question.category, question.source] += 1
        self.splits[sample.split] += 1
        self.sources.add((question.source, question.source_revision, question.licence))
        self.personal.update(dict.fromkeys(sample.row.personal_data, 1))
        self.tokens[sample.tokens] += 1
        self.prompt_tokens[sample.prompt_tokens] += 1
        self.response_tokens[sample.tokens - sample.prompt_tokens] += 1
        self.most_images = max(self.most_images, len(sample.images))
        observed = (len(message.content) for message in sample.messages[2:] if message.role == "user")
        self.most_observation = max(self.most_observation, max(observed, default=0))
        transcript = sample.row.trajectory.parent if isinstance(sample.row, SftRow) else ""
        self.edited += bool(transcript) or question.edited_from is not None
        self.mix.add(sample.lane, question.category, sample.loss_tokens)

    @property
    def licences(self) -> list[str]:
        """Return the licences of annotations, in order."""
        return sorted({licence for _, _, licence in self.sources})


def summary_of(
    tally: Tally, files: Mapping[Split, tuple[str, ...]], rollout: RolloutFacts, sandbox: str, *, search: bool
) -> Summary:
    """Return an export in sum; `sandbox` is the identity of the one that cells of the run were executed in."""
    return Summary(
        rows=tally.rows.total(),
        splits=dict(tally.splits),
        files=dict(files),
        row_tokens=Spread.of(tally.tokens.elements()),
        prompt_tokens=Spread.of(tally.prompt_tokens.elements()),
        response_tokens=Spread.of(tally.response_tokens.elements()),
        most_images=tally.most_images,
        most_observation=tally.most_observation,
        categories=tuple(sorted({category for category, _ in tally.rows})),
        search=search,
        seed=rollout.seed,
        sandbox=sandbox,
        max_turns=rollout.max_turns,
        max_completion_tokens=rollout.max_completion_tokens,
        version=importlib.metadata.version("coldforge"),
    )
