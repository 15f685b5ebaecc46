"""Whether a model writes what the protocol asks for: an arm of which most is malformed stops its stage.

That is mostly a chat template, a prompt set or a dialect that does not fit the model, and says nothing of questions.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from filters.gates.counts import kind
from pipeline.errors import LimitError
from pipeline.records import Trajectory

FIRST = 200
"""Rollouts of an arm that tell: a share of a half is known to 7 points (95 %)."""
QUOTED = 300
"""Characters of a malformed message that are shown."""


class MalformedError(LimitError):
    """A model writes malformed messages in an arm more often than the recipe allows it to."""


@dataclass
class Formed:
    """How many of the first rollouts of each arm are malformed; those of the store count as well."""

    most: float = 1.0
    """Share of them that may be (`gate.max_malformed`)."""
    k: int = 8
    """Rollouts of the main arm; further ones are asked where these failed, and are no fair sample."""
    asked: Counter[str] = field(default_factory=Counter)
    """By arm, up to `FIRST`."""
    malformed: Counter[str] = field(default_factory=Counter)

    def count(self, rollout: Trajectory, role: str) -> None:
        """Count a gate's rollout by a role of the recipe.

        Raises:
            MalformedError: too many of its arm's first `FIRST` rollouts are malformed.
        """
        stage = "gate2" if rollout.mode == "tools" or rollout.arm == "fresh" else "gate1"
        arm = f"{stage}, arm {rollout.arm}"
        if self.asked[arm] == FIRST or (rollout.arm == "main" and rollout.sample >= self.k):
            return
        self.asked[arm] += 1
        malformed = kind(rollout) == "malformed"
        self.malformed[arm] += malformed
        # Rollouts that end while the stage is being stopped are counted, too; a good one is none to quote.
        if malformed and self.malformed[arm] > self.most * FIRST:
            raise MalformedError(
                f"{arm}: {self.malformed[arm]} of the first {self.asked[arm]} rollouts of models.{role} are malformed "
                f"({_reason(rollout)}), such as {_quoted(rollout)}. That is mostly a chat template, prompts or a "
                "dialect that do not fit the model. Nothing of the stage counts as done, but answers are stored: mend "
                f"it, and ask again under another revision (models.{role}.model: …@2). If the model truly writes so, "
                f"raise gate.max_malformed ({self.most:g})"
            )


def _reason(rollout: Trajectory) -> str:
    return ", ".join(rollout.turns[-1].labels)


def _quoted(rollout: Trajectory) -> str:
    text = rollout.turns[-1].raw_text
    return repr(text if len(text) <= QUOTED else f"{text[:QUOTED]}…")
