"""The teacher: it locates, crops at full resolution, looks again, measures, and checks what a page is about."""

from __future__ import annotations

from pipeline.models.reader import careful_lookup, careful_measuring, careful_reading
from pipeline.models.reader.plain import answer_at_once
from pipeline.models.reader.scene import Said, Scene


def decide(scene: Scene) -> Said:
    """Return the next message."""
    transcript = scene.transcript
    if not transcript.tools or not transcript.images:
        return answer_at_once(scene)
    match transcript.ask.family:
        case "map_label" | "table_elevation" | "table_icao":
            return careful_reading.read_one(scene)
        case "chart_difference" | "chart_sum":
            return careful_reading.read_two(scene)
        case "region_ratio":
            return careful_measuring.compare_areas(scene)
        case "dot_count":
            return careful_measuring.count_dots(scene)
        case "element_fact":
            return careful_lookup.look_up_tile(scene)
        case "outline_fact":
            return careful_lookup.look_up_outline(scene)
        case _:
            return answer_at_once(scene)
