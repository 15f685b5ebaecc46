"""A local server of the Hugging Face Hub's protocol, as far as reading a data set takes it; without Xet.

Routes, headers and error codes as `huggingface_hub` documents them in `hf_api.py`, `file_download.py` and `errors.py`.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_" + "secretsecretsecret"


class Asked(NamedTuple):
    method: str
    path: str
    authorization: str | None
    range: str | None
    status: int


@dataclass
class Repository:
    """A data set at one commit."""

    files: Mapping[str, bytes]
    commit: str = "0123456789abcdef0123456789abcdef01234567"
    branches: tuple[str, ...] = ("main",)
    gated: bool = False
    """Metadata are public, and files are for those who have asked."""
    private: bool = False

    def about(self, name: str) -> dict[str, Any]:
        """What the Hub tells of it."""
        files = [{"rfilename": file} for file in sorted(self.files)]
        told = {"id": name, "sha": self.commit, "private": self.private, "gated": "auto" if self.gated else False}
        return {**told, "siblings": files, "tags": [], "downloads": 0, "likes": 0, "disabled": False}

    def entries(self, below: str, *, recursive: bool) -> list[dict[str, Any]]:
        """What the tree holds below a folder."""
        prefix = f"{below}/" if below else ""
        found: dict[str, dict[str, Any]] = {}
        for path, content in sorted(self.files.items()):
            if not path.startswith(prefix):
                continue
            folders = path[len(prefix) :].split("/")[:-1]
            for depth in range(1, len(folders) + 1 if recursive else min(1, len(folders)) + 1):
                name = prefix + "/".join(folders[:depth])
                found[name] = {"type": "directory", "path": name, "oid": "0" * 40, "size": 0}
            if recursive or not folders:
                oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()  # noqa: S324 - as git has it
                found[path] = {"type": "file", "path": path, "oid": oid, "size": len(content)}
        return [found[path] for path in sorted(found)]


@dataclass
class Hub:
    """The server, and what was asked of it."""

    url: str
    repositories: dict[str, Repository] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    fails: bool = False
    """It answers 500 to everything."""
    breaks_off: str = ""
    """Path of a file whose first download ends in the middle."""

    @property
    def downloads(self) -> list[str]:
        """Paths of the files that were sent, whole or from somewhere on."""
        return [
            path.partition("/resolve/")[2].partition("/")[2]
            for method, path, _, _, status in self.asked
            if method == "GET" and "/resolve/" in path and status < 300
        ]


_ROUTE = re.compile(
    r"(?:/api)?/datasets/([^/]+/[^/]+)/(auth-check|revision|tree|paths-info|resolve)(?:/([^/]+)(?:/(.*))?)?"
)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: ClassVar[Hub]

    def log_message(self, *arguments: object) -> None:
        """Say nothing: `Hub.asked` tells it."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        split = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        match = _ROUTE.fullmatch(unquote(split.path))
        if self.hub.fails:
            return self._error(500, "", "Internal Error")
        if match is None:
            return self._error(404, "", "Not Found")
        name, kind, revision, inner = match.groups()
        repository = self._opened(name, kind, revision)
        if repository is None:
            return None
        if kind == "auth-check":
            return self._json({})
        if kind == "revision":
            return self._json(repository.about(name))
        if kind == "resolve":
            return self._file(repository, inner or "")
        if kind == "paths-info":
            wanted = _paths(body, self.headers.get("Content-Type") or "")
            return self._json([entry for entry in repository.entries("", recursive=True) if entry["path"] in wanted])
        recursive = parse_qs(split.query).get("recursive", [""])[0].lower() in {"true", "1"}
        entries = repository.entries(inner or "", recursive=recursive)
        return self._json(entries) if entries else self._error(404, "EntryNotFound", "Entry not found")

    def _opened(self, name: str, kind: str, revision: str | None) -> Repository | None:
        """The repository; None where whoever asks was told that there is none for him."""
        repository = self.hub.repositories.get(name)
        sent = self.headers.get("Authorization")
        known = sent == f"Bearer {TOKEN}"
        if repository is None or (repository.private and not known):
            self._error(404 if known else 401, "RepoNotFound", "Repository not found")
        elif kind in {"auth-check", "resolve"} and repository.gated and not known:
            self._error(403 if sent else 401, "GatedRepo", f"Access to {name} is gated")
        elif kind != "auth-check" and revision not in {repository.commit, *repository.branches}:
            self._error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        else:
            return repository
        return None

    def _file(self, repository: Repository, path: str) -> None:
        content = repository.files.get(path)
        if content is None:
            return self._error(404, "EntryNotFound", "Entry not found")
        headers = {
            "ETag": f'"{hashlib.sha256(content).hexdigest()}"',
            "X-Repo-Commit": repository.commit,
            "Accept-Ranges": "bytes",
            "Content-Type": "application/octet-stream",
        }
        start, status = 0, 200
        if match := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or ""):
            start, status = int(match[1]), 206
            end = int(match[2]) + 1 if match[2] else len(content)
            headers["Content-Range"] = f"bytes {start}-{min(end, len(content)) - 1}/{len(content)}"
            content = content[:end]
        if self.hub.breaks_off == path and self.command == "GET":
            self.hub.breaks_off = ""
            self._head(status, len(content) - start, headers)
            self.wfile.write(content[start : start + (len(content) - start) // 2])
            self.close_connection = True
            return None
        return self._send(status, content[start:], headers)

    def _json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _error(self, status: int, code: str, message: str) -> None:
        headers = {"X-Error-Message": message, "Content-Type": "application/json"}
        self._send(
            status, json.dumps({"error": message}).encode(), {**headers, **({"X-Error-Code": code} if code else {})}
        )

    def _send(self, status: int, content: bytes, headers: Mapping[str, str]) -> None:
        self._head(status, len(content), headers)
        if self.command != "HEAD":
            self.wfile.write(content)

    def _head(self, status: int, length: int, headers: Mapping[str, str]) -> None:
        sent = self.headers
        self.hub.asked.append(Asked(self.command, self.path, sent.get("Authorization"), sent.get("Range"), status))
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(length)}.items():
            self.send_header(name, value)
        self.end_headers()


def _paths(body: bytes, kind: str) -> set[str]:
    if "json" in kind:
        paths = json.loads(body)["paths"]
        return {paths} if isinstance(paths, str) else set(paths)
    return set(parse_qs(body.decode())["paths"])


@contextmanager
def hub() -> Iterator[Hub]:
    """Serve at a free port of this machine's own address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    served = Hub(f"http://127.0.0.1:{server.server_port}")
    server.RequestHandlerClass = type("_Served", (_Handler,), {"hub": served})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
