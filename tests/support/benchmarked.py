"""Whether a question is one of a benchmark, as the stage decides it."""

from __future__ import annotations

from collections.abc import Sequence

from filters.dedup.clusters import ImageHashes
from filters.dedup.contamination import BenchmarkIndex, ContaminationSettings, benchmark_hit, decision_on
from pipeline.records import Decision


def contaminated(
    question_id: str,
    text: str,
    images: Sequence[ImageHashes],
    index: BenchmarkIndex,
    settings: ContaminationSettings,
    *,
    solution: str = "",
) -> Decision:
    return decision_on(question_id, benchmark_hit(question_id, text, images, index, settings, solution=solution))
