"""A local server of the Hugging Face Hub's protocol, as far as reading and writing a data set take it; without Xet.

Routes, headers and error codes as `huggingface_hub` documents them in `hf_api.py`, `file_download.py` and `errors.py`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_" + "secretsecretsecret"
READER = "hf_" + "readsandwritesnot"
"""A token that is shown everything, and may write nothing."""


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
    large: frozenset[str] = frozenset()
    """Paths of files in the large storage."""
    messages: tuple[str, ...] = ()
    """Of its commits, the first one first."""

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
                if path in self.large:
                    stored = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
                    found[path]["lfs"] = stored
        return [found[path] for path in sorted(found)]


class Refusal(NamedTuple):
    """An answer in place of the right one."""

    route: str
    """Pattern of method and path, such as `PUT /storage/.*`."""
    status: int
    after: int = 0
    """Requests of the route that are answered rightly before."""
    times: int = 1_000_000
    message: str = "Not now"


@dataclass
class Hub:
    """The server, and what was asked of it."""

    url: str
    repositories: dict[str, Repository] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    stored: dict[str, bytes] = field(default_factory=dict)
    """The large storage: sha256 → content, committed or not."""
    refusals: list[Refusal] = field(default_factory=list)
    met: dict[str, int] = field(default_factory=dict)
    """How often the route of a refusal was asked for."""
    waits_at: str = ""
    """Pattern of method and path of requests that get no answer before `go_on` is set."""
    waiting: threading.Event = field(default_factory=threading.Event)
    """Set as soon as one of them has come."""
    go_on: threading.Event = field(default_factory=threading.Event)
    drops: bool = False
    """What waited is then forgotten, as if it had never come whole."""
    finished: threading.Event = field(default_factory=threading.Event)
    """Set once what waited was answered or forgotten."""
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
    r"(?:/api)?/datasets/([^/]+/[^/]+)(?:/(auth-check|revision|tree|paths-info|resolve)(?:/([^/]+)(?:/(.*))?)?)?"
)


_BATCH = re.compile(r"/datasets/([^/]+/[^/]+)\.git/info/lfs/objects/batch")
_WRITE = re.compile(r"/api/datasets/([^/]+/[^/]+)/(preupload|commit)/main")
_LARGE = (".parquet", ".png", ".jpg", ".bin")
"""Files that the Hub keeps in its large storage, whatever their size."""


def written(hub: Hub, asked: str, body: bytes, sent: str | None, lock: threading.Lock) -> tuple[int, object] | None:
    """Answer what writes; None where the request, method and path, does not."""
    method, _, path = asked.partition(" ")
    if method == "PUT" and path.startswith("/storage/"):
        return _store(hub, path.removeprefix("/storage/"), body)
    if method != "POST":
        return None
    if path == "/api/validate-yaml":
        return 200, {"errors": [], "warnings": []}
    if path == "/verify":
        said = json.loads(body)
        held = hub.stored.get(said["oid"])
        return (200, {}) if held is not None and len(held) == said["size"] else (404, "Object does not exist")
    batch, write = _BATCH.fullmatch(path), _WRITE.fullmatch(path)
    if path != "/api/repos/create" and batch is None and write is None:
        return None
    if sent == f"Bearer {READER}":
        return 403, "Forbidden: you must use a write token"
    if sent != f"Bearer {TOKEN}":
        return 401, "Invalid username or password."
    with lock:
        if batch is not None:
            return 200, _batch(hub, json.loads(body))
        if write is None:
            return _create(hub, json.loads(body))
        name, kind = write.groups()
        return _preupload(hub, name, json.loads(body)) if kind == "preupload" else _commit(hub, name, body)


def _create(hub: Hub, said: dict[str, Any]) -> tuple[int, object]:
    name = f"{said['organization']}/{said['name']}"
    if name in hub.repositories:
        return 409, "You already created this dataset repo"
    files = {".gitattributes": b"*.parquet filter=lfs diff=lfs merge=lfs -text\n"}
    hub.repositories[name] = Repository(files, commit=_named(files, ""), private=said.get("visibility") == "private")
    return 200, {"url": f"{hub.url}/datasets/{name}", "name": name, "id": "0"}


def _store(hub: Hub, oid: str, body: bytes) -> tuple[int, object]:
    if hashlib.sha256(body).hexdigest() != oid:
        return 400, "The content is not what its name says"
    hub.stored[oid] = body
    return 200, {}


def _batch(hub: Hub, said: dict[str, Any]) -> object:
    objects = []
    for one in said["objects"]:
        actions = {"upload": {"href": f"{hub.url}/storage/{one['oid']}"}, "verify": {"href": f"{hub.url}/verify"}}
        objects.append({**one, **({} if one["oid"] in hub.stored else {"actions": actions})})
    return {"transfer": "basic", "objects": objects}


def _preupload(hub: Hub, name: str, said: dict[str, Any]) -> tuple[int, object]:
    repository = hub.repositories.get(name)
    if repository is None:
        return 404, "Repository not found"
    modes = [
        {
            "path": one["path"],
            "uploadMode": "lfs" if one["path"].endswith(_LARGE) or one["size"] > 10_000_000 else "regular",
            "shouldIgnore": False,
        }
        for one in said["files"]
    ]
    return 200, {"files": modes}


def _commit(hub: Hub, name: str, body: bytes) -> tuple[int, object]:
    repository = hub.repositories.get(name)
    if repository is None:
        return 404, "Repository not found"
    header, *operations = (json.loads(line) for line in body.splitlines())
    if header["value"].get("parentCommit") not in {None, repository.commit}:
        return 412, "A commit has happened since. Please refresh and try again."
    files, large = dict(repository.files), set(repository.large)
    for one in operations:
        path = one["value"]["path"]
        match one["key"]:
            case "file":
                files[path] = base64.b64decode(one["value"]["content"])
                large.discard(path)
            case "lfsFile":
                if one["value"]["oid"] not in hub.stored:
                    return 400, f"LFS pointer of {path} points to a file that does not exist"
                files[path] = hub.stored[one["value"]["oid"]]
                large.add(path)
            case "deletedFile":
                del files[path]
                large.discard(path)
    commit = _named(files, repository.commit)
    messages = (*repository.messages, header["value"]["summary"])
    hub.repositories[name] = replace(repository, files=files, large=frozenset(large), commit=commit, messages=messages)
    return 200, {"commitUrl": f"{hub.url}/datasets/{name}/commit/{commit}", "commitOid": commit, "pullRequestUrl": None}


def _named(files: Mapping[str, bytes], parent: str) -> str:
    listed = sorted((path, hashlib.sha256(content).hexdigest()) for path, content in files.items())
    return hashlib.sha1(repr((parent, listed)).encode()).hexdigest()  # noqa: S324 - as git names a commit


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: ClassVar[Hub]
    lock: ClassVar[threading.Lock]

    def log_message(self, *arguments: object) -> None:
        """Say nothing: `Hub.asked` tells it."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self._body()
        if not self.hub.waits_at or not re.fullmatch(self.hub.waits_at, f"{self.command} {urlsplit(self.path).path}"):
            return self._answer_to(body)
        self.hub.waiting.set()
        self.hub.go_on.wait(60)
        try:
            if not self.hub.drops:
                self._answer_to(body)
        except OSError:
            pass  # whoever asked is gone
        finally:
            self.close_connection = True
            self.hub.finished.set()
        return None

    def _answer_to(self, body: bytes) -> None:
        split = urlsplit(self.path)
        match = _ROUTE.fullmatch(unquote(split.path))
        if self.hub.fails:
            return self._error(500, "", "Internal Error")
        refusal = self._refused(f"{self.command} {split.path}")
        if refusal is not None:
            return self._error(refusal.status, "", refusal.message)
        told = written(
            self.hub, f"{self.command} {unquote(split.path)}", body, self.headers.get("Authorization"), self.lock
        )
        if told is not None:
            status, value = told
            return self._json(value) if status < 300 else self._error(status, "", str(value))
        if match is None:
            return self._error(404, "", "Not Found")
        name, kind, revision, inner = match.groups()
        repository = self._opened(name, kind or "revision", revision or "main")
        if repository is None:
            return None
        if kind == "auth-check":
            return self._json({})
        if kind in {None, "revision"}:
            return self._json(repository.about(name))
        if kind == "resolve":
            return self._file(repository, inner or "")
        if kind == "paths-info":
            wanted = _paths(body, self.headers.get("Content-Type") or "")
            return self._json([entry for entry in repository.entries("", recursive=True) if entry["path"] in wanted])
        recursive = parse_qs(split.query).get("recursive", [""])[0].lower() in {"true", "1"}
        entries = repository.entries(inner or "", recursive=recursive)
        return self._json(entries) if entries else self._error(404, "EntryNotFound", "Entry not found")

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().strip() or b"0", 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _refused(self, asked: str) -> Refusal | None:
        for refusal in self.hub.refusals:
            if re.fullmatch(refusal.route, asked):
                with self.lock:
                    before = self.hub.met.get(refusal.route, 0)
                    self.hub.met[refusal.route] = before + 1
                if refusal.after <= before < refusal.after + refusal.times:
                    return refusal
        return None

    def _opened(self, name: str, kind: str, revision: str | None) -> Repository | None:
        """The repository; None where whoever asks was told that there is none for him."""
        repository = self.hub.repositories.get(name)
        sent = self.headers.get("Authorization")
        known = sent in {f"Bearer {TOKEN}", f"Bearer {READER}"}
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
    server.RequestHandlerClass = type("_Served", (_Handler,), {"hub": served, "lock": threading.Lock()})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
