"""What the programs of a trainer kit must know of the run whose data they train on: `kit.json` beside them.

Light: it is read in the processes of trainers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from pipeline.dialects import Dialect, DialectName, by_name
from pipeline.students.family import FamilyName, Policy, ViewRule

KIT_FACTS = "kit.json"


class KitFacts(BaseModel):
    """What is trained, on what, and how the rollouts of the run acted, so that those of training can act alike."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dialect: DialectName
    search: bool
    """Whether there is one, and models are told of it."""
    family: FamilyName
    max_pixels: int
    """Of every picture that the student is shown."""
    view: Policy
    seed: int
    """Of sandbox sessions."""
    sandbox: str
    """Identity of the sandbox that cells were executed in; another one may show other output."""
    max_turns: int
    """Assistant messages of an episode; a call in the last one is not carried out."""
    model: str
    """The student, as the recipe names it."""
    min_pixels: int
    """The fewest of a picture; its processor makes smaller ones larger."""
    cutoff_len: int
    """Tokens of a row at most."""
    files: dict[str, tuple[str, ...]]
    """Split → data files, relative to the export."""

    @classmethod
    def beside(cls, program: str) -> Self:
        """Read the facts that lie beside a program.

        Raises:
            OSError, ValueError: they are missing, or those of another version of coldforge.
        """
        return cls.model_validate_json(Path(program).with_name(KIT_FACTS).read_text(encoding="utf-8"))

    @property
    def grammar(self) -> Dialect:
        """Return how messages are written."""
        return by_name(self.dialect, search=self.search)

    @property
    def view_rule(self) -> ViewRule:
        """Return how pictures are resized before the student sees them."""
        return ViewRule(self.family, self.max_pixels, self.view)
