"""Whatever a private address is wrapped in, it is not reached."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from socket import inet_aton

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.fetch.addresses import RefusedError, checked_url, is_public

PRIVATE = st.ip_addresses(v=4).filter(lambda address: not is_public(address))
WRAPPED: tuple[Callable[[int], int], ...] = (
    lambda n: (0xFFFF << 32) | n,
    lambda n: n,
    lambda n: (0x64FF9B << 96) | n,
    lambda n: (0x2002 << 112) | (n << 80) | 1,
)


@given(PRIVATE, st.sampled_from(WRAPPED))
def test_an_address_within_another_is_looked_at(address: IPv4Address, wrapped: Callable[[int], int]) -> None:
    assert not is_public(IPv6Address(wrapped(int(address))))


def spelt(number: int, base: str) -> str:
    return {"x": f"0x{number:x}", "o": f"0{number:o}", "d": f"{number}"}[base]


@given(PRIVATE, st.integers(1, 4), st.lists(st.sampled_from("xod"), min_size=4, max_size=4), st.sampled_from(["", "."]))
def test_no_spelling_that_the_c_library_reads_reaches_it(
    address: IPv4Address, parts: int, bases: list[str], end: str
) -> None:
    number = int(address)
    # The last part holds all that is left (inet_aton(3)).
    heads = [(number >> (24 - 8 * part)) & 0xFF for part in range(parts - 1)]
    last = number & ((1 << (8 * (5 - parts))) - 1)
    host = ".".join(spelt(part, base) for part, base in zip([*heads, last], bases, strict=False))
    assert inet_aton(host) == address.packed
    with pytest.raises(RefusedError):
        checked_url(f"http://{host}{end}/a.png", (80,), is_public)


@given(st.text(max_size=40))
def test_any_text_is_a_url_to_ask_or_is_refused(text: str) -> None:
    for url in (text, f"http://{text}/", f"http://example.com/{text}"):
        try:
            asked = checked_url(url, (80, 443), is_public)
        except RefusedError:
            continue
        assert asked.scheme in {"http", "https"}
        assert asked.user is None
        assert asked.raw_host
