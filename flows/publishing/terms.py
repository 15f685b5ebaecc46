"""The part of the card that says what the rows are made of, and under which terms."""

from __future__ import annotations

from flows.publishing.facts import CardFacts
from flows.publishing.licences import licence
from flows.publishing.markdown import code, table, text


def licences_page(facts: CardFacts) -> str:
    """Return the page that the hub is pointed to: which rows are under which licence."""
    said = "Rows are under the licence of the data that they were made of. The column `licence` names it for each.\n\n"
    return f"# Licences of {text(facts.name)}\n\n{said}{licences(facts)}\n\n{attributions(facts)}\n"


def sources(facts: CardFacts) -> str:
    """Return from where the rows are, under which licences, and what is said of models that made them."""
    lines = [
        (
            code(name),
            _revision(facts, name),
            text(terms.source_url),
            text(", ".join(_row_licences(facts, name)) or terms.licence),
            text(terms.licence_images),
            _passed_on(terms.redistributable),
        )
        for name, terms in sorted(facts.sources.items())
    ]
    header = ("source", "revision", "from", "licence", "licence of pictures", "pictures may be passed on")
    said = [table(header, lines)]
    if facts.corpus is not None:
        said.append(
            f"Pictures that searches found come from {code(facts.corpus)}, under the terms of where each was found."
        )
    return "\n\n".join(
        [*said, "By the licence that each row names:", licences(facts), attributions(facts), _teachers(facts)]
    )


def _revision(facts: CardFacts, name: str) -> str:
    revision = facts.revisions.get(name, "")
    return code(revision if len(revision) <= 16 else f"{revision[:16]}…") if revision else ""  # noqa: PLR2004 - a column's width


def _row_licences(facts: CardFacts, name: str) -> list[str]:
    """Return what the rows of a source are under: each may name another licence than its source does."""
    return sorted(said for said, names in facts.licence_sources.items() if name in names)


def _passed_on(said: bool | None) -> str:
    return {True: "yes", False: "no", None: "nobody has said"}[said]


def licences(facts: CardFacts) -> str:
    """Return how many rows are under which licence."""
    shards = [shard for shard in ("sft", "rl") if facts.rows.get(shard)]
    lines: list[tuple[str | int, ...]] = []
    for said, rows in sorted(facts.licences.items()):
        known = licence(said)
        link, hub = (f"<{known.link}>", f"`{known.hub}`") if known is not None else ("", "")
        lines.append((text(said), hub, *(rows.get(shard, 0) for shard in shards), link))
    return table(("licence", "on the hub", *(f"rows of `{shard}`" for shard in shards), "text"), lines)


def attributions(facts: CardFacts) -> str:
    """Return whom the sources ask to name."""
    lines = [
        f"- {code(name)}: {text(terms.attribution)}"
        for name, terms in sorted(facts.sources.items())
        if terms.attribution
    ]
    return (
        "To be named, as the licences ask:\n\n" + "\n".join(lines)
        if lines
        else "Nobody has said whom to name (`attribution` of the sources' manifests)."
    )


def _teachers(facts: CardFacts) -> str:
    stated = [
        f"- {code(name)}: {text(terms.teacher_terms)}"
        for name, terms in sorted(facts.sources.items())
        if terms.teacher_terms
    ]
    teachers = ", ".join(code(model.name) for model in facts.models if model.part == "teacher")
    said = [
        "**Terms of models.** "
        + (
            "Questions or answers of these sources were made with a model:\n\n" + "\n".join(stated)
            if stated
            else "No source says that a model made its questions or answers."
        )
    ]
    if teachers:
        said.append(
            f"Transcripts were written by {teachers}: what its licence or provider allows to be trained on its output "
            "applies to them."
        )
    return "\n\n".join(said)


def kept_out(facts: CardFacts) -> str:
    """Return which benchmarks no row is of, and how that was looked for."""
    if not facts.benchmarks:
        return "No benchmark was looked for: rows may be of any (`benchmarks` of the recipe)."
    lines = [(code(name), text(how)) for name, how in sorted(facts.benchmarks.items())]
    return "No row is of these benchmarks, as far as could be found.\n\n" + table(
        ("benchmark", "how it was looked for"), lines
    )
