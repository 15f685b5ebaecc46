"""What may be asked: by table, each way there is to write an address of this machine or of its network."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address

import pytest

from pipeline.fetch.addresses import RefusedError, checked_url, is_public

PORTS = (80, 443)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.9.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
        *("0.0.0.0", "0.1.2.3", "192.0.2.1", "198.18.0.1", "203.0.113.9", "224.0.0.1", "239.1.2.3", "240.0.0.1"),  # noqa: S104 - nothing is bound
        *("255.255.255.255", "192.0.0.8"),
        *(
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "2001:db8::1",
            "100::1",
            "fec0::1",
            "5f00::1",
            "3fff::1",
        ),
        # An address of IPv4 within one of IPv6: mapped, compatible, translated (two prefixes), 6to4, Teredo.
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe"),
        *("64:ff9b:1::7f00:1", "2002:7f00:1::", "2002:a00:1::1", "2001:0:7f00:1::"),
    ],
)
def test_what_is_not_of_the_public_internet_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"],
)
def test_public_addresses_are_public_also_within_others(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1/a.png", "not public"),
        ("http://127.0.0.1./a.png", "not written as an address"),
        ("http://2130706433/", "not written as an address"),
        ("http://0x7f000001/", "not written as an address"),
        ("http://0x7f.0.0.1/", "not written as an address"),
        ("http://0177.0.0.1/", "not written as an address"),
        ("http://017700000001/", "not written as an address"),
        ("http://127.1/", "not written as an address"),
        ("http://127.0.0.0x1/", "not written as an address"),
        ("http://0/", "not written as an address"),
        ("http://[::1]/", "not public"),
        ("http://[::ffff:127.0.0.1]/", "not public"),
        ("http://[0:0:0:0:0:ffff:7f00:1]/", "not public"),
        ("http://[fe80::1%25eth0]/", "not public"),
        ("http://１２７.0.0.1/", "not public"),
        ("http://127。0。0。1/", "not public"),
        ("http://①②⑦.0.0.1/", "not public"),
        ("http://user@example.com/", "user or a password"),
        ("http://user:key@example.com/", "user or a password"),
        ("http://:key@example.com/", "user or a password"),
        ("http://example.com:8080/", "port 8080"),
        ("https://example.com:22/", "port 22"),
        ("http://example.com:99999/", "no URL"),
        ("http://example.com:0x50/", "no URL"),
        ("ftp://example.com/a.png", "scheme 'ftp'"),
        ("file:///etc/passwd", "scheme 'file'"),
        ("gopher://example.com/", "scheme 'gopher'"),
        ("data:image/png;base64,AAAA", "scheme 'data'"),
        ("//example.com/a.png", "scheme 'none'"),
        ("http:///a.png", "without a host"),
        ("http://exa mple.com/", "no name"),
        ("http://example.com/a\nHost: other", "control characters"),
        ("http://exam\tple.com/", "control characters"),
    ],
)
def test_a_url_that_is_none_of_a_public_server_is_refused_with_what_is_wrong(url: str, said: str) -> None:
    with pytest.raises(RefusedError, match=said):
        checked_url(url, PORTS, is_public)


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("http://example.com/a b.png?x=1#part", "http://example.com/a%20b.png?x=1"),
        ("https://EXAMPLE.com:443/%7Ea.png", "https://example.com/~a.png"),
        ("http://bücher.example/ü.png", "http://xn--bcher-kva.example/%C3%BC.png"),
        ("http://ＥＸＡＭＰＬＥ.com/", "http://example.com/"),
        ("http://8.8.8.8/a.png", "http://8.8.8.8/a.png"),
        ("http://1.example.com/", "http://1.example.com/"),
    ],
)
def test_a_url_is_asked_for_in_one_spelling(url: str, asked: str) -> None:
    assert str(checked_url(url, PORTS, is_public)) == asked
    assert str(checked_url(asked, PORTS, is_public)) == asked


def test_ports_are_those_that_are_listed() -> None:
    assert checked_url("http://example.com:8080/", (8080,), is_public).port == 8080
    with pytest.raises(RefusedError, match=r"port 80; .* lists 8080"):
        checked_url("http://example.com/", (8080,), is_public)


def test_another_rule_for_addresses_is_handed_over_and_never_set() -> None:
    assert checked_url("http://127.0.0.1/", PORTS, lambda address: address == IPv4Address("127.0.0.1")).host
