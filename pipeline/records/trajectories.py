"""Rollouts, turn by turn."""

from __future__ import annotations

from typing import ClassVar

from pipeline.identity import digest
from pipeline.records.base import Int32, Record
from pipeline.records.questions import ImageRef
from pipeline.records.words import Action, Arm, Category, Finish, Lane, Mode, Purpose, TurnStatus, Verdict


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

    SCHEMA: ClassVar[int] = 2


class Tokens(Record):
    """Tokens as the backend counted them over a whole rollout."""

    prompt: int
    completion: int


class Trajectory(Record):
    """A whole rollout; complete without its question. Gate rollouts are trajectories too."""

    id: str
    question_id: str
    purpose: Purpose
    arm: Arm
    mode: Mode
    sample: Int32
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
    detail: str = ""
    """What the model's server said where it ended the rollout as too long (`length`) or as filtered (`refused`)."""

    parent: str = ""
    """The trajectory that a person corrected to this one, by an `Edit`; empty where nobody did. What was executed, and
    what came back, is the parent's."""

    SCHEMA: ClassVar[int] = 4

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
    sample: Int32
    lane: Lane
    skeleton: str
    """Digest of the tool sequence and of the shape of each cell's code: equal for trajectories that do the same."""
    loss_tokens: int
    """Tokens of its assistant messages: what a trainer learns of it."""
    row_tokens: int
    """Tokens of its whole row under the export's prompt, pictures at the trainer's budget: at most the cutoff."""

    SCHEMA: ClassVar[int] = 3
