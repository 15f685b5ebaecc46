"""Why a picture did not come, in words: each kind of failure has its own, for what helps is another thing each time."""

from __future__ import annotations

import errno
import os
import socket
import ssl

import aiohttp


class FailedError(Exception):
    """A picture that did not come; the message says what came instead."""

    def __init__(self, said: str, *, sure: bool, again: bool = False, after_seconds: float = 0.0) -> None:
        super().__init__(said)
        self.sure = sure
        """Whether it tells of the link, whatever the state of the network."""
        self.again = again
        """Whether it may come if it is asked for again."""
        self.after_seconds = after_seconds
        """When the server wants to be asked again."""


FAILURES = (aiohttp.ClientError, OSError, ValueError)
"""What a request ends with that gives no answer; `TimeoutError` is one of `OSError`."""

_NO_NAME = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
"""What a name server answers of a name that it has no address for; all else is a name server that does not answer."""
_NO_ROUTE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN})

_LONGEST = 80
"""Characters of what a library says of an answer that is none."""


def failure_of(error: Exception, connect_seconds: float) -> FailedError:
    """Return what one of `FAILURES` says of a link.

    Args:
        error: as a request ended. That no time is left in all is not told by it.
        connect_seconds: how long a connection may take.
    """
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return FailedError(f"its certificate: {error.certificate_error}", sure=False)
        case aiohttp.ClientConnectorDNSError():
            return _nameless(error.os_error)
        case aiohttp.ClientConnectorSSLError():
            return FailedError(f"no TLS: {_words(error.os_error)}", sure=False, again=True)
        case aiohttp.ClientConnectorError():
            return _unconnected(error.os_error, error.host, error.port)
        case TimeoutError():
            return FailedError(f"timed out: no connection within {connect_seconds:g} s", sure=False, again=True)
        case aiohttp.ServerDisconnectedError():
            return FailedError("broken off: closed without an answer", sure=False, again=True)
        case aiohttp.ClientPayloadError():
            return FailedError("broken off: it ends too early", sure=False, again=True)
        case aiohttp.ClientResponseError():
            told = " ".join(error.message.split())
            return FailedError(f"no HTTP: {told[:_LONGEST]}", sure=False, again=True)
        case _:
            return FailedError(f"broken off: {_words(error)}", sure=False, again=True)


def _nameless(error: OSError) -> FailedError:
    """Return what it says of a link that the address of its host could not be had."""
    if error.errno in _NO_NAME:
        return FailedError(f"no such host: {error.strerror}", sure=False)
    return FailedError(f"its name server does not answer: {error.strerror}", sure=False, again=True)


def _unconnected(error: OSError, host: str, port: int | None) -> FailedError:
    if error.errno == errno.ECONNREFUSED:
        return FailedError(f"connection refused: nothing is served at {host}:{port}", sure=False, again=True)
    if error.errno in _NO_ROUTE:
        return FailedError(f"no route: {_words(error)}", sure=False, again=True)
    if isinstance(error, ConnectionResetError):
        return FailedError("broken off: reset before TLS was agreed on", sure=False, again=True)
    return FailedError(f"no connection: {_words(error)}", sure=False, again=True)


def _words(error: Exception) -> str:
    """Return the system's words for an error, without those of libraries around them."""
    if isinstance(error, ssl.SSLError):  # whose number is another's
        return (error.reason or str(error)).replace("_", " ").lower()
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno).lower()
    return " ".join(str(error).split()) or type(error).__name__
