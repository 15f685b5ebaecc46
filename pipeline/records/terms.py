"""The terms of a source: from where it is, and what may be done with what is made of it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Terms(BaseModel):
    """What cards and manifests say of a source, and what exports go by."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    licence: str
    """Of the annotations; a row may name another."""
    licence_images: str = ""
    source_url: str = ""
    teacher_terms: str = ""
    """Whose model made questions or answers, where its terms may restrict what is trained on them."""
    attribution: str = ""
    """Whom the licences ask to name."""
    redistributable: bool | None = None
    """Whether its pictures may be passed on; None: nobody has said. A row may say otherwise."""

    def __str__(self) -> str:
        """Return a sentence: from where, under which terms."""
        pictures = {
            True: "",
            False: "images may not be passed on",
            None: "nobody has said if images may be passed on",
        }
        parts = [self.source_url, f"licence {self.licence}"]
        parts += [f"images: {self.licence_images}" if self.licence_images else "", self.attribution]
        parts.append(f"made with a model: {self.teacher_terms}" if self.teacher_terms else "")
        return "; ".join(part for part in (*parts, pictures[self.redistributable]) if part)
