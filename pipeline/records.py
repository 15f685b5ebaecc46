"""The records that flow between stages, and the Arrow schema of each.

Records are frozen. `id` is the sha256 of a record's identity fields (`Question.build` and
`Trajectory.make_id` say which). Free-form values are canonical JSON strings, so that no schema depends
on the data. No clock, host, retry count or package version is stored in a record: equal inputs give
equal bytes.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from pipeline.identity import canonical_json, digest

Category = Literal["perception", "reasoning", "search"]
AnswerType = Literal["text", "number", "choice", "list", "boolean", "date", "expression"]
Metric = Literal["vqa", "anls", "relaxed"]
"""A benchmark's own way to grade, where a source names it; see `filters.answers.metrics`."""
Verdict = Literal["right", "wrong", "unknown"]
Action = Literal["python", "image_search", "search", "answer", "none"]
CellStatus = Literal["ok", "exception", "timeout", "killed_memory", "killed_output", "died", "protocol_error"]
TurnStatus = CellStatus | Literal["bad_call"]
Purpose = Literal["gate", "synthesis"]
Mode = Literal["plain", "tools"]
Lane = Literal["tools", "no_call", "plain_cot", "long_cot"]
"""What an SFT row teaches: to call tools; not to call them where none is needed, under the same prompt; to reason over
a picture without tools; to reason at length over text."""
Arm = Literal["main", "fresh", "blind", "pixels", "stronger", "tools", "no_call", "plain_cot", "long_cot"]
"""What a rollout is for, within its purpose. Of a gate: `main` decides it; `fresh` asks survivors without tools once
more; `blind` shows no image; `pixels` shows another number of them; `stronger` asks another model. Of synthesis: the
lane."""
Route = Literal["next", "rl", "sft", "no_call", "plain_cot", "long_cot"]
"""`sft` is the way to the teachers of the lane `tools`; other lanes have routes of their own name."""
Finish = Literal["answer", "bad_call", "max_turns", "max_tokens", "max_time", "length", "refused", "nondeterministic"]


class Record(BaseModel):
    """Base of all records: frozen, closed, with one explicit Arrow schema and a schema version."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    SCHEMA: ClassVar[int] = 1
    """Version of the fields; stored in each row as the column `schema`."""
    ARROW: ClassVar[pa.Schema]

    def to_row(self) -> dict[str, Any]:
        """Return the row of Python values that `ARROW` describes."""
        return {"schema": self.SCHEMA, **self.model_dump()}

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Self:
        """Rebuild a record from `to_row` or from an Arrow row.

        Raises:
            ValueError: the row was written with another schema version, or its fields do not fit.
        """
        fields = dict(row)
        version = fields.pop("schema", None)
        if version != cls.SCHEMA:
            raise ValueError(f"{cls.__name__}: row has schema {version}, this version reads {cls.SCHEMA}; run again")
        return cls.model_validate(fields)

    def record_hash(self) -> str:
        """Return the sha256 of the whole record, fields outside `id` (such as answers) included."""
        return digest(self.to_row())


_STRING = pa.string()
_STRINGS = pa.list_(_STRING)
_IMAGE = pa.struct(
    [("sha256", _STRING), ("mime", _STRING), ("width", pa.int32()), ("height", pa.int32()), ("nbytes", pa.int64())]
)
_TURN = pa.struct(
    [
        ("think", _STRING),
        ("action", _STRING),
        ("arguments", _STRING),
        ("raw_text", _STRING),
        ("observation", _STRING),
        ("images", pa.list_(_IMAGE)),
        ("status", _STRING),
        ("loss", pa.bool_()),
        ("labels", _STRINGS),
    ]
)


def _schema(*fields: tuple[str, pa.DataType]) -> pa.Schema:
    return pa.schema([("schema", pa.int16()), *fields])


class ImageRef(Record):
    """An image in the content-addressed store; the bytes live only there."""

    sha256: str
    """Of the encoded bytes, not of the pixels."""
    mime: Literal["image/png", "image/jpeg", "image/webp"]
    width: int
    """Pixels, after EXIF orientation."""
    height: int
    nbytes: int

    ARROW: ClassVar[pa.Schema] = _schema(*((field.name, field.type) for field in _IMAGE))


class SourceRow(Record):
    """One row as a source adapter read it, before anything was checked."""

    id: str
    """`root_id(source, source_revision, source_row)`: the root of all records made from this row."""
    source: str
    source_revision: str
    source_row: str
    category: str
    payload: str
    """Canonical JSON of the row under coldforge's field names (see `pipeline/sources`)."""

    ARROW: ClassVar[pa.Schema] = _schema(
        *((name, _STRING) for name in ("id", "source", "source_revision", "source_row", "category", "payload"))
    )


def root_id(source: str, source_revision: str, source_row: str) -> str:
    """Return the identity of a source row; its leading bits choose the unit of every record made from it."""
    return digest({"source": source, "revision": source_revision, "row": source_row})


class Question(Record):
    """One question over zero or more images, with the answers that count as right."""

    id: str
    source: str
    source_revision: str
    source_row: str
    category: Category
    text: str
    images: tuple[ImageRef, ...]
    choices: tuple[str, ...]
    answers: tuple[str, ...]
    """Every spelling that is right; not part of `id`, so that a corrected answer keeps its question."""
    answer_type: AnswerType
    tolerance: float | None
    """Relative, as stated in the question (0.02 accepts 2 %); None asks for the exact value."""
    licence: str
    meta: str
    """Canonical JSON: derivation of the answer, and whatever a source wants to carry along."""

    ARROW: ClassVar[pa.Schema] = _schema(
        ("id", _STRING),
        ("source", _STRING),
        ("source_revision", _STRING),
        ("source_row", _STRING),
        ("category", _STRING),
        ("text", _STRING),
        ("images", pa.list_(_IMAGE)),
        ("choices", _STRINGS),
        ("answers", _STRINGS),
        ("answer_type", _STRING),
        ("tolerance", pa.float64()),
        ("licence", _STRING),
        ("meta", _STRING),
    )

    @classmethod
    def build(
        cls,
        *,
        source: str,
        source_revision: str,
        source_row: str,
        category: Category,
        text: str,
        images: tuple[ImageRef, ...],
        choices: tuple[str, ...] = (),
        answers: tuple[str, ...],
        answer_type: AnswerType,
        tolerance: float | None = None,
        licence: str,
        meta: object = None,
    ) -> Question:
        """Make a question; `id` covers source, revision, row key, text, choices and image hashes."""
        identity = {
            "source": source,
            "revision": source_revision,
            "row": source_row,
            "text": text,
            "choices": choices,
            "images": [image.sha256 for image in images],
        }
        return cls(
            id=digest(identity),
            source=source,
            source_revision=source_revision,
            source_row=source_row,
            category=category,
            text=text,
            images=images,
            choices=choices,
            answers=answers,
            answer_type=answer_type,
            tolerance=tolerance,
            licence=licence,
            meta=canonical_json(meta if meta is not None else {}),
        )

    @property
    def root_id(self) -> str:
        """Identity of the source row this question came from."""
        return root_id(self.source, self.source_revision, self.source_row)


class QuestionKey(Record):
    """The columns of a question that stages over the whole input read."""

    id: str
    source: str
    category: Category
    text: str
    images: tuple[str, ...]
    """sha256 of each image."""
    answers: tuple[str, ...]
    """What they say: the text of an option where the question stores its letter."""
    answer_type: AnswerType

    SCHEMA: ClassVar[int] = 2
    ARROW: ClassVar[pa.Schema] = _schema(
        ("id", _STRING),
        ("source", _STRING),
        ("category", _STRING),
        ("text", _STRING),
        ("images", _STRINGS),
        ("answers", _STRINGS),
        ("answer_type", _STRING),
    )


class Turn(Record):
    """One assistant message and what came back."""

    think: str
    action: Action
    """`none` when the message was not a valid turn; `raw_text` then says what it was."""
    arguments: str
    """Canonical JSON: `{"code": …}`, `{"query": …}`, `{"answer": …}` or `{}`."""
    raw_text: str
    """The message as the model wrote it, for audit; exports are rendered from the fields."""
    observation: str | None
    """What the model was shown next, control tokens defused; None after an answer."""
    images: tuple[ImageRef, ...]
    """Images of the observation, at the size the tool made them."""
    status: TurnStatus
    loss: bool
    """Whether a trainer should learn this turn."""
    labels: tuple[str, ...]

    ARROW: ClassVar[pa.Schema] = _schema(*((field.name, field.type) for field in _TURN))


class Tokens(Record):
    """Tokens as the backend counted them over a whole rollout."""

    prompt: int
    completion: int

    ARROW: ClassVar[pa.Schema] = _schema(("prompt", pa.int64()), ("completion", pa.int64()))


class Trajectory(Record):
    """A whole rollout; complete without its question. Gate rollouts are trajectories too."""

    id: str
    question_id: str
    purpose: Purpose
    arm: Arm
    mode: Mode
    sample: int
    """Index of the attempt; the model's seed is `seed + sample`."""
    model: str
    """Backend kind and model revision, never a URL or served name."""
    dialect: str
    prompts: str
    """Canonical JSON: role → sha256 of the prompt text the rollout ran under."""
    view: str
    """Canonical JSON: the resize rule, its budget in pixels, and `seen`, the sizes in order of appearance."""
    seed: int
    system: str
    user: str
    """The user turn with one `<image>` per image of `images`."""
    images: tuple[ImageRef, ...]
    turns: tuple[Turn, ...]
    answer: str | None
    verdict: Verdict
    finish: Finish
    tokens: Tokens
    sandbox: str
    """Hash of guest environment and policy; empty when no cell could run (plain mode)."""

    SCHEMA: ClassVar[int] = 2
    ARROW: ClassVar[pa.Schema] = _schema(
        ("id", _STRING),
        ("question_id", _STRING),
        ("purpose", _STRING),
        ("arm", _STRING),
        ("mode", _STRING),
        ("sample", pa.int32()),
        ("model", _STRING),
        ("dialect", _STRING),
        ("prompts", _STRING),
        ("view", _STRING),
        ("seed", pa.int64()),
        ("system", _STRING),
        ("user", _STRING),
        ("images", pa.list_(_IMAGE)),
        ("turns", pa.list_(_TURN)),
        ("answer", _STRING),
        ("verdict", _STRING),
        ("finish", _STRING),
        ("tokens", pa.struct([("prompt", pa.int64()), ("completion", pa.int64())])),
        ("sandbox", _STRING),
    )

    @staticmethod
    def make_id(
        *,
        question_id: str,
        purpose: Purpose,
        arm: Arm,
        mode: Mode,
        sample: int,
        model: str,
        sampling: str,
        prompts: str,
        view: str,
        seed: int,
    ) -> str:
        """Return the id: which attempt it is, not what came out of it (the outcome may not fork identity).

        `sampling` is canonical JSON of how the model was sampled: two teachers may differ in it alone.
        """
        return digest(
            {
                "question": question_id,
                "purpose": purpose,
                "arm": arm,
                "mode": mode,
                "sample": sample,
                "model": model,
                "sampling": sampling,
                "prompts": prompts,
                "view": view,
                "seed": seed,
            }
        )


class TrajectoryKey(Record):
    """The columns of a valid trajectory that selection reads."""

    id: str
    question_id: str
    source: str
    category: Category
    sample: int
    lane: Lane
    skeleton: str
    """Digest of the tool sequence and of the shape of each cell's code: equal for trajectories that do the same."""
    loss_tokens: int
    """Tokens of its assistant messages: what a trainer learns of it."""

    SCHEMA: ClassVar[int] = 2
    ARROW: ClassVar[pa.Schema] = _schema(
        ("id", _STRING),
        ("question_id", _STRING),
        ("source", _STRING),
        ("category", _STRING),
        ("sample", pa.int32()),
        ("lane", _STRING),
        ("skeleton", _STRING),
        ("loss_tokens", pa.int64()),
    )


class GradeResult(Record):
    """Verdict of the deterministic grader; `rule` names the rule that decided."""

    verdict: Literal["right", "wrong", "undecided"]
    rule: str
    detail: str

    ARROW: ClassVar[pa.Schema] = _schema(("verdict", _STRING), ("rule", _STRING), ("detail", _STRING))


class ImageFacts(Record):
    """What the screen measured on one image of a question."""

    question_id: str
    sha256: str
    width: int
    height: int
    phash: int | None
    """64-bit phash as an unsigned number; None when the image does not decode."""
    dhash: int | None
    hash_recipe: str
    """Names decoder and algorithm; hashes of different recipes are never compared."""
    error: str | None
    """Why the image cannot be used; None when it is intact."""

    ARROW: ClassVar[pa.Schema] = _schema(
        ("question_id", _STRING),
        ("sha256", _STRING),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("phash", pa.uint64()),
        ("dhash", pa.uint64()),
        ("hash_recipe", _STRING),
        ("error", _STRING),
    )


class Cluster(Record):
    """Which questions are one for training: the same image up to re-encoding, and the same normalised question."""

    question_id: str
    cluster_id: str
    """Of (image star cluster, normalised question); equal for all members. SFT and RL never share one."""
    representative: str
    """`question_id` of the member that is kept."""

    ARROW: ClassVar[pa.Schema] = _schema(("question_id", _STRING), ("cluster_id", _STRING), ("representative", _STRING))


class GateCount(Record):
    """Counts of one question's gate rollouts. Valid = right + wrong; all else is counted apart."""

    question_id: str
    k: int
    plain_right: int
    plain_valid: int
    tools_right: int
    """Right after at least one `ok` call with a non-empty observation."""
    tools_right_without_call: int
    tools_bad_format: int
    tools_limit: int
    """Well-formed, but ended by a limit of turns, tokens or time: not solved, and no answer to grade."""
    tools_valid: int
    saturated: bool
    """All k rollouts with tools were right: no gradient for a group-relative RL method. One that is malformed or
    ended by a limit earns another reward, so that there is one."""
    route: str | None
    censored: int
    """Plain rollouts that were never asked for, because the rejection was settled before them."""
    chance: float
    """Of guessing the answer without seeing anything; see `filters.answers.chance`."""

    SCHEMA: ClassVar[int] = 2
    ARROW: ClassVar[pa.Schema] = _schema(
        ("question_id", _STRING),
        *(
            (name, pa.int32())
            for name in (
                "k",
                "plain_right",
                "plain_valid",
                "tools_right",
                "tools_right_without_call",
                "tools_bad_format",
                "tools_limit",
                "tools_valid",
            )
        ),
        ("saturated", pa.bool_()),
        ("route", _STRING),
        ("censored", pa.int32()),
        ("chance", pa.float64()),
    )


class ArmCount(Record):
    """Counts of one question's rollouts in an arm beside the main one. Valid = right + wrong."""

    question_id: str
    arm: Arm
    model: str
    max_pixels: int
    """Of the view; 0 where no image is shown."""
    asked: int
    right: int
    valid: int
    malformed: int

    ARROW: ClassVar[pa.Schema] = _schema(
        ("question_id", _STRING),
        ("arm", _STRING),
        ("model", _STRING),
        *((name, pa.int32()) for name in ("max_pixels", "asked", "right", "valid", "malformed")),
    )


class AttemptFact(Record):
    """What one rollout said: all that agreement between attempts is decided by."""

    trajectory_id: str
    question_id: str
    model: str
    mode: Mode
    answer: str
    verdict: Verdict
    informed: bool
    """A call ran and showed something before the answer."""

    ARROW: ClassVar[pa.Schema] = _schema(
        ("trajectory_id", _STRING),
        ("question_id", _STRING),
        ("model", _STRING),
        ("mode", _STRING),
        ("answer", _STRING),
        ("verdict", _STRING),
        ("informed", pa.bool_()),
    )


class Suspicion(Record):
    """Several attempts agree on another answer than the stored one: a person should look before more is spent."""

    question_id: str
    answer: str
    """As one of the attempts wrote it."""
    agreeing: int
    """Attempts that gave it."""
    valid: int
    """Attempts that gave any answer that could be graded."""
    families: tuple[str, ...]
    """Model families of the agreeing attempts, sorted."""
    single_family: bool
    """One family alone agrees, which may be one blind spot."""

    ARROW: ClassVar[pa.Schema] = _schema(
        ("question_id", _STRING),
        ("answer", _STRING),
        ("agreeing", pa.int32()),
        ("valid", pa.int32()),
        ("families", _STRINGS),
        ("single_family", pa.bool_()),
    )


class JudgeVotes(Record):
    """What a judge model said about one record, vote by vote."""

    record_id: str
    """A trajectory's, whose answer is judged, or a question's."""
    question_id: str
    asked: Literal["answer", "question"]
    model: str
    prompt: str
    """sha256 of the text it was asked under."""
    votes: tuple[str, ...]
    """One verdict per vote, `unreadable_vote` where the message held none."""
    verdict: str
    """What the votes come to; `unsure` where no verdict has a majority."""

    ARROW: ClassVar[pa.Schema] = _schema(
        ("record_id", _STRING),
        ("question_id", _STRING),
        ("asked", _STRING),
        ("model", _STRING),
        ("prompt", _STRING),
        ("votes", _STRINGS),
        ("verdict", _STRING),
    )


class TemplateFacts(Record):
    """How predictable a question's answer is from its wording alone."""

    question_id: str
    template: str
    """The question with its names and numbers taken out."""
    questions: int
    """With this template, in the whole input."""
    majority: str
    """The most frequent answer among them."""
    share: float
    """Of them with that answer."""
    is_majority: bool
    """Whether this question has it."""

    ARROW: ClassVar[pa.Schema] = _schema(
        ("question_id", _STRING),
        ("template", _STRING),
        ("questions", pa.int32()),
        ("majority", _STRING),
        ("share", pa.float64()),
        ("is_majority", pa.bool_()),
    )


class ObservationFacts(Record):
    """What was measured on one image that a Python cell gave back."""

    trajectory_id: str
    turn: int
    image: int
    """Index among the images of the turn."""
    sha256: str
    blank: bool
    same_as_input: bool
    """Its pixels are those of an input image."""

    ARROW: ClassVar[pa.Schema] = _schema(
        ("trajectory_id", _STRING),
        ("turn", pa.int32()),
        ("image", pa.int32()),
        ("sha256", _STRING),
        ("blank", pa.bool_()),
        ("same_as_input", pa.bool_()),
    )


class ReplayResult(Record):
    """Re-execution of one trajectory's cells in a fresh session on another zygote."""

    trajectory_id: str
    verdict: Literal["identical", "soft", "nondeterministic", "failed"]
    cells: int
    detail: str

    ARROW: ClassVar[pa.Schema] = _schema(
        ("trajectory_id", _STRING), ("verdict", _STRING), ("cells", pa.int32()), ("detail", _STRING)
    )


class Decision(Record):
    """What one filter says about one record; `reason` is from the filter's closed set."""

    record_id: str
    filter: str
    version: int
    outcome: Literal["keep", "reject", "unknown"]
    reason: str
    score: float | None

    ARROW: ClassVar[pa.Schema] = _schema(
        ("record_id", _STRING),
        ("filter", _STRING),
        ("version", pa.int32()),
        ("outcome", _STRING),
        ("reason", _STRING),
        ("score", pa.float64()),
    )


class Outcome(Record):
    """What a stage did with one input record. Exactly one per input record and stage."""

    stage: str
    unit: Literal["row", "question", "trajectory"]
    record_id: str
    question_id: str
    """The question (or, at ingest, the source row) that the record belongs to."""
    source: str
    category: str
    outcome: Literal["kept", "rejected", "quarantined"]
    route: Route | None
    """Where a kept record goes; None when it was not kept."""
    reason: str
    """Empty when kept; a stable code otherwise."""
    detail: str
    payload: str
    """The whole record as canonical JSON when quarantined; empty otherwise."""
    score: float | None

    ARROW: ClassVar[pa.Schema] = _schema(
        ("stage", _STRING),
        ("unit", _STRING),
        ("record_id", _STRING),
        ("question_id", _STRING),
        ("source", _STRING),
        ("category", _STRING),
        ("outcome", _STRING),
        ("route", _STRING),
        ("reason", _STRING),
        ("detail", _STRING),
        ("payload", _STRING),
        ("score", pa.float64()),
    )


class SourceImage(Record):
    """An image file that a source row names, as it was found: the row says only where it is."""

    source: str
    path: str
    """As the row writes it."""
    sha256: str | None
    """None where there is no such file inside the source."""

    ARROW: ClassVar[pa.Schema] = _schema(*((name, _STRING) for name in ("source", "path", "sha256")))
