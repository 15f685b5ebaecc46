"""The labels of a published question, from what dedup and the gates counted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from pipeline.export.rows import Labels
from pipeline.records import Arm, ArmCount, GateCount, PersonalData, PersonalKind, Record, TemplateFacts


@dataclass(frozen=True)
class Measured:
    """What a run knows of its questions."""

    counts: Mapping[str, GateCount]
    """Of gate 2, or of gate 1 for a question that did not get so far; by question."""
    arms: Mapping[str, Sequence[ArmCount]]
    """By question: the arms beside the main one."""
    templates: Mapping[str, TemplateFacts]
    personal: Mapping[str, Counter[PersonalKind]]
    """By question or trajectory."""
    deploy_pixels: int | None

    @classmethod
    def of(cls, records: Iterable[Record], deploy_pixels: int | None) -> Self:
        """Sort records by question; all but counts, arms, template facts and personal data are left aside."""
        counts: dict[str, GateCount] = {}
        arms: defaultdict[str, list[ArmCount]] = defaultdict(list)
        templates: dict[str, TemplateFacts] = {}
        personal: defaultdict[str, Counter[PersonalKind]] = defaultdict(Counter)
        for record in records:
            match record:
                case GateCount():
                    counts[record.question_id] = record
                case ArmCount():
                    arms[record.question_id].append(record)
                case TemplateFacts():
                    templates[record.question_id] = record
                case PersonalData():
                    personal[record.record_id][record.kind] += record.n
                case _:
                    pass
        return cls(counts, arms, templates, personal, deploy_pixels)

    def personal_data(self, *records: str) -> Mapping[PersonalKind, int]:
        """Return how often each kind of personal data was found in a row of these records, by kind."""
        found = sum((self.personal.get(record, Counter()) for record in records), Counter[PersonalKind]())
        return dict(sorted(found.items()))

    def labels(self, question_id: str) -> Labels:
        """Return the labels of a question, None in each that was not measured."""
        return Labels.model_validate(
            {**self._gates(question_id), **self._beside(question_id), **self._template(question_id)}
        )

    def _gates(self, question_id: str) -> Mapping[str, float | None]:
        count = self.counts.get(question_id)
        if count is None:
            return {}
        told: dict[str, float | None] = {
            name: getattr(count, name) for name in ("plain_right", "plain_valid", "difficulty", "chance")
        }
        # Gate 2 routes what it counted; what it did not count has no route.
        names = ("tools_right", "tools_valid", "benefit", "benefit_low", "benefit_high") if count.route else ()
        return told | {name: getattr(count, name) for name in names}

    def _beside(self, question_id: str) -> Mapping[str, int | bool | None]:
        blind = self._arm(question_id, "blind")
        told: dict[str, int | bool | None] = {}
        if blind is not None:
            told |= {"blind_right": blind.right, "blind_valid": blind.valid}
        deployed = self._arm(question_id, "pixels", self.deploy_pixels) if self.deploy_pixels else None
        if deployed is not None:
            told["resolution_artifact"] = deployed.above
        return told

    def _template(self, question_id: str) -> Mapping[str, str | float | bool]:
        facts = self.templates.get(question_id)
        # The one question of its wording has the most frequent answer, which says nothing of guessing.
        if facts is None or facts.questions == 1:
            return {}
        return {
            "majority_answer": facts.majority,
            "majority_share": facts.share,
            "is_majority": facts.is_majority,
        }

    def _arm(self, question_id: str, arm: Arm, pixels: int | None = None) -> ArmCount | None:
        """Return an arm of a question: at a pixel budget, or whatever its budget where a question has it once."""
        counts = self.arms.get(question_id, ())
        return next((c for c in counts if c.arm == arm and pixels in {None, c.max_pixels}), None)
