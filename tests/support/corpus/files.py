"""Items 1 to 42: the network, what can be read, and what can be written or reached by a path."""

from __future__ import annotations

from errno import EACCES, ENOENT, EPERM, EROFS, EXDEV

from tests.support.corpus.item import denied, fails, gives, raises

SOCKETS = "import socket\n"

# The standard library brings pip as an archive; without a network it gives up after its own tries.
PIP = """
import glob, os, subprocess, sys
archive = glob.glob(os.path.dirname(os.__file__) + '/ensurepip/_bundled/pip-*.whl')
program = [archive[0] + '/pip'] if archive else ['-m', 'pip']
command = [sys.executable, *program, 'download', '--retries', '0', '--timeout', '1', '-d', '/box', 'six']
ended = subprocess.run(command, capture_output=True).returncode
ended != 0, os.listdir('/box')
"""

NETWORK = [
    fails(1, "tcp to the loopback", EPERM, f"{SOCKETS}socket.create_connection(('127.0.0.1', OUTSIDE_PORT))"),
    fails(2, "udp", EPERM, f"{SOCKETS}socket.socket(type=socket.SOCK_DGRAM)"),
    fails(3, "abstract unix socket", EPERM, f"{SOCKETS}socket.socket(socket.AF_UNIX).bind('\\0name')"),
    fails(4, "netlink", EPERM, f"{SOCKETS}socket.socket(16, 3)"),
    fails(5, "vsock", EPERM, f"{SOCKETS}socket.socket(40, 1)"),
    # EAI_AGAIN: there is no name server that could be asked.
    raises(6, "name service", "gaierror", r"\[Errno -3\]", f"{SOCKETS}socket.getaddrinfo('example.org', 80)"),
    raises(
        7,
        "urllib",
        "URLError",
        r"\[Errno 1\]",
        "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:OUTSIDE_PORT')",
    ),
    gives(8, "pip download brings nothing", (True, []), PIP),
    denied(9, "raw socket call", "raw(41, 2, 1, 0)"),
    gives(
        10,
        "no inherited socket but the session's",
        [3],
        "import os, stat\nopened = [n for n in range(256) if os.path.exists(f'/proc/self/fd/{n}')]\n"
        "[n for n in opened if stat.S_ISSOCK(os.fstat(n).st_mode)]",
    ),
    gives(11, "socketpair", (1, b"x"), f"{SOCKETS}a, b = socket.socketpair()\na.send(b'x'), b.recv(1)"),
    fails(12, "cloud metadata", EPERM, f"{SOCKETS}socket.create_connection(('169.254.169.254', 80), 1)"),
]

READS = [
    fails(14, "shadow does not exist", ENOENT, "open('/etc/shadow').read()"),
    # The page has EACCES here; our root holds no such directory at all.
    fails(15, "root's home does not exist", ENOENT, "import os\nos.listdir('/root')"),
    fails(16, "a file of the host does not exist", ENOENT, "open('OUTSIDE_FILE').read()"),
    gives(
        16,
        "no directory of a project",
        [],
        "import os\n[p for p in ('/work', '/home', '/srv', '/opt', '/var', '/run') if os.path.exists(p)]",
    ),
    gives(
        17,
        "environment of listed names only",
        [],
        "import os\nsorted(os.environ.keys() - {'PATH', 'HOME', 'TMPDIR', 'LANG', 'TZ', 'PYTHONPATH', 'PYTHONHASHSEED',"
        " 'PYTHONIOENCODING', 'PYTHONDONTWRITEBYTECODE', 'MPLBACKEND', 'MPLCONFIGDIR', 'XDG_CACHE_HOME',"
        " 'OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'OPENCV_OPENCL_RUNTIME', 'MALLOC_ARENA_MAX', 'LD_LIBRARY_PATH'})",
    ),
    gives(
        18,
        "environment of process 1 is our own",
        True,
        "import os\nentries = open('/proc/1/environ', 'rb').read().split(b'\\0')\n"
        "{entry.partition(b'=')[0].decode() for entry in entries if entry} <= os.environ.keys()",
    ),
    gives(19, "no other process", ["1"], "import os\n[p for p in os.listdir('/proc') if p.isdigit()]"),
    # The page has EACCES for 20 and 21. Here process 1 is the guest itself, readable for the host's watchdog, so the
    # links lead to what the guest has anyway: its own root and its own memory.
    gives(20, "root link leads to our own root", True, "import os\nos.path.samefile('/proc/1/root', '/')"),
    gives(
        21,
        "memory of process 1 is our own",
        b"mine",
        "import ctypes, os\nblock = ctypes.create_string_buffer(b'mine')\n"
        "os.pread(os.open('/proc/1/mem', os.O_RDONLY), 4, ctypes.addressof(block))",
    ),
    fails(21, "memory of process 1 takes no writing", EACCES, "open('/proc/1/mem', 'r+b')"),
    gives(
        22,
        "descriptors 0 to 3 only",
        ["0", "1", "2", "3"],
        "import os\n[n for n in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{n}')]",
    ),
    gives(24, "no sys", False, "import os\nos.path.exists('/sys')"),
    denied(25, "dmesg", "raw(103, 3, ctypes.create_string_buffer(100), 100)"),
]

WRITES = [
    fails(28, "usr is read-only", EROFS, "open('/usr/lib/x', 'w')"),
    fails(29, "packages are read-only", EROFS, "import numpy\nopen(numpy.__file__ + '.new', 'w')"),
    # Which of two walls answers first is a matter of who owns the file.
    raises(
        29,
        "a package's file is read-only",
        "PermissionError|OSError",
        r"\[Errno (13|30)\]",
        "import numpy\nopen(numpy.__file__, 'a')",
    ),
    fails(30, "host name", ENOENT, "open('/proc/sys/kernel/hostname', 'w')"),
    denied(30, "sethostname", "raw(170, b'x', 1)"),
    fails(31, "core pattern", ENOENT, "open('/proc/sys/kernel/core_pattern', 'w')"),
    fails(32, "sysrq", ENOENT, "open('/proc/sysrq-trigger', 'w')"),
    fails(33, "map again", EACCES, "open('/proc/self/uid_map', 'w').write('0 0 1')"),
    fails(34, "symbolic link", EACCES, "import os\nos.symlink('/etc/shadow', '/box/s')\nopen('/box/s').read()"),
    fails(36, "hard link of a system file", EXDEV, "import os\nos.link('/bin/sh', '/box/sh')"),
    fails(37, "block device", EPERM, "import os\nos.mknod('/box/d', 0o60600, os.makedev(8, 0))"),
    fails(37, "fifo", EPERM, "import os\nos.mkfifo('/box/f')"),
    gives(
        38,
        "odd names stay inside",
        [b"\xff\n", b"a\nb"],
        "import os\nfor n in ('../../x', '/../x', 'a\\0b', b'\\xff\\n', 'a\\nb', '/box/../../x', 'n' * 300):\n"
        "    try: open(n, 'w').close()\n    except (OSError, ValueError): pass\n"
        "sorted(os.listdir(b'/box'), reverse=True)",
    ),
    fails(39, "chroot", EPERM, "import os\nos.chroot('/box')"),
    denied(40, "mount", "raw(165, b'none', b'/box', b'tmpfs', 0, 0)"),
    denied(40, "umount", "raw(166, b'/box', 2)"),
    gives(41, "delete everything harms itself", 3, "import shutil\nshutil.rmtree('/box', ignore_errors=True)", "1 + 2"),
    gives(
        42,
        "working directory gone",
        2,
        "import os\nos.mkdir('/tmp/d'); os.chdir('/tmp/d'); os.rmdir('/tmp/d')",
        "1 + 1",
    ),
]
