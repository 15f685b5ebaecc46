"""Which URLs and addresses may be asked: whoever wrote a data set must not reach what only this machine reaches."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from yarl import URL

Address = IPv4Address | IPv6Address
Allowed = Callable[[Address], bool]
"""Whether an address may be connected to. `is_public` everywhere but in tests, whose servers are on this machine."""


class RefusedError(Exception):
    """A URL or an address that is not asked; the message says why."""


_UNICAST = IPv6Network("2000::/3")
"""What is given out of IPv6 (RFC 4291, 2.4, and the registry of IANA); all else is of some special use."""
_NAT64 = IPv6Network("64:ff9b::/96")
"""An IPv4 address behind a translator, in the last 32 bits (RFC 6052, 2.1): how networks of IPv6 alone reach it."""
_SPECIAL = (IPv4Network("192.0.0.0/24"), IPv6Network("3fff::/20"))
"""Of special use in IANA's registries, and public to the `ipaddress` of some versions of Python that are in use."""


def is_public(address: Address) -> bool:
    """Return whether an address is one of the public internet, as are all that it may hold within."""
    if any(address in network for network in _SPECIAL):
        return False
    if isinstance(address, IPv4Address):
        return address.is_global and not address.is_multicast and not address.is_reserved
    if address.ipv4_mapped is not None:
        return is_public(address.ipv4_mapped)
    if address in _NAT64:
        return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
    if address.sixtofour is not None and not is_public(address.sixtofour):
        return False
    return address in _UNICAST and address.is_global and address.scope_id is None


_NUMBER = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")
_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")


def checked_url(url: str | URL, ports: Collection[int], allowed: Allowed) -> URL:
    """Return a URL as it would be asked for, without its fragment and with its host as DNS writes it.

    Raises:
        RefusedError: it is not one of a public server on one of `ports`, as far as it tells by itself.
    """
    if isinstance(url, str) and re.search(r"[\x00-\x1f\x7f]", url):
        raise RefusedError("a URL with control characters")
    try:
        parsed = URL(url).with_fragment(None)
        port, host = parsed.port, parsed.raw_host
    except (ValueError, TypeError) as error:  # what yarl raises for a host, a port or an IDNA label that is none
        raise RefusedError(f"no URL: {error}") from error
    if parsed.scheme not in {"http", "https"}:
        raise RefusedError(f"scheme {parsed.scheme or 'none'!r}; only http and https are asked")
    if parsed.user is not None or parsed.password is not None:
        raise RefusedError("a URL with a user or a password")
    if not host:
        raise RefusedError("a URL without a host")
    if port not in ports:
        raise RefusedError(f"port {port}; `fetch.ports` lists {', '.join(map(str, sorted(ports)))}")
    # As WHATWG's URL has it, a host whose last label is a number is an address: and in which of the forms that
    # `inet_aton` reads (127.1, 0x7f.1, 2130706433) is nobody's business here.
    if ":" in host or _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        require_allowed(host, allowed)
    elif not _NAME.fullmatch(host):
        raise RefusedError(f"host {host!r}, which is no name")
    return parsed


def require_allowed(address: str, allowed: Allowed) -> None:
    """Check one address.

    Raises:
        RefusedError: it is not written as one, or may not be connected to.
    """
    try:
        parsed = ip_address(address)
    except ValueError as error:
        raise RefusedError(f"host {address!r}, a number that is not written as an address") from error
    if not allowed(parsed):
        raise RefusedError(f"address {address}, which is not public")
