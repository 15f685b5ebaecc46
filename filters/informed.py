"""Which calls helped: those whose observation could have carried the answer.

Gate counts, wrong gold and validators go by this one function. A call that failed tells nothing; nor does one that
found nothing, that prints what the model wrote itself, sizes, types or versions, or that shows a picture as it was
given. Whether the answer *was* in the observation is another matter: it may follow from it in many ways.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from filters.carrying import Knows, Shown, cells_show
from filters.python import UnparsableCodeError
from filters.turns import CALLS, argument, output, showed_something
from pipeline.records import Turn

# A value that says what it is and not what it holds: `<PIL.Image.Image image mode=RGB size=8x8>`, `<Figure …>`, None.
_BARE = re.compile(r"None|<[A-Za-z_][\w.]*(?: [^<>]*)?>")
_ANYTHING = Shown(Knows.FINDING, Knows.FINDING)


def informed(turns: Sequence[Turn]) -> tuple[bool, ...]:
    """Return for each turn of a trajectory whether it is a call whose observation could have carried the answer.

    Cells are read in order, since a cell prints what an earlier one bound. Code that cannot be read is believed.
    """
    cells = [place for place, turn in enumerate(turns) if turn.action == "python"]
    shown = dict(zip(cells, _shown([turns[place] for place in cells]), strict=True))
    return tuple(_informs(turn, shown.get(place, _ANYTHING)) for place, turn in enumerate(turns))


def _informs(turn: Turn, shown: Shown) -> bool:
    if turn.action not in CALLS or turn.status != "ok" or not showed_something(turn):
        return False
    if turn.images and shown.pictures >= Knows.PICTURE:
        return True
    return shown.text >= Knows.PICTURE and any(not _BARE.fullmatch(line) for line in output(turn))


def _shown(cells: Sequence[Turn]) -> Sequence[Shown]:
    try:
        return cells_show([argument(cell) or "" for cell in cells])
    except (UnparsableCodeError, ValueError, RecursionError):
        return [_ANYTHING] * len(cells)
