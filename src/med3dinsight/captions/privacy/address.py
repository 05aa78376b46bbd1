"""Where an endpoint is: on this machine or elsewhere; whatever could be read in two ways is refused."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ...errors import PrivacyError

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#\\]*)(?P<path>/[A-Za-z0-9._~:+,=/-]*)?")
_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?::(?P<port>[0-9]{1,5}))?")
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
#: Resolvers read a name that ends like this as an address: 127.1, 0x7f000001, 2130706433.
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_EXAMPLE = "for example http://127.0.0.1:8000/v1 or https://HOST/v1"


@dataclass(frozen=True)
class Address:
    """An endpoint.

    Attributes:
        url: The base URL, without a slash at its end.
        host: In lower case; IPv6 without brackets.
        port: The given one, or that of the scheme.
        loopback: Whether it is a literal loopback address or ``localhost``.
    """

    url: str
    host: str
    port: int
    loopback: bool


def parse_address(base_url: str) -> Address:
    """Reads a base URL and says whether it is on this machine; nothing is sent or resolved.

    This machine are 127.0.0.0 to 127.255.255.255 in four plain numbers, ``[::1]``, and ``localhost``. Every other way
    to write them, which some client somewhere would read as something else, is refused or counts as elsewhere.

    Args:
        base_url: As for the OpenAI client.

    Raises:
        PrivacyError: It is no plain http or https URL; it holds a user name, a password or a query; its host is
            written in an unusual way; or it is elsewhere and not https.

    Example:
        >>> parse_address("http://localhost:11434/v1").loopback
        True
        >>> parse_address("https://localhost.example.com/v1").loopback
        False
    """
    match = _URL.fullmatch(base_url)
    scheme = "" if match is None else match["scheme"].lower()
    if match is None or scheme not in ("http", "https"):
        raise PrivacyError(_complaint(base_url), f"give a plain URL, {_EXAMPLE}")
    if "@" in match["authority"]:  # never repeated in a message: it may be a password
        raise PrivacyError("the base URL holds a user name or password", "give the key in an environment variable")
    authority = _AUTHORITY.fullmatch(match["authority"])
    if authority is None or (authority["port"] is not None and not 0 < int(authority["port"]) < 1 << 16):
        raise PrivacyError(f"the base URL names no plain host and port: {match['authority']!r}", f"give {_EXAMPLE}")
    host, loopback = _host(authority["host"])
    if scheme != "https" and not loopback:
        raise PrivacyError(f"{host} is not this machine, and http would send slices in the clear", "give an https URL")
    port = int(authority["port"] or (443 if scheme == "https" else 80))
    return Address(base_url.rstrip("/"), host, port, loopback)


def check_localhost(resolve: Callable[[str], Iterable[str]] | None = None) -> None:
    """Checks that the name ``localhost`` means this machine here.

    Args:
        resolve: Returns the addresses of a name; None asks the system.

    Raises:
        PrivacyError: It has another address, or none.
    """
    found = tuple((resolve or _resolve)("localhost"))
    if not found or not all(ipaddress.ip_address(address).is_loopback for address in found):
        told = ", ".join(found) or "no address"
        raise PrivacyError(f"localhost is {told} here, which is not this machine", "write 127.0.0.1 in the base URL")


def _resolve(name: str) -> set[str]:
    try:
        return {str(entry[4][0]).partition("%")[0] for entry in socket.getaddrinfo(name, None)}
    except OSError:
        return set()


def _complaint(base_url: str) -> str:
    if not base_url.strip():
        return "there is no base URL"
    if "?" in base_url or "#" in base_url:
        return "the base URL holds a query or a fragment"
    return "the base URL is no plain http or https URL"  # not repeated: it may hold a password


def _host(text: str) -> tuple[str, bool]:
    """Returns the host in one spelling, and whether it is this machine."""
    if text.startswith("["):
        return _ipv6(text)
    name = text.lower()
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            number = ipaddress.IPv4Address(name)  # refuses leading zeros, which some clients read as octal
        except ValueError:
            raise PrivacyError(f"{text} is an unusual way to write an address", "give four plain numbers") from None
        return str(number), number.is_loopback
    if len(name) > 253 or not all(map(_LABEL.fullmatch, labels)):  # a dot at the end leaves an empty label
        raise PrivacyError(f"{text} is no plain host name", f"write it without dots at its ends, {_EXAMPLE}")
    return name, name == "localhost"


def _ipv6(text: str) -> tuple[str, bool]:
    try:
        number = ipaddress.IPv6Address(text[1:-1])
    except ValueError:
        raise PrivacyError(f"{text} is no IPv6 address", f"give {_EXAMPLE}") from None
    return str(number), number == ipaddress.IPv6Address("::1")  # ::ffff:127.0.0.1 leaves some hosts
