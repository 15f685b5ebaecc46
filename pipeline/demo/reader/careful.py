"""The teacher: what is clear as shown it answers; else it crops, looks again, measures, and checks what a page says."""

from __future__ import annotations

from pipeline.demo.reader import careful_lookup, careful_measuring, careful_reading
from pipeline.demo.reader.careful_looking import answer_if_sure, look
from pipeline.demo.reader.guessing import answer_unseen
from pipeline.demo.reader.plain import answer_at_once
from pipeline.demo.reader.scene import Said, Scene


def decide(scene: Scene) -> Said:
    """Return the next message."""
    transcript = scene.transcript
    if not transcript.images:
        return answer_unseen(scene, by_code=True)
    if not transcript.tools:
        return look(scene)
    return answer_if_sure(scene) or _work(scene)


def _work(scene: Scene) -> Said:
    transcript = scene.transcript
    match transcript.ask.family:
        case "map_label" | "table_elevation" | "table_icao" | "table_city":
            return careful_reading.read_one(scene)
        case "chart_difference" | "chart_sum":
            return careful_reading.read_two(scene)
        case "region_ratio":
            return careful_measuring.compare_areas(scene)
        case "dot_count":
            return careful_measuring.count_dots(scene)
        case "element_fact" if transcript.search:
            return careful_lookup.look_up_tile(scene)
        case "outline_fact" if transcript.search:
            return careful_lookup.look_up_outline(scene)
        case _:
            return answer_at_once(scene)
