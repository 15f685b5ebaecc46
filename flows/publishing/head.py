"""The front matter of the card: what the hub and `datasets` read."""

from __future__ import annotations

from typing import Any

import yaml

from flows.publishing.exports import CONFIGURED
from flows.publishing.facts import CardFacts
from flows.publishing.licences import OTHER, licence, of_all
from pipeline.export.configurations import configurations

LICENCES = "LICENSE.md"
"""The file that the hub is pointed to where it has no word for the licence, or rows have several."""
# The hub's own size classes: the bounds of each are powers of ten.
_SIZES = ("1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T")


def front_matter(facts: CardFacts) -> str:
    """Return the YAML between the lines `---`."""
    hub = of_all(facts.licences)
    languages = sorted(language for language in facts.languages if language is not None)
    head: dict[str, Any] = {"pretty_name": facts.title, "license": hub}
    if hub == OTHER:
        head |= {"license_name": _name(facts), "license_link": LICENCES}
    head |= {"language": languages} if languages else {}
    head |= {
        "task_categories": task_categories(facts),
        "tags": tags(facts),
        "size_categories": [size_category(sum(facts.rows.values()))],
        "configs": _configs(facts),
    }
    return yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=1_000)


def _configs(facts: CardFacts) -> list[dict[str, Any]]:
    """Return the configurations of both shards as exports name them; of a repository only the first is the default."""
    plain = (e for e in facts.exports if e.manifest.format == CONFIGURED)
    listed = [
        config
        for export in plain
        for config in configurations(export.manifest.shard, [f.path for f in export.manifest.data], f"{export.name}/")
    ]
    return [
        {name: said for name, said in config.items() if name != "default" or number == 0}
        for number, config in enumerate(listed)
    ]


def size_category(rows: int) -> str:
    """Return the hub's class of a number of rows."""
    for power, name in enumerate(_SIZES, start=3):
        if rows < 10**power:
            return f"n<{name}" if power == 3 else f"{_SIZES[power - 4]}<n<{name}"  # noqa: PLR2004 - the first of them
    return f"n>{_SIZES[-1]}"


def task_categories(facts: CardFacts) -> list[str]:
    """Return the hub's words for what the rows are for."""
    visual = ["image-text-to-text", "visual-question-answering"] if facts.pictured else ["text-generation"]
    return [*visual, *(["reinforcement-learning"] if facts.rows.get("rl") else [])]


def tags(facts: CardFacts) -> list[str]:
    """Return words to find the set by."""
    shards = [{"sft": "sft", "rl": "rl"}[shard] for shard in facts.rows]
    called = sorted({f"tool-{action.replace('_', '-')}" for action, _ in facts.tools})
    return ["agent", "tool-use", *called, *shards, "synthetic", "coldforge"]


def _name(facts: CardFacts) -> str:
    if len(facts.licences) > 1:
        return "several"
    (said,) = facts.licences
    known = licence(said)
    return "-".join((known.said if known is not None else said).lower().split())
