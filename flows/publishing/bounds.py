"""The part of the card that says what the rows are not to be taken for: personal data, limits, biases, use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from flows.publishing.facts import CardFacts
from flows.publishing.making import NOT_MEASURED
from flows.publishing.markdown import code, table


def personal(facts: CardFacts) -> str:
    """Return what was looked for of people, and what was found."""
    found = table(("kind", "rows"), [(f"`{kind}`", n) for kind, n in sorted(facts.personal.items())])
    return "\n\n".join(
        [
            (
                "Questions, answers, thoughts, code and observations were looked through, by patterns and checksums, "
                "for e-mail addresses, phone numbers, IBAN, payment cards, national ids, precise coordinates and IP "
                "addresses. No text was changed."
            ),
            found if facts.personal else "None was found.",
            (
                "Names, street addresses and faces are not looked for. Pictures hold no metadata. Questions that ask "
                "who a picture shows are left out unless the recipe says otherwise (`rights.people`)."
            ),
        ]
    )


def limits(facts: CardFacts) -> str:
    """Return what is known to be wrong or uneven."""
    base = ", ".join(code(model.name) for model in facts.models if model.part == "base") or "the base model"
    said = [
        (
            f"**Hard for one model.** What counts as hard, and as helped by tools, is what {base} failed and solved at "
            f"{facts.student.max_pixels:,} pixels; for another model or size the gates would choose otherwise."
        ),
        "**Style of the teachers.** Thoughts and code are theirs; a right answer does not make every step right.",
        "**Rules read forms.** What a grader, or a look for repeats or personal data, cannot read, it does not find.",
        *_uneven(facts),
    ]
    return "\n".join(f"- {line}" for line in said)


def _uneven(facts: CardFacts) -> Iterator[str]:
    for shard, asked in facts.asked.items():
        (category, source), most = max(asked.categories.items(), key=lambda item: (item[1], item[0]))
        yield (
            f"**`{shard}` is not even.** The largest part is {category} of {code(source)}, {most:,} of "
            f"{facts.rows[shard]:,} rows; types of answers: {_counts(asked.answer_types)}."
        )
        if asked.told:
            yield (
                f"**Guessing in `{shard}`.** {asked.majority:,} of {asked.told:,} rows worded like others have the "
                "most frequent answer to that wording."
            )


def _counts(counted: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in sorted(counted.items(), key=lambda item: (-item[1], item[0])))


def unmeasured() -> str:
    """Return what nobody has measured yet."""
    measures = (
        ("support", "whether the observations of a row carry its answer"),
        ("necessity", "whether the answer is lost without the tools"),
        ("defect rate", "how many rows a person finds wrong"),
    )
    return table(("measure", "of", "result"), [(name, of, NOT_MEASURED) for name, of in measures])


def use(facts: CardFacts) -> str:
    """Return what the set is meant for, and what it is not."""
    meant = [
        ("sft", "supervised fine-tuning on `sft`: a cold start for a model that is to use tools;"),
        ("rl", "reinforcement learning on `rl`, in an environment that executes its calls;"),
    ]
    lines = [line for shard, line in meant if facts.rows.get(shard)]
    lines.append("study of how such data come about: every number here can be asked of the run's ledger.")
    return "\n\n".join(
        [
            "Meant for",
            "\n".join(f"- {line}" for line in lines),
            (
                "Not meant for evaluation, for finding out who somebody is, or for any use that a licence above rules "
                "out. Whoever finds a row that should go, or a picture that is theirs, tells the owner of this "
                "repository: it leaves the next release."
            ),
        ]
    )
