"""What a cell gives back, and what a session keeps."""

from __future__ import annotations

import ast
import hashlib
import io
import select
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from pipeline.errors import InfrastructureError, RowError
from pipeline.images import MAX_PIXELS, decode
from pipeline.sandbox import CellResult, Limits, Policy, Pool, cgroup, guest, zygote_process
from pipeline.sandbox.inside import display
from pipeline.tools.python import normalise

LIMITS = Limits(cell_seconds=4.0, cell_cpu_seconds=3.0, grace_seconds=0.5)
INSIDE = sorted(path.stem for path in Path(zygote_process.__file__).with_name("inside").glob("*.py"))


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    guest.setup()
    with Pool(Policy(LIMITS), workers=1) as pool:
        yield pool


def run(pool: Pool, *codes: str, images: tuple[bytes, ...] = (), seed: int = 0) -> CellResult:
    """Run cells in one session and return the last one's outcome."""
    with pool.session(images, seed) as session:
        return [session.run(code) for code in codes][-1]


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_cells_share_their_state_and_failed_ones_keep_it(pool: Pool) -> None:
    result = run(pool, "x = 1\ndef f(): return x + 1", "x = 5\n1 / 0", "f()")
    assert (result.status, result.value) == ("ok", "6")


def test_sessions_share_nothing(pool: Pool) -> None:
    with pool.session() as first, pool.session() as second:
        first.run("x = 1\nfor d in ('/box', '/tmp', '/dev/shm'): open(d + '/left', 'w').close()")
        result = second.run("import os\n'x' in globals(), [os.listdir(d) for d in ('/box', '/tmp', '/dev/shm')]")
    assert result.value == "(False, [[], [], []])"
    assert run(pool, "import os\nos.listdir('/box')").value == "[]"


def test_a_cell_that_used_too_much_before_anybody_looked_is_not_ok() -> None:
    limits = Limits(cell_seconds=30.0, cell_cpu_seconds=0.02)  # a tenth of a second passes between two looks
    with Pool(Policy(limits), workers=1) as small, small.session() as session:
        result = session.run("import time\nx, t = 1, time.process_time\nend = t() + 0.05\nwhile t() < end: pass")
        assert (result.status, result.ended) == ("timeout", False)
        assert session.run("x").value == "1"


FORKS = """
import os, time
n = 0
try:
    while True:
        if os.fork() == 0:
            time.sleep(60)
        n += 1
except BlockingIOError:
    pass
n
"""


@pytest.mark.parametrize("grouped", [True, False], ids=["control-group", "limits-alone"])
def test_what_one_session_forks_takes_nothing_from_another(monkeypatch: pytest.MonkeyPatch, *, grouped: bool) -> None:
    if not grouped:
        monkeypatch.setattr(cgroup, "find", lambda: None)
    limits = Limits(cell_seconds=30.0, processes=16)
    with Pool(Policy(limits), workers=1) as small, small.session() as first, small.session() as second:
        counts = [int(session.run(FORKS).value or 0) for session in (first, second)]
    assert counts == [limits.processes - 1] * 2


def test_code_runs_byte_exact_and_errors_name_its_lines(pool: Pool) -> None:
    result = run(pool, "x = 1", "def f():\n    return {}['key']\n\nf()")
    assert result.status == "exception"
    assert result.error is not None
    assert (result.error.type, result.error.message) == ("KeyError", "'key'")
    assert result.error.traceback == (
        "Traceback (most recent call last):\n"
        '  File "<cell 2>", line 4, in <module>\n    f()\n'
        "  File \"<cell 2>\", line 2, in f\n    return {}['key']\n           ~~^^^^^^^\n"
        "KeyError: 'key'\n"
    )


def test_code_is_not_repaired(pool: Pool) -> None:
    indented, broken = run(pool, "  1").error, run(pool, "x = 1\nprint('a'").error
    assert indented is not None
    assert indented.traceback == '  File "<cell 1>", line 1\n    1\nIndentationError: unexpected indent\n'
    assert broken is not None
    assert broken.traceback.startswith('  File "<cell 1>", line 2\n    print(')


def test_a_traceback_shows_cells_and_at_most_one_frame_of_a_library(pool: Pool) -> None:
    result = run(pool, "import json\njson.loads('{')")
    assert result.error is not None
    assert result.error.traceback.count("File ") == 2
    assert "coldforge" not in result.error.traceback
    assert "/python" not in result.error.traceback


def test_stdout_and_stderr_are_taken_at_their_descriptors(pool: Pool) -> None:
    code = "import os, sys\nprint('a')\nos.system('echo b')\nos.write(2, b'c')\nprint('d', file=sys.stderr)"
    result = run(pool, code)
    assert (result.stdout, result.stderr, result.value) == ("a\nb\n", "cd\n", None)


def test_hostile_text_is_escaped(pool: Pool) -> None:
    result = run(pool, r"import os; os.write(1, b'\xff\x00\x1b[2J\r\xc3\xa9\n'); print('\ud800'); '\x1b\x9b'")
    assert result.stdout == "\ufffd\\x00\\x1b[2J\\x0dé\n\\ud800\n"
    assert result.value == r"'\x1b\x9b'"
    assert run(pool, "print('地図 🗺')").stdout == "地図 🗺\n"


def test_long_output_keeps_head_and_tail_and_says_what_is_missing(pool: Pool) -> None:
    result = run(pool, "for n in range(100_000): print(f'{n:07d}')")
    assert result.status == "ok"
    assert result.stdout.startswith("0000000\n0000001\n")
    assert result.stdout.endswith("0099999\n")
    assert f"\n... [{800_000 - 8 * 1024} bytes omitted] ...\n" in result.stdout
    assert result.notes == (f"{800_000 - 8 * 1024} bytes of stdout are left out.",)


def test_of_both_streams_together_at_most_16_kilobytes_are_kept(pool: Pool) -> None:
    result = run(pool, "import sys\nfor s in (sys.stdout, sys.stderr): s.write('x' * 100_000)\nNone")
    assert result.stdout.count("x") + result.stderr.count("x") == 16 * 1024


def test_a_long_value_is_cut(pool: Pool) -> None:
    result = run(pool, "'x' * 50_000_000")
    assert result.status == "ok"
    assert len(result.value or "") < 10_000
    assert "characters omitted" in (result.value or "")
    assert len(result.notes) == 1


def test_an_interrupted_cell_keeps_the_session(pool: Pool) -> None:
    with pool.session() as session:
        session.run("x = 7")
        slow = session.run("import time\nprint('begun')\nwhile True: time.sleep(0.01)")
        after = session.run("x")
    assert (slow.status, slow.stdout, slow.ended) == ("timeout", "begun\n", False)
    assert slow.error is not None
    assert "exceeded 4 seconds" in slow.error.message
    assert after.value == "7"


@pytest.mark.parametrize("code", ["raise ValueError", "while True: pass"], ids=["drawing", "running"])
def test_a_slow_figure_of_a_failed_cell_is_interrupted_like_the_cell(pool: Pool, code: str) -> None:
    slow = "import matplotlib.pyplot as plt, time\nplt.gca().figure.draw = lambda _: time.sleep(60)\nx = 8\n"
    with pool.session() as session:
        result = session.run(slow + code)
        after = session.run("x")
    assert (result.status, result.ended, result.images, len(result.notes)) == ("timeout", False, (), 1)
    assert (after.value, after.images) == ("8", ())


def test_a_cell_deaf_to_interrupts_is_killed_with_its_session(pool: Pool) -> None:
    with pool.session() as session:
        result = session.run("sum(range(10**12))")
        assert (result.status, result.ended) == ("died", True)
        with pytest.raises(InfrastructureError, match="ended"):
            session.run("1")


@pytest.mark.parametrize("groups", [True, False], ids=["control group where there is one", "watchdog"])
def test_memory_of_many_processes_together_is_limited(groups: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not groups:
        monkeypatch.setattr(cgroup, "find", lambda: None)
    limits = Limits(memory=400 << 20, data=350 << 20)
    code = """
import os, time
for n in range(3):
    if os.fork() == 0:
        x = b'1' * (200 << 20)
        time.sleep(30)
time.sleep(30)
"""
    with Pool(Policy(limits), workers=1) as pool:
        result = run(pool, code)
        assert (result.status, result.ended) == ("killed_memory", True)
        assert run(pool, "1").value == "1"


def test_memory_that_background_work_takes_between_cells_is_the_cells_doing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup, "find", lambda: None)
    code = "import os, time\nif os.fork() == 0:\n    time.sleep(0.5); x = b'1' * (200 << 20); time.sleep(60)\n1"
    with Pool(Policy(Limits(memory=150 << 20)), workers=1) as pool, pool.session() as session:
        assert session.run(code).value == "1"
        assert select.select([session._handles.process], [], [], 30)[0]
        result = session.run("2")
    assert (result.status, result.ended) == ("killed_memory", True)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_images_are_variables_and_files_with_the_original_bytes(pool: Pool, kind: str) -> None:
    first, second = Image.effect_noise((80, 50), 60).convert("RGB"), Image.new("RGB", (4, 6), "red")
    images = (encoded(first, kind), encoded(second, kind))
    sha = hashlib.sha256(images[0]).hexdigest()
    code = f"""
import hashlib
from PIL import Image
same = [hashlib.sha256(open(n, 'rb').read()).hexdigest() == {sha!r} for n in ('image_1', 'image_1.png', 'image_1.jpg')]
opened = Image.open('image_1.png').convert('RGB').tobytes() == image_1.tobytes()
same, opened, image_1.mode, image_1.size, image_2.size
"""
    assert run(pool, code, images=images).value == "([True, True, True], True, 'RGB', (80, 50), (4, 6))"


NAMES = ("image_1", "image_1.png", "image_1.jpg")


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_to_one_name_of_an_image_is_seen_by_no_other(pool: Pool, name: str) -> None:
    content = encoded(Image.effect_noise((80, 50), 60).convert("RGB"), "PNG")
    write = f"from PIL import Image\nImage.new('RGB', (10, 10)).save({name!r}, 'PNG')"
    look = f"image_1.size, [Image.open(name).size for name in {NAMES}]"
    with pool.session([content, content]) as session:
        assert session.run(write).status == "ok"
        sizes = [(10, 10) if other == name else (80, 50) for other in NAMES]
        assert session.run(look).value == repr(((80, 50), sizes))
        assert session.run("import os\nos.remove('image_1.png')\nimage_1.size").value == "(80, 50)"
        assert session.run("image_2.size, Image.open('image_2.png').size").value == "((80, 50), (80, 50))"


def test_images_too_large_for_three_copies_cannot_be_written_and_say_so() -> None:
    content = encoded(Image.effect_noise((900, 900), 99).convert("RGB"), "PNG")
    with Pool(Policy(Limits(disk=4 * len(content))), workers=1) as small, small.session([content]) as session:
        result = session.run("open('image_1.png', 'wb')")
        assert result.error is not None
        assert result.error.message == "[Errno 13] Permission denied: 'image_1.png'"
        assert session.run("from PIL import Image\nImage.open('image_1.jpg').size").value == "(900, 900)"


def test_both_sides_decode_pictures_up_to_one_bound() -> None:
    assert display.MAX_DECODED_PIXELS == MAX_PIXELS


# Orientation 6 beside a copyright that is a fraction: Pillow reads such a block and cannot write it.
ODD_EXIF = b"Exif\0\0MM\0*\0\0\0\x08\0\x02\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\x82\x98\0\x05\0\0\0\x01\0\0\0\x08" + bytes(
    4
)


@pytest.mark.parametrize("odd", [False, True])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_images_are_upright_and_equal_to_what_the_host_decodes(pool: Pool, kind: str, *, odd: bool) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    block = ODD_EXIF if odd else exif.tobytes()
    image = encoded(Image.effect_noise((80, 50), 60).convert("RGB"), kind, exif=block)
    code = "import hashlib\nimage_1.size, hashlib.sha256(image_1.tobytes()).hexdigest()"
    expected = decode(image)
    assert run(pool, code, images=(image,)).value == repr(((50, 80), hashlib.sha256(expected.tobytes()).hexdigest()))


def test_a_transparent_image_is_laid_on_white(pool: Pool) -> None:
    image = encoded(Image.new("RGBA", (2, 2), (255, 0, 0, 0)), "PNG")
    assert run(pool, "image_1.getpixel((0, 0))", images=(image,)).value == "(255, 255, 255)"


def test_a_broken_image_is_the_rows_fault(pool: Pool) -> None:
    with pytest.raises(RowError, match="image_undecodable"):
        run(pool, "1", images=(b"no image",))


PICTURES = {
    "last value": ("image_1.crop((0, 0, 30, 20))", [(30, 20)]),
    "show": ("image_1.show()\nNone", [(80, 50)]),
    "display": ("display(image_1, image_1.resize((8, 9)))", [(80, 50), (8, 9)]),
    "plt.show": (
        "import matplotlib.pyplot as plt\nplt.plot([1])\nplt.show()\nplt.plot([2])\nplt.show()",
        [(640, 480)] * 2,
    ),
    "open figure": ("import matplotlib.pyplot as plt\nplt.figure(figsize=(2, 1))\n_ = plt.plot([1])", [(200, 100)]),
    "figure value": ("import matplotlib.pyplot as plt\nf, a = plt.subplots(figsize=(2, 1))\nf", [(200, 100)]),
    "figure of the last cell": ("1", []),
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_come_back(pool: Pool, name: str) -> None:
    code, sizes = PICTURES[name]
    image = encoded(Image.effect_noise((80, 50), 60).convert("RGB"), "PNG")
    result = run(pool, "import matplotlib.pyplot as plt\nplt.plot([1, 2])", code, images=(image,))
    assert result.status == "ok", result
    assert [(picture.width, picture.height) for picture in result.images] == sizes
    assert result.stdout == ""
    for picture in result.images:
        assert decode(picture.png()).size == (picture.width, picture.height)


def test_pixels_arrive_unchanged(pool: Pool) -> None:
    image = Image.effect_noise((33, 21), 80).convert("RGB")
    result = run(pool, "image_1", images=(encoded(image, "PNG"),))
    assert result.images[0].pixels == image.tobytes()
    assert result.value is None


def test_too_many_or_too_large_pictures_leave_a_note(pool: Pool) -> None:
    many = run(pool, "from PIL import Image\nfor n in range(500): display(Image.new('L', (40, 40)))")
    assert len(many.images) == 10
    assert many.notes == ("490 more images are not shown: at most 10 per cell.",)
    large = run(pool, "from PIL import Image\nImage.new('L', (8000, 6000))")
    assert (large.status, large.images) == ("ok", ())
    assert "8000x6000" in large.notes[0]
    figure = run(pool, "import matplotlib.pyplot as plt\n_ = plt.figure(dpi=10000).gca()")
    assert (figure.status, figure.images, len(figure.notes)) == ("ok", (), 1)


def test_small_tables_of_numbers_stay_text(pool: Pool) -> None:
    assert run(pool, "import numpy as np\nnp.zeros((2, 2), 'uint8')").value is not None


def test_background_output_is_kept_apart(pool: Pool) -> None:
    code = "import subprocess\nsubprocess.Popen('sleep 0.3; echo late', shell=True)\nNone"
    result = run(pool, code, "import time\ntime.sleep(0.6)", "print('now')")
    assert result.stdout == "now\n"
    with pool.session() as session:
        session.run("import os, time\nif os.fork() == 0:\n    print('late'); os._exit(0)\nos.wait()\nNone")
        session.run("import threading\nt = threading.Timer(0.2, print, ['late'])\nt.start()")
        waiting = session.run("t.join()")
    assert waiting.stdout in {"late\n", ""}


def test_sessions_with_one_seed_are_equal_on_any_zygote(pool: Pool) -> None:
    code = """
import random, cv2, numpy as np, matplotlib.pyplot as plt, hashlib
plt.plot(np.random.rand(9)); plt.title('text'); plt.show()
print(random.random(), np.random.rand(), hash('a'), {'b', 'c', 'a'}, object())
print(hashlib.sha256(cv2.GaussianBlur(np.random.rand(64, 64), (5, 5), 1).tobytes()).hexdigest())
"""
    first, other = run(pool, code, seed=3), run(pool, code, seed=4)
    with Pool(Policy(LIMITS), workers=1) as second:
        again = run(second, code, seed=3)
        assert second.identity == pool.identity
    assert normalise(first.stdout) == normalise(again.stdout)
    assert first.images[0].png() == again.images[0].png()
    assert first.stdout != other.stdout


def test_of_the_project_the_guest_holds_one_folder_and_nothing_else(pool: Pool) -> None:
    result = run(pool, "import os\n[f'{at}/{name}' for at, _, names in os.walk('/coldforge') for name in names]")
    package = "/coldforge/pipeline/sandbox"
    files = {f"{package}/inside/{name}.py" for name in INSIDE}
    assert result.value is not None
    assert set(ast.literal_eval(result.value)) == files | {f"{package}/__init__.py", "/coldforge/pipeline/__init__.py"}


@pytest.mark.parametrize("module", [*INSIDE, "zygote_process", "launcher", "session", "roundtrip", "result"])
def test_identity_covers_all_code_that_shapes_results(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before, read = guest.environment(), Path.read_bytes
    changed = f"{module}.py"
    monkeypatch.setattr(Path, "read_bytes", lambda path: read(path) + b"#" * (path.name == changed))
    assert guest.environment() != before


def test_identity_covers_limits(pool: Pool) -> None:
    with Pool(Policy(Limits(cell_seconds=3.0))) as other:
        assert other.identity != pool.identity


def test_usage_is_measured_by_the_host(pool: Pool) -> None:
    result = run(pool, "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass")
    assert 0.2 <= result.usage.cpu <= result.usage.wall + 0.1
    assert result.usage.max_rss > 10 << 20
