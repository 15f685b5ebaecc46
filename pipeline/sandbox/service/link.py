"""Requests to a sandbox service: connections that stay open, answers of bounded size, one error for each failure."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import Any

import urllib3

from pipeline.errors import ColdforgeError, InfrastructureError, RowError, UsageError

_PAUSES = (0.2, 1.0)
"""Seconds before a request is sent again whose connection was lost: a proxy or a network that hiccuped."""
_CONNECT_SECONDS = 10.0
_CONNECTIONS = 32
"""Kept open: as many as cells are asked for at once by one run (`executor.BLOCKING_CALLS`); more work as well."""
_READ = 1 << 20


@dataclass(frozen=True)
class Answer:
    """What a service said to one request."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @cached_property
    def fields(self) -> dict[str, Any]:
        """The JSON object in the body; empty if it is none."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}

    @property
    def error(self) -> str:
        """What went wrong, in the service's words."""
        return str(self.fields.get("error", f"status {self.status}"))[:500]

    @property
    def missing(self) -> list[str]:
        """Hashes of the blobs that the service asks for."""
        named = self.fields.get("missing")
        return [str(one) for one in named] if self.status == HTTPStatus.CONFLICT and isinstance(named, list) else []

    @property
    def retry_after(self) -> float:
        """Seconds that the service asks to wait."""
        text = self.headers.get("Retry-After", "")
        return float(text) if text.isdigit() and len(text) < 4 else 0.0  # noqa: PLR2004 - below a quarter of an hour

    def failure(self) -> ColdforgeError:
        """Return the error that an answer without a result stands for."""
        if self.status == HTTPStatus.UNPROCESSABLE_ENTITY:
            return RowError(str(self.fields.get("reason")), str(self.fields.get("detail")))
        return InfrastructureError(f"{self.url}: {self.error}")


class Link:
    """One service, for many threads."""

    def __init__(self, url: str, token: str | None, token_env: str | None) -> None:
        """Connect when first used.

        Raises:
            UsageError: no http or https address.
        """
        self.url = url.rstrip("/")
        try:
            parsed = urllib3.util.parse_url(self.url)
        except urllib3.exceptions.HTTPError as error:
            raise UsageError(f"sandbox service {url}: {error}") from error
        if parsed.scheme not in {"http", "https"} or not parsed.host or parsed.auth or parsed.query:
            raise UsageError(f"sandbox service {url}: write the address as http://HOST:PORT")
        self._path = (parsed.path or "").rstrip("/")
        self._named = f"${token_env}" if token_env else "an environment variable, and its name into `token_env`"
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        # Not through a proxy that the environment may name: what is asked here is near.
        self._pool = urllib3.connection_from_url(self.url, maxsize=_CONNECTIONS)

    def send(
        self, method: str, path: str, body: bytes = b"", kind: str = "", *, seconds: float, most: int = 1 << 20
    ) -> Answer:
        """Send a request that may be sent twice, and return the answer whatever its status.

        Args:
            method: GET, PUT or DELETE.
            path: below the service's address.
            body: and `kind`, its content type.
            kind: see there.
            seconds: to wait for the answer.
            most: bytes of the answer.

        Raises:
            UsageError: the service does not let us in.
            InfrastructureError: it cannot be reached, or its answer is too large.
        """
        for pause in (*_PAUSES, None):
            try:
                answer = self._send(method, path, body, kind, seconds=seconds, most=most)
            except urllib3.exceptions.HTTPError as error:
                if pause is None:
                    raise InfrastructureError(
                        f"sandbox service {self.url} cannot be reached ({error}); start it there with "
                        "`coldforge sandbox serve`, or correct the address"
                    ) from error
                time.sleep(pause)
            else:
                break
        if answer.status == HTTPStatus.UNAUTHORIZED:
            raise UsageError(f"{self.url} refuses the token; put $COLDFORGE_SANDBOX_TOKEN of there into {self._named}")
        if answer.status == HTTPStatus.FORBIDDEN:
            raise UsageError(f"{self.url} refuses: {answer.error}")
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def _send(self, method: str, path: str, body: bytes, kind: str, *, seconds: float, most: int) -> Answer:
        headers = {**self._headers, "Content-Type": kind} if kind else self._headers
        response = self._pool.urlopen(
            method,
            self._path + path,
            body=body or None,
            headers=headers,
            retries=False,
            redirect=False,
            timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=seconds),
            preload_content=False,
            decode_content=False,
        )
        try:
            content = bytearray()
            while len(content) <= most and (part := response.read(_READ)):
                content += part
        except BaseException:
            response.close()
            raise
        if len(content) > most:
            response.close()
            raise InfrastructureError(f"{self.url}{path} answered more than {most} bytes")
        response.release_conn()
        return Answer(self.url, response.status, response.headers, bytes(content))


def encode(value: Any) -> bytes:
    """Return JSON; half a surrogate pair in a model's code travels as its escape."""
    return json.dumps(value, separators=(",", ":")).encode()
