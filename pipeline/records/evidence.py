"""What stages measure before anything is decided."""

from __future__ import annotations

from typing import ClassVar, Literal

from pipeline.records.base import Int32, Record, UInt64
from pipeline.records.words import (
    Action,
    Arm,
    Mode,
    PersonalField,
    PersonalKind,
    Scaling,
    StockDifference,
    StockRule,
    Verdict,
)


class GradeResult(Record):
    """Verdict of the deterministic grader; `rule` names the rule that decided."""

    SCHEMA: ClassVar[int] = 2

    verdict: Literal["right", "wrong", "undecided"]
    rule: str
    detail: str
    score: float | None = None
    """Of the benchmark whose metric a source names, as that benchmark defines it; None where there is none."""


class ImageFacts(Record):
    """What the screen measured on one image of a question."""

    KEY: ClassVar[tuple[str, ...]] = ("question_id", "sha256")

    question_id: str
    sha256: str
    width: Int32
    height: Int32
    phash: UInt64 | None
    """64-bit phash as an unsigned number; None when the image does not decode."""
    dhash: UInt64 | None
    hash_recipe: str
    """Names decoder and algorithm; hashes of different recipes are never compared."""
    contrast: Int32 | None
    """Widest range of a channel in levels of 0 to 255, after averaging blocks of 4 by 4 pixels; None when the image
    does not decode."""
    frames: Int32
    """Pictures in the source's file; the image is the first."""
    scaling: Scaling
    """How the values of the source's file became 8 bits."""
    error: str | None
    """Why the image cannot be used; None when it is intact and the student's processor takes it."""
    pixels: str | None = None
    """sha256 of mode, size and pixels as decoded: equal for two files that show exactly the same."""
    mirrored_phash: UInt64 | None = None
    """Of the mirror image."""
    mirrored_dhash: UInt64 | None = None

    SCHEMA: ClassVar[int] = 3


class PictureKey(Record):
    """What stages over the whole input read of a picture that was measured, once for all questions about it.

    The fields are those of `ImageFacts`.
    """

    KEY: ClassVar[tuple[str, ...]] = ("sha256",)

    sha256: str
    width: Int32
    height: Int32
    phash: UInt64
    dhash: UInt64
    hash_recipe: str
    pixels: str | None = None
    mirrored_phash: UInt64 | None = None
    mirrored_dhash: UInt64 | None = None


class Cluster(Record):
    """Which questions are one for training: the same image up to re-encoding, the same key, and answers that agree."""

    KEY: ClassVar[tuple[str, ...]] = ("question_id",)

    question_id: str
    cluster_id: str
    """Of (image star cluster, question key), whatever the answers: SFT and RL never share one."""
    representative: str
    """`question_id` of the question that is kept in its place; its own where it is kept, or contradicted."""
    pictures: str = ""
    """Names all pictures that are tied to its own by being one picture, or of one question; empty without any."""

    SCHEMA: ClassVar[int] = 2


class AnswerConflict(Record):
    """Two questions of one key over pixel-equal pictures whose stored answers do not agree: a person should look."""

    KEY: ClassVar[tuple[str, ...]] = ("question_id", "other")

    question_id: str
    other: str
    """`question_id` of the one it does not agree with."""
    verdict: Literal["contradicting", "undecided"]


class NearText(Record):
    """Two questions over one picture, or without any, that read nearly alike."""

    KEY: ClassVar[tuple[str, ...]] = ("question_id", "other")

    question_id: str
    """The one that would go."""
    other: str
    """`question_id` of the one that would stay."""
    share: float
    """Jaccard index of their n-grams of four characters."""
    answers: Literal["agree", "contradict", "undecided"]
    dropped: bool


class BenchmarkHit(Record):
    """What of a benchmark a question was found to be, and whether that stopped it."""

    KEY: ClassVar[tuple[str, ...]] = ("question_id",)

    question_id: str
    benchmark: str
    """Key of its manifest."""
    by: Literal["picture", "mirrored_picture", "text", "solution", "near_picture_and_text"]
    bits: Int32 | None
    """Of phash between its picture and the benchmark's; None where no picture was compared."""
    share: float | None
    """Of the text that is the benchmark's, None where texts were not compared."""
    stopped: bool
    """False: for a person to look at."""


class GateCount(Record):
    """Counts of one question's gate rollouts, each kind apart. Valid = right + wrong + unjudged."""

    KEY: ClassVar[tuple[str, ...]] = ("question_id",)

    question_id: str
    k: Int32
    plain_right: Int32
    plain_valid: Int32
    """The first k that answered, or fewer where there are fewer."""
    plain_malformed: Int32
    plain_limit: Int32
    """Cut by a limit."""
    plain_lost: Int32
    """Refused by the model or a filter."""
    plain_unknown: Int32
    """Answers that a judge left open."""
    tools_right: Int32
    """Right after a call whose observation could have carried the answer (`filters.informed`)."""
    tools_right_without_call: Int32
    """Right without one."""
    tools_bad_format: Int32
    """Malformed: not solved."""
    tools_limit: Int32
    """Well-formed, but ended by a limit of turns, tokens or time: not solved, and no answer to grade."""
    tools_lost: Int32
    """Refused, or of a sandbox that was not deterministic."""
    tools_unknown: Int32
    tools_valid: Int32
    saturated: bool
    """All k rollouts with tools were right: no gradient for a group-relative RL method. One that is malformed or
    ended by a limit earns another reward, so that there is one."""
    route: str | None
    censored: Int32
    """Of the first k plain rollouts, those never asked for, because the rejection was settled before them."""
    chance: float
    """Of guessing the answer without seeing anything; see `filters.answers.chance`."""
    guess_floor: Int32
    """The least number right of k that guessing does not explain."""
    by_floor: bool = False
    """Sent to the teachers by the guess floor alone: right with tools as often as `rl` asks, and luck explains it."""
    difficulty: float | None = None
    """Share wrong without tools; None where not all k were asked, or none was valid. What stands here and below follows
    from the counts above (`filters.gates.counts.derived`)."""
    plain_low: float | None = None
    """Ends of the interval of 95 % (Wilson) of the share right without tools; None where not all k were asked."""
    plain_high: float | None = None
    tools_low: float | None = None
    """The same of the share right after a call, of those that say whether tools solve it."""
    tools_high: float | None = None
    benefit: float | None = None
    """Share right with tools, call or no call, minus that of the fresh arm; None without one."""
    benefit_low: float | None = None
    """Ends of its interval of 95 % (Newcombe)."""
    benefit_high: float | None = None
    tools_right_uninformed: Int32 = 0
    """Of `tools_right_without_call`, those with calls, of which none showed anything of use."""

    SCHEMA: ClassVar[int] = 5

    @property
    def plain_asked(self) -> int:
        """Return how many plain rollouts were asked for."""
        return self.plain_valid + self.plain_malformed + self.plain_limit + self.plain_lost + self.plain_unknown

    @property
    def tools_decided(self) -> int:
        """Return how many rollouts with tools tell whether they solve it: malformed and cut ones have not."""
        return self.tools_valid + self.tools_bad_format + self.tools_limit


class ArmCount(Record):
    """Counts of one question's rollouts in an arm beside the main one. Valid = right + wrong."""

    KEY: ClassVar[tuple[str, ...]] = ("question_id", "arm", "max_pixels")

    question_id: str
    arm: Arm
    model: str
    max_pixels: Int32
    """Of the view; 0 where no image is shown."""
    asked: Int32
    right: Int32
    valid: Int32
    malformed: Int32
    low: float
    """Ends of the interval of 95 % (Wilson) of the share right."""
    high: float
    above: bool
    """So many are right that the question is no longer hard; of the arm `blind`: that it is answerable blind."""

    SCHEMA: ClassVar[int] = 2


class AttemptFact(Record):
    """What one rollout said: all that agreement between attempts is decided by."""

    KEY: ClassVar[tuple[str, ...]] = ("trajectory_id",)

    trajectory_id: str
    question_id: str
    model: str
    mode: Mode
    answer: str
    verdict: Verdict
    informed: bool
    """Before the answer a call showed what could have carried it (`filters.informed`)."""


class Suspicion(Record):
    """Several attempts agree on another answer than the stored one: a person should look before more is spent."""

    KEY: ClassVar[tuple[str, ...]] = ("question_id",)

    question_id: str
    answer: str
    """As one of the attempts wrote it."""
    agreeing: Int32
    """Attempts that gave it."""
    valid: Int32
    """Attempts that gave any answer that could be graded."""
    families: tuple[str, ...]
    """Model families of the agreeing attempts, sorted."""
    single_family: bool
    """One family alone agrees, which may be one blind spot."""
    contradicts: bool
    """The answer is another one. False: it may be the stored one in other words, and the question is not rejected."""
    reached: bool = False
    """Others come to the stored answer: it may be sound, and the question is not rejected."""

    SCHEMA: ClassVar[int] = 3

    @property
    def condemns(self) -> bool:
        """Return whether the question is given up: there is another answer, and nobody came to the stored one."""
        return self.contradicts and not self.reached


class JudgeVotes(Record):
    """What a judge model said about one record, vote by vote."""

    KEY: ClassVar[tuple[str, ...]] = ("record_id", "asked")

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


class TemplateFacts(Record):
    """How predictable a question's answer is from its wording alone."""

    KEY: ClassVar[tuple[str, ...]] = ("question_id",)

    question_id: str
    template: str
    """The question with its names and numbers taken out."""
    questions: Int32
    """With this template, in the whole input."""
    majority: str
    """The most frequent answer among them."""
    share: float
    """Of them with that answer."""
    is_majority: bool
    """Whether this question has it."""


class ObservationFacts(Record):
    """What was measured on one image that a Python cell gave back."""

    KEY: ClassVar[tuple[str, ...]] = ("trajectory_id", "turn", "image")

    trajectory_id: str
    turn: Int32
    image: Int32
    """Index among the images of the turn."""
    sha256: str
    blank: bool
    same_as_input: bool
    """Its pixels are those of an input image."""


class ReplayResult(Record):
    """Re-execution of one trajectory's cells in a fresh session on another zygote."""

    KEY: ClassVar[tuple[str, ...]] = ("trajectory_id",)

    trajectory_id: str
    verdict: Literal["identical", "soft", "nondeterministic", "failed"]
    cells: Int32
    detail: str


class StockEnv(Record):
    """Whether DeepEyesV2's own environment gives back what a kept trajectory says: all that exports tell of it."""

    KEY: ClassVar[tuple[str, ...]] = ("trajectory_id",)

    trajectory_id: str
    label: Literal["same", "differs"]
    by: Literal["rule", "execution"]
    """How the label was found: from what is recorded, or by executing the cells as that environment would."""
    reasons: tuple[StockDifference | StockRule, ...]
    """What came back otherwise, where cells were executed; then the rules that act on it. Empty of `same`."""
    cell: Int32 | None
    """The first executed cell that gives something else, from 0; None where none does, or none was executed."""

    SCHEMA: ClassVar[int] = 2


class SolutionKey(Record):
    """That a question brought a solution along, and which; the text is read where it is needed."""

    KEY: ClassVar[tuple[str, ...]] = ("question_id",)

    question_id: str
    meta: str
    """sha256 of `Question.meta`, which holds the solution: another one is new input."""


class DroppedHit(Record):
    """A hit of a search that a rollout was not shown, such as a page that holds the question."""

    KEY: ClassVar[tuple[str, ...]] = ("trajectory_id", "turn", "rank")

    trajectory_id: str
    question_id: str
    turn: Int32
    """Of the trajectory, from 0."""
    rank: Int32
    """Among what the provider found, from 0."""
    tool: Action
    url: str
    title: str
    snippet: str
    """Empty of a picture."""
    published: str | None
    """YYYY-MM-DD, where the hit tells its day."""
    reason: str
    """Of `filters.dedup.leaks`."""
    score: float | None


class PersonalData(Record):
    """How often one kind of personal data stands in one field of a record; never what was found."""

    KEY: ClassVar[tuple[str, ...]] = ("record_id", "field", "kind")

    record_id: str
    """A question or a trajectory."""
    question_id: str
    field: PersonalField
    kind: PersonalKind
    n: Int32
