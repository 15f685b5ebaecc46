"""What a card and a trainer's kit say of rows, counted as they are written."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from pipeline.export.layout import Mix
from pipeline.export.rows import RlRow, Sample, SftRow, Split
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
    """Rows by their length: tokens in the student's template, pictures at the trainer's budget, in steps of
    `TOKEN_STEP`, rounded up."""
    images: Counter[int] = field(default_factory=Counter)
    """Rows by their number of pictures."""
    mix: Mix = field(default_factory=Mix)

    def add(self, sample: Sample[SftRow] | Sample[RlRow]) -> None:
        """Count a row."""
        question = sample.question
        self.rows[question.category, question.source] += 1
        self.splits[sample.split] += 1
        self.sources.add((question.source, question.source_revision, question.licence))
        self.personal.update(dict.fromkeys(sample.row.personal_data, 1))
        self.tokens[-(-sample.tokens // TOKEN_STEP) * TOKEN_STEP] += 1
        self.images[len(sample.images)] += 1
        self.mix.add(sample.lane, question.category, sample.loss_tokens)

    @property
    def licences(self) -> list[str]:
        """Return the licences of annotations, in order."""
        return sorted({licence for _, _, licence in self.sources})


TOKEN_STEP = 256
