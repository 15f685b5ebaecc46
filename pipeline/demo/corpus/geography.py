"""Shapes of countries, states and counties, and plane projections of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from PIL import ImageDraw

from pipeline.demo.corpus.canvas import Point
from pipeline.demo.corpus.packages import BOKEH, data_file, query, read_json
from pipeline.demo.vocabulary import LAND, RULE

if TYPE_CHECKING:
    from shapely.geometry import MultiPolygon, Polygon

    Shape: TypeAlias = Polygon | MultiPolygon


class Country(NamedTuple):
    """A country of countryinfo that has an outline; facts are untested, see `facts`."""

    file: str
    name: str
    alpha2: str
    alpha3: str
    shape: Shape
    """Degrees, longitude first."""


class Area(NamedTuple):
    """A US state or county with its outline in degrees."""

    key: str
    """Postal code, or FIPS code of a county."""
    name: str
    shape: Shape


@cache
def countries() -> tuple[Country, ...]:
    """Return all countries of countryinfo with an outline, by file name."""
    return tuple(_countries())


def _countries() -> Iterator[Country]:
    from shapely.geometry import shape
    from shapely.validation import make_valid

    for path in sorted(data_file("countryinfo", "data").glob("*.json")):
        record = read_json("countryinfo", f"data/{path.name}")
        features = (record.get("geoJSON") or {}).get("features") or []
        if not features or "alpha3" not in record.get("ISO", {}):
            continue
        outline = _polygons(make_valid(shape(features[0]["geometry"])))
        iso = record["ISO"]
        yield Country(path.name, record["name"], iso["alpha2"], iso["alpha3"], outline)


def _polygons(shape: object) -> Shape:
    """Return the polygonal part of a repaired geometry; repair may leave stray lines."""
    from shapely import get_parts
    from shapely.geometry import MultiPolygon, Polygon
    from shapely.ops import unary_union

    if isinstance(shape, Polygon | MultiPolygon):
        return shape
    merged: Shape = unary_union([part for part in get_parts(shape) if part.geom_type.endswith("Polygon")])
    return merged


@cache
def areas(table: str) -> tuple[Area, ...]:
    """Return the areas of `us_states` or `us_counties` of bokeh-sampledata, in the order of their ids."""
    from shapely import from_wkb

    rows = query(BOKEH, "_data/geographic_boundaries.db", f"SELECT metadata, geometry FROM {table} ORDER BY id")  # noqa: S608 - a constant of ours
    return tuple(_area(row["metadata"], from_wkb(row["geometry"])) for row in rows)


def _area(metadata: str, shape: Shape) -> Area:
    import json

    facts = json.loads(metadata)
    name = facts.get("detailed_name") or facts["name"]
    return Area(facts.get("code") or facts["state_fips"] + facts["county_fips"], name, shape)


class Projection(NamedTuple):
    """Equirectangular: degrees to pixels, true to scale at one latitude."""

    west: float
    north: float
    across: float
    """Pixels per degree of longitude."""
    down: float
    """Pixels per degree of latitude."""

    def __call__(self, longitude: float, latitude: float) -> Point:
        """Return the place in pixels."""
        return (longitude - self.west) * self.across, (self.north - latitude) * self.down


def window(longitude: float, latitude: float, degrees: float, size: tuple[int, int]) -> Projection:
    """Return the projection of a map centred at a place, `degrees` of latitude high, on `size` pixels."""
    down = size[1] / degrees
    across = down * math.cos(math.radians(latitude))
    return Projection(longitude - size[0] / 2 / across, latitude + degrees / 2, across, down)


def draw_land(pen: ImageDraw.ImageDraw, project: Projection) -> None:
    """Draw all countries pale, with grey borders, wherever the projection puts them."""
    for country in countries():
        for part in parts(country.shape):
            points = [project(x, y) for x, y in part.exterior.coords]
            pen.polygon(points, fill=LAND)
            pen.line(points, fill=RULE, width=3)


def parts(shape: Shape) -> list[Polygon]:
    """Return the polygons of a shape."""
    from shapely import get_parts

    return list(get_parts(shape))
