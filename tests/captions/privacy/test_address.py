"""Which base URLs are on this machine, and which are refused because they can be read in two ways."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from med3dinsight.captions.privacy.address import check_localhost, parse_address
from med3dinsight.errors import PrivacyError


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("http://127.0.0.1:8000/v1", 8000),
        ("http://localhost/v1", 80),
        ("https://LOCALHOST", 443),
        ("http://127.255.0.3/", 80),
        ("http://[::1]:9/v1", 9),
        ("http://[0:0:0:0:0:0:0:1]/v1", 80),
    ],
)
def test_literal_loopback_addresses_are_this_machine(url, port):
    address = parse_address(url)
    assert address.loopback and address.port == port


@pytest.mark.parametrize(
    "host",
    ["api.example.com", "localhost.example.com", "127.0.0.1.nip.io", "10.0.0.1", "[::ffff:127.0.0.1]", "[::2]",
     "0.0.0.0", "[::]", "128.0.0.1", "localhost6", "xn--lcalhost-5gf"],
)  # fmt: skip
def test_everything_else_is_elsewhere_and_needs_https(host):
    assert not parse_address(f"https://{host}/v1").loopback
    with pytest.raises(PrivacyError, match="not this machine"):
        parse_address(f"http://{host}/v1")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.1/v1",
        "http://2130706433/v1",
        "http://0x7f000001/v1",
        "http://0x7f.0.0.1/v1",
        "http://127.0.0.0x1/v1",
        "http://0177.0.0.1/v1",
        "http://127.0.0.01/v1",
        "http://127.0.0.1./v1",
        "http://localhost./v1",
        "http://.localhost/v1",
        "http://ⓛocalhost/v1",
        "http://127。0。0。1/v1",
        "http://127.0.0.1%00.example.com/v1",
        "http://%31%32%37.0.0.1/v1",
        "http://[::1%25eth0]/v1",
        "http://[::1]evil.com/v1",
        "http://127.0.0.1\\@example.com/v1",
        "http://127.0.0.1\t.example.com/v1",
        "http://127.0.0.1\n/v1",
        " http://127.0.0.1/v1",
        "http://127.0.0.1:0/v1",
        "http://127.0.0.1:65536/v1",
        "http://127.0.0.1:/v1",
        "http://127.0.0.1:80:80/v1",
        "http://127.0.0.1/v1?key=x",
        "http://127.0.0.1/v1#x",
        "http:/127.0.0.1/v1",
        "//127.0.0.1/v1",
        "ftp://127.0.0.1/v1",
        "file:///etc/hosts",
        "127.0.0.1:8000",
        "localhost",
        "http:///v1",
        "",
    ],
)
def test_a_url_that_can_be_read_in_two_ways_is_refused(url):
    with pytest.raises(PrivacyError):
        parse_address(url)


@pytest.mark.parametrize("url", ["https://me:hunter2@example.com/v1", "http://hunter2@127.0.0.1/v1", "x hunter2@y"])
def test_a_password_in_the_url_is_refused_and_never_repeated(url):
    with pytest.raises(PrivacyError) as caught:
        parse_address(url)
    assert "hunter2" not in str(caught.value)


@given(st.text(alphabet="0123456789abcdefx.:[]@%/\\#? \tLocalhost", max_size=30), st.sampled_from(["http", "https"]))
def test_whatever_counts_as_this_machine_is_so_for_the_standard_library_too(rest, scheme):
    try:
        address = parse_address(f"{scheme}://{rest}")
    except PrivacyError:
        return
    host = urlsplit(f"{scheme}://{rest}").hostname
    if address.loopback:
        assert host == "localhost" or ipaddress.ip_address(host).is_loopback
    else:
        assert scheme == "https" and host != "localhost"


@given(st.ip_addresses())
def test_addresses_are_loopback_exactly_where_the_system_says_so(number):
    text = f"[{number}]" if number.version == 6 else str(number)
    assert parse_address(f"https://{text}/v1").loopback == number.is_loopback


@given(st.integers(0, 2**32 - 1))
def test_no_number_alone_is_a_host(number):
    for text in (str(number), hex(number), oct(number).replace("o", "")):
        with pytest.raises(PrivacyError):
            parse_address(f"https://{text}/v1")


def test_localhost_must_mean_this_machine():
    check_localhost(lambda name: ["127.0.0.1", "::1"])
    for addresses in (["10.0.0.7"], ["127.0.0.1", "10.0.0.7"], []):
        with pytest.raises(PrivacyError, match="not this machine"):
            check_localhost(lambda name, addresses=addresses: addresses)


def test_the_system_is_asked_what_localhost_is(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda name, port: [(2, 1, 6, "", ("10.0.0.7", 0))])
    with pytest.raises(PrivacyError, match=r"10\.0\.0\.7"):
        check_localhost()
