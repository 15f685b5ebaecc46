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
