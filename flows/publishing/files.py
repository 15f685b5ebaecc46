"""The files that stand beside the exports of a run and make a repository of them."""

from __future__ import annotations

from collections.abc import Mapping

from flows.publishing.card import picture_path, render
from flows.publishing.croissant import croissant
from flows.publishing.example import Example, example_of
from flows.publishing.facts import CardFacts
from flows.publishing.head import LICENCES
from flows.publishing.making import prompt_page, prompt_path
from flows.publishing.terms import licences_page
from pipeline.export.layout import CARD

CROISSANT = "croissant.json"


def card_files(facts: CardFacts) -> Mapping[str, bytes]:
    """Return every file of the card, by its path from the root of the repository; equal runs give equal bytes."""
    examples: dict[str, Example] = {
        config.shard: example_of(config) for config in facts.configs if config.licence is None
    }
    files = {
        CARD: render(facts, examples).encode(),
        LICENCES: licences_page(facts).encode(),
        CROISSANT: croissant(facts),
    }
    for prompt in facts.prompts:
        files[prompt_path(prompt.role)] = prompt_page(*prompt).encode()
    for shard, example in examples.items():
        for number, picture in enumerate(example.pictures, start=1):
            files[picture_path(shard, number)] = picture
    return files
