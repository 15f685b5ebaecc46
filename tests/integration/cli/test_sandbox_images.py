"""`coldforge sandbox run --image` shows cells what they would see in a run."""

from __future__ import annotations

import json
from pathlib import Path

from pipeline.images import decode, pixel_hash
from tests.support.command import coldforge
from tests.support.pictures import samples

CELL = """
import hashlib
header = f"RGB {image_1.width} {image_1.height}\\n".encode()
print(hashlib.sha256(header + image_1.tobytes()).hexdigest())
"""


def test_a_picture_of_16_bits_is_shown_to_cells_as_to_models(tmp_path: Path) -> None:
    content = samples()["png I;16"].content
    (tmp_path / "deep.png").write_bytes(content)
    (tmp_path / "cells.py").write_text(CELL)
    told = coldforge("sandbox", "run", tmp_path / "cells.py", "--image", tmp_path / "deep.png", "--json")
    assert json.loads(told.stdout)["stdout"].strip() == pixel_hash(decode(content))


def test_what_is_no_picture_is_refused_with_its_file_and_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "page.jpg").write_text("<html><body>404</body></html>")
    (tmp_path / "cells.py").write_text(CELL)
    told = coldforge("sandbox", "run", tmp_path / "cells.py", "--image", tmp_path / "page.jpg", code=2)
    assert "page.jpg" in told.stderr
    assert "HTML page" in told.stderr
