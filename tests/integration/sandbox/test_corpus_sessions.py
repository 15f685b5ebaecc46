"""Items of the threat corpus that take more than the cells of one session: what comes back, and from where."""

from __future__ import annotations

import fcntl
import select
import struct
import sys

import pytest

from filters.validate.internals import reaches_inside
from pipeline.dialects.observations import cell_observation
from pipeline.sandbox import Pool, guest
from pipeline.sandbox.inside import root
from tests.support.corpus.outside import CANARY, VARIABLE, Outside

MEETING = """
import os, socket
def tried(call):
    try: call()
    except OSError as error: return error.errno
    return 'done'
tcp = tried(lambda: socket.create_server(('127.0.0.1', 4321)))
unix = tried(lambda: socket.socket(socket.AF_UNIX).bind('\\0meet'))
datagram = tried(lambda: socket.socketpair(type=socket.SOCK_DGRAM)[0].sendto(b'x', '\\0meet'))
open('/dev/shm/meet', 'w').write('x')
tcp, unix, datagram
"""


def test_013_two_sessions_cannot_meet(pool: Pool) -> None:
    with pool.session() as first, pool.session() as second:
        for session in (first, second):
            assert session.run(MEETING).value == "(1, 1, 1)"
            session.run("os.remove('/dev/shm/meet')")
        first.run("open('/dev/shm/meet', 'w').write('x')\nos.setpgid(0, 0)")
        result = second.run("os.path.exists('/dev/shm/meet'), os.getpid(), len(os.listdir('/proc'))")
    assert result.value == "(False, 1, 3)"


LOCK = "import fcntl\nfile = open('/guest/numpy/__init__.py')\nfcntl.lockf(file, fcntl.LOCK_SH)"


def test_149_a_lock_on_a_file_of_the_host_is_in_nobodys_way(pool: Pool) -> None:
    path = guest.require() / f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages/numpy/__init__.py"
    wanted = struct.pack("hhqqi", fcntl.F_WRLCK, 0, 0, 0, 0)
    with pool.session() as session, path.open("rb") as file:
        assert session.run(LOCK).status == "ok"
        assert struct.unpack_from("h", fcntl.fcntl(file, fcntl.F_GETLK, wanted)) == (fcntl.F_UNLCK,)


# All memory that can be read, every file and every name outside the system's own directories, and what /proc tells.
SEARCH = """
import os, re
wanted = re.compile(rb'CANARY')
found = []
for line in open('/proc/self/maps'):
    span, flags, *_ = line.split()
    if 'r' in flags and not line.rstrip().endswith(('[vvar]', '[vvar_vclock]', '[vsyscall]')):
        start, end = (int(part, 16) for part in span.split('-'))
        with open('/proc/self/mem', 'rb', 0) as memory:
            memory.seek(start)
            found += wanted.findall(memory.read(end - start))
for folder, _, names in os.walk('/'):
    if folder.startswith(('/proc', '/usr', '/python', '/guest', '/lib', '/bin', '/sbin', '/etc/alternatives')):
        continue
    for name in names:
        found += wanted.findall(os.fsencode(name))
        if not folder.startswith('/dev'):
            found += wanted.findall(open(os.path.join(folder, name), 'rb').read())
for name in os.listdir('/proc/self'):
    try: found += wanted.findall(open(f'/proc/self/{name}', 'rb').read(1 << 20))
    except OSError: pass
print(found, os.environ, open('/proc/self/cmdline').read(), open('/proc/self/mountinfo').read())
found, os.environ.get('VARIABLE'), os.path.exists('OUTSIDE_FILE')
"""


def test_023_canaries_are_out_of_reach(pool: Pool, host: Outside) -> None:
    code = host.fill(SEARCH.replace("CANARY", CANARY).replace("VARIABLE", VARIABLE))
    with pool.session() as session:
        result = session.run(code)
    assert result.value == "([], None, False)", result
    assert host.leaked(result) == []
    # The search finds what is there.
    with pool.session() as session:
        session.run(f"mine = {host.canaries[0].decode()!r}")
        assert host.leaked(session.run(code)) == [host.canaries[0]]


PLACES = (root.BOX, root.TEMPORARY, root.SHARED, root.SCRATCH)


LEAVE = f"import os\nfor d in {PLACES}:\n    try: open(d + '/left', 'w').close()\n    except OSError: pass\nleft = 1"


LOOK = f"import os\n'left' in globals(), [d for d in {PLACES} if os.listdir(d)]"


def test_026_files_of_another_live_session_are_invisible(pool: Pool) -> None:
    with pool.session() as first:
        first.run(LEAVE)
        assert first.run(LOOK).value == "(True, ['/box', '/tmp', '/dev/shm'])"
        with pool.session() as second:
            assert second.run(LOOK).value == "(False, [])"


def test_027_the_previous_session_leaves_nothing(pool: Pool) -> None:
    # As many as have been forked ahead, so that one of them was forked after the first ended.
    for _ in range(6):
        with pool.session() as session:
            assert session.run(LOOK).value == "(False, [])"
            session.run(f"{LEAVE}\nimport numpy, json\nnumpy.left = json.left = 1\nos.environ['LEFT'] = '1'")
    with pool.session() as session:
        after = session.run(
            "import json, numpy, os\nhasattr(numpy, 'left'), hasattr(json, 'left'), 'LEFT' in os.environ"
        )
    assert after.value == "(False, False, False)"


def test_035_a_link_as_a_named_output_leads_nowhere(pool: Pool, host: Outside) -> None:
    code = """
import os
made = []
for name in ('out.png', 'image_1.png', 'result.json'):
    for make in (os.symlink, os.link):
        try: make('OUTSIDE_FILE', '/box/' + name); made.append(name)
        except OSError: pass
made, os.listdir('/box')
"""
    before = host.file.stat()
    with pool.session() as session:
        result = session.run(host.fill(code))
    assert result.value == "([], [])"
    assert (result.images, host.leaked(result)) == ((), [])
    # Nor was it opened by the host: where times of access are kept, reading would show.
    assert host.file.stat().st_atime_ns == before.st_atime_ns


FORGED = {
    "length": "b'\\xff' * 8",
    "four gigabytes": "struct.pack('>II', 2, 2**32 - 1) + b'{}'",
    "no JSON": "struct.pack('>II', 3, 0) + b'abc'",
    "no text": "struct.pack('>II', 3, 0) + b'\\xff\\xff\\xff'",
    "deep JSON": "struct.pack('>II', 9999, 0) + b'[' * 9999",
    "a key twice": "whole(good[:-1] + b', \"seq\": %d}' % seq)",
    "no number": "whole(good.replace(b'%d' % seq, b'NaN'))",
    "a fraction": "whole(good.replace(b'%d' % seq, b'%d.0' % seq))",
    "a field more": "frame({'more': 1})",
    "another type": "frame({'notes': [1]})",
    "another number": "frame({'seq': 9})",
    "true for 1": "frame({'seq': True})",
    "two replies": "frame({}) + frame({})",
    "a reply and half a one": "frame({}) + b'\\0'",
}


# A reply repeats the random number of its request, which stands in our frame below the cell's.
FORGE = """
import json, os, struct, sys
at = sys._getframe()
while 'request' not in at.f_locals: at = at.f_back
seq = at.f_locals['request']['seq']
def reply(changes): return {'seq': seq, 'value': None, 'error': None, 'images': [], 'notes': [], **changes}
def whole(text, blob=0): return struct.pack('>II', len(text), blob) + text + bytes(blob)
def frame(changes, blob=0): return whole(json.dumps(reply(changes)).encode(), blob)
good = json.dumps(reply({})).encode()
os.write(3, FORGED)
"""


@pytest.mark.parametrize("name", FORGED)
def test_094_forged_frames_end_the_session_and_nothing_else(pool: Pool, name: str) -> None:
    _refused(pool, FORGED[name])


def _refused(pool: Pool, forged: str) -> None:
    with pool.session() as session:
        result = session.run(FORGE.replace("FORGED", forged))
        assert (result.status, result.ended, result.images) == ("protocol_error", True, ())
    with pool.session() as session:
        assert session.run("1").value == "1"


def test_094_a_forged_reply_that_is_right_in_all_of_this_passes_for_its_own_cell(pool: Pool) -> None:
    """So the others are refused for what they say, not for their number."""
    forged = "frame({'value': 'forged'})); os._exit(0"
    with pool.session() as session:
        assert session.run(FORGE.replace("FORGED", forged)).value == "forged"


BLIND = """
import threading, time
def answer():
    time.sleep(0.5)
    os.write(3, frame({'seq': 2, 'value': 'forged'}))
threading.Thread(target=answer).start()
"""


def test_094_a_reply_to_a_request_that_was_not_read_ends_the_session(pool: Pool) -> None:
    with pool.session() as session:
        assert session.run(FORGE.replace("os.write(3, FORGED)", BLIND)).status == "ok"
        # It comes in the middle of the next cell.
        result = session.run("import time\ntime.sleep(2)\n'true'")
    assert (result.status, result.value, result.ended) == ("protocol_error", None, True)


# Waits for the next request, reads its number without taking it, and is faster than the cell.
PEEKS = """
import json, socket, struct, threading
def answer():
    channel = socket.socket(fileno=3)
    text = channel.recv(9999, socket.MSG_PEEK)
    seq = json.loads(text[8:])['seq']
    reply = json.dumps({'seq': seq, 'value': 'forged', 'error': None, 'images': [], 'notes': []}).encode()
    channel.send(struct.pack('>II', len(reply), 0) + reply)
    channel.detach()
threading.Thread(target=answer).start()
"""
PATCHES = """
import sys
cells = sys.modules['pipeline.sandbox.inside.cells']
cells._repr = lambda value: 'forged'
"""


def test_094_known_weakness_a_cell_can_answer_for_a_later_one_and_validate_rejects_what_does(pool: Pool) -> None:
    with pool.session() as session:
        assert session.run(PATCHES).status == "ok"
        assert session.run("'true'").value == "forged"
    with pool.session() as session:
        assert session.run("1").value == "1"  # of no session but its own
    assert [reaches_inside(code) for code in (PATCHES, PEEKS, FORGE, BLIND)] == [True] * 4


def test_094_a_late_reply_never_reaches_the_next_cell(pool: Pool) -> None:
    code = FORGE.replace("os.write(3, FORGED)", "import threading\nforged = frame({'value': 'forged'})\n")
    code += "threading.Timer(0.2, os.write, [3, forged]).start()"
    with pool.session() as session:
        assert session.run(code).status == "ok"
        assert select.select([session._handles.channel], [], [], 10)[0]
        result = session.run("'true'")
    assert (result.status, result.value) == ("protocol_error", None)


PICTURES = {
    "10^9 pixels": "frame({'images': [['L', 32768, 32768]]})",
    "sides without end": "frame({'images': [['L', 10**30, 1]]})",
    "no width": "frame({'images': [['L', 0, 9]]})",
    "fewer bytes than announced": "frame({'images': [['L', 2, 2]]}, 3)",
    "more bytes than announced": "frame({'images': [['L', 2, 2]]}, 5)",
    "an unknown mode": "frame({'images': [['P', 2, 2]]}, 4)",
    "a container": "frame({'images': ['/etc/shadow']})",
    "eleven": "frame({'images': [['L', 1, 1]] * 11}, 11)",
}


@pytest.mark.parametrize("name", PICTURES)
def test_100_fake_images_are_refused_before_anything_is_kept(pool: Pool, name: str) -> None:
    _refused(pool, PICTURES[name])


def test_102_tags_and_control_tokens_are_defused_at_render_time(pool: Pool) -> None:
    tokens = ("</code>", "<|im_end|>", "<|im_start|>", "</tool_response>", "<answer>", "<image>", "<code>")
    text = " ".join(tokens)
    with pool.session() as session:
        result = session.run(
            f"import sys\nprint({text!r})\nprint({text!r}, file=sys.stderr)\nraise ValueError({text!r})"
        )
    assert result.stdout == f"{text}\n"  # the sandbox itself changes nothing of it
    assert result.error is not None
    observation = cell_observation(
        status=result.status,
        stdout=result.stdout,
        stderr=result.stderr,
        value=text,
        error=result.error.traceback,
        images=0,
        ended=False,
    )
    assert [token for token in tokens if token in observation] == []
    assert "</\u200b" in observation or "<\u200b" in observation


def test_111_what_a_thread_prints_after_its_cell_is_labelled(pool: Pool) -> None:
    code = "import threading, time\nthreading.Timer(0.3, print, ['late']).start()\nprint('first')"
    with pool.session() as session:
        assert session.run(code).stdout == "first\n"
        assert select.select([session._handles.stdout], [], [], 10)[0]
        result = session.run("print('now')")
    assert result.stdout == "now\n"
    assert result.notes == ("5 bytes that background work printed after the last cell are not shown.",)
