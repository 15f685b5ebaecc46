"""The records that flow between stages; everybody imports them from here.

Records are frozen. `id` is the sha256 of a record's identity fields (`Question.build` and `Trajectory.make_id` say
which). Free-form values are canonical JSON strings, so that no schema depends on the data. No clock, host, retry count
or package version is stored in a record: equal inputs give equal bytes.
"""

from __future__ import annotations

from pipeline.records.base import Int32, Record, UInt64
from pipeline.records.evidence import (
    AnswerConflict,
    ArmCount,
    AttemptFact,
    BenchmarkHit,
    Cluster,
    DroppedHit,
    GateCount,
    GradeResult,
    ImageFacts,
    JudgeVotes,
    NearText,
    ObservationFacts,
    ReplayResult,
    SolutionKey,
    Suspicion,
    TemplateFacts,
)
from pipeline.records.outcomes import Decision, ExportWritten, Outcome
from pipeline.records.questions import (
    DUPLICATE_ROW,
    ImageRef,
    Question,
    QuestionKey,
    SourceImage,
    SourceRow,
    line_id,
    root_id,
)
from pipeline.records.trajectories import Tokens, Trajectory, TrajectoryKey, Turn
from pipeline.records.words import (
    IMAGE_MARK,
    Action,
    AnswerType,
    Arm,
    Category,
    CellStatus,
    Finish,
    Lane,
    Metric,
    Mode,
    Purpose,
    Route,
    Scaling,
    TurnStatus,
    Verdict,
)

__all__ = [
    "DUPLICATE_ROW",
    "IMAGE_MARK",
    "Action",
    "AnswerConflict",
    "AnswerType",
    "Arm",
    "ArmCount",
    "AttemptFact",
    "BenchmarkHit",
    "Category",
    "CellStatus",
    "Cluster",
    "Decision",
    "DroppedHit",
    "ExportWritten",
    "Finish",
    "GateCount",
    "GradeResult",
    "ImageFacts",
    "ImageRef",
    "Int32",
    "JudgeVotes",
    "Lane",
    "Metric",
    "Mode",
    "NearText",
    "ObservationFacts",
    "Outcome",
    "Purpose",
    "Question",
    "QuestionKey",
    "Record",
    "ReplayResult",
    "Route",
    "Scaling",
    "SolutionKey",
    "SourceImage",
    "SourceRow",
    "Suspicion",
    "TemplateFacts",
    "Tokens",
    "Trajectory",
    "TrajectoryKey",
    "Turn",
    "TurnStatus",
    "UInt64",
    "Verdict",
    "line_id",
    "root_id",
]
