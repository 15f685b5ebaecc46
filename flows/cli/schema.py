"""`coldforge schema`: the shapes of recipes and records."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.console import print_json

if TYPE_CHECKING:
    from pipeline.identity import Json


def schema(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="`recipe`, `ledger`, or a record such as Question.")
    ] = None,
) -> None:
    """Print the JSON Schema of recipes and the Arrow schemas of records, all or the one called NAME, as JSON.

    `ledger` prints the page of its tables and columns, as Markdown.
    """
    from pipeline.errors import UsageError

    if name is not None and name.lower() == "ledger":
        from flows.ledger.page import ledger_page

        sys.stdout.write(ledger_page())
        return
    shapes = _schemas()
    if name is None:
        print_json(shapes)
        return
    found = {known.lower(): shape for known, shape in shapes.items()}.get(name.lower())
    if found is None:
        raise UsageError(f"schema {name} is not known; known: ledger, {', '.join(shapes)}")
    print_json(found)


def _schemas() -> dict[str, Json]:
    from flows.recipe.recipe import Recipe
    from pipeline import records

    # The defaults of a recipe hold paths and tuples; pydantic writes them as JSON.
    shapes: dict[str, Json] = {"recipe": Recipe.model_json_schema()}
    known = (getattr(records, name) for name in sorted(records.__all__))
    for kind in known:
        if not (isinstance(kind, type) and issubclass(kind, records.Record)) or kind is records.Record:
            continue
        fields: list[Json] = [
            {"name": field.name, "type": str(field.type), "nullable": field.nullable} for field in kind.ARROW
        ]
        shapes[kind.__name__] = {"schema": kind.SCHEMA, "arrow": fields}
    return shapes
