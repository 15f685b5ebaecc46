"""A run over many rows and few pictures, measured: `python -m tests.support.jobs.rows_job ROWS DIRECTORY [STAGE]`.

Prints one JSON object: CPU seconds per row and stage, and the most memory that the run and each of its processes held.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import yaml
from PIL import Image

from tests.support.command import COMMAND, ROOT

PICTURES = 10_000
SIDE = 64
MODEL = {"backend": "reader", "policy": "naive"}


def write_data(place: Path, rows: int) -> None:
    """Write a source: rows in random order over `PICTURES` pictures, every text another, one answer in ten another."""
    data, random = place / "data", Random(0)
    (data / "p").mkdir(parents=True, exist_ok=True)
    for number in range(min(PICTURES, rows)):
        # Squares of random colours: no two pictures look alike, and none is blank.
        small = Image.frombytes("RGB", (8, 8), Random(number).randbytes(8 * 8 * 3))
        small.resize((SIDE, SIDE), Image.Resampling.NEAREST).save(data / "p" / f"{number}.png")
    with (data / "rows.jsonl").open("w") as file:
        for number in range(rows):
            shown = random.randrange(PICTURES) % rows
            text = f"How many squares of shade {number % 997} stand left of place {number} in the picture?"
            asked = {"row": str(number), "category": "perception", "text": text, "images": [f"p/{shown}.png"]}
            file.write(json.dumps({**asked, "answers": [str(number % 89 + 7)], "answer_type": "number"}) + "\n")
    manifest = {"key": "many", "kind": "jsonl", "revision": "1", "path": "data", "licence": "CC0-1.0"}
    (place / "many.yaml").write_text(yaml.safe_dump(manifest))
    recipe = {
        "name": "many",
        "sources": [{"source": "many.yaml"}],
        "student": {"family": "qwen2_5_vl", "revision": "r1", "max_pixels": 262_144},
        "models": {"base": MODEL, "teachers": [MODEL]},
        "runtime": {"workers": 2},
    }
    (place / "recipe.yaml").write_text(yaml.safe_dump(recipe))


def _status(pid: str) -> tuple[str, int]:
    """Return the parent of a process, and the most that it has held, in MiB."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return fields["PPid"].strip(), int(fields.get("VmHWM", "0 kB").split()[0]) // 1024


def _held(pid: str) -> int:
    """Return what a process holds now, in MiB; of what several share each has a part."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) // 1024


def _tree(root: int) -> Iterator[tuple[str, int, int]]:
    found = {}
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError, KeyError):  # it ended meanwhile
            if entry.name.isdigit():
                found[entry.name] = _status(entry.name)
    for pid, (_, most) in found.items():
        above: str | None = pid
        while above is not None and above != str(root):
            above = found[above][0] if above in found else None
        if above is not None:
            with suppress(OSError):
                yield pid, _held(pid), most


class Watch:
    """Looks at a process and all it starts, twice a second."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.together, self.most = 0, dict[str, int]()
        self._process = process
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self) -> None:
        while self._process.poll() is None:
            held = 0
            for pid, now, most in _tree(self._process.pid):
                held += now
                self.most[pid] = max(self.most.get(pid, 0), most)
            self.together = max(self.together, held)
            time.sleep(0.5)

    def join(self) -> None:
        """Wait until the process has ended."""
        self._thread.join()


def run(place: Path, rows: int, until: str) -> dict[str, object]:
    """Run the recipe in `place` once and return what it took."""
    import resource

    out = place / "run"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [COMMAND, "run", place / "recipe.yaml", "--out", out, "--until", until]
    began = time.monotonic()
    process = subprocess.Popen([str(part) for part in command], cwd=ROOT, stdout=subprocess.DEVNULL)
    watch = Watch(process)
    watch.join()
    if process.returncode:
        raise SystemExit(f"the run ended with {process.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    stages = json.loads((out / "run.json").read_text())["invocations"][-1]["stages"]
    by_stage = {stage["stage"]: stage["cpu_seconds"] for stage in stages}
    return {
        "rows": rows,
        "wall_seconds": round(time.monotonic() - began, 1),
        "cpu_seconds": round(cpu, 1),
        "us_per_row": round(cpu / rows * 1e6),
        "stages": by_stage,
        "before_stages": round(cpu - sum(by_stage.values()), 1),
        "driver_mb": watch.most.get(str(process.pid), 0),
        "worker_mb": max((most for pid, most in watch.most.items() if pid != str(process.pid)), default=0),
        "together_mb": watch.together,
    }


if __name__ == "__main__":
    count, directory = int(sys.argv[1]), Path(sys.argv[2])
    write_data(directory, count)
    sys.stdout.write(json.dumps(run(directory, count, sys.argv[3] if len(sys.argv) > 3 else "dedup")) + "\n")
