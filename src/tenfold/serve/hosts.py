"""Who a request says it is for, and which page sent it.

A page of another site can make a browser ask this server under a name of its own (DNS rebinding), or post
to it. So a request must name this machine by an address, as localhost, or by a name that was allowed; and
one that writes must come from a page of this server, where it comes from a page at all.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

from tenfold.serve.refusal import Refusal

__all__ = ["check_host", "check_origin", "client_of"]


def check_host(host: str | None, allowed: Collection[str]) -> None:
    """host: the request's header. allowed: names in lower case; "*" allows all. Raises Refusal 421."""
    if not host or _is_ours(_name_of(f"//{host}"), allowed):  # browsers always send one
        return
    raise Refusal(
        421,
        f"a request for the host {_shown(host)}",
        expected="an address, localhost, or a name that is allowed",
        remedy="allow it with --allowed-host",
    )


def check_origin(origin: str | None, host: str | None, allowed: Collection[str]) -> None:
    """origin, host: the request's headers; programs send no origin. Raises Refusal 403."""
    if origin is None or "*" in allowed:
        return
    name = _name_of(origin)
    if name and (name in allowed or urlsplit(origin).netloc.lower() == (host or "").lower()):
        return
    raise Refusal(
        403,
        f"a request from a page of {_shown(origin)}",
        expected="a page of this server",
        remedy="allow its host with --allowed-host",
    )


def _name_of(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _is_ours(name: str | None, allowed: Collection[str]) -> bool:
    if "*" in allowed or name == "localhost" or name in allowed:
        return True
    try:
        return bool(ip_address(name or ""))
    except ValueError:
        return False


def _shown(text: str) -> str:
    return ascii(text)[:60]


def client_of(address: str) -> str:
    """Whom an address belongs to: itself, or the 2^64 addresses of IPv6 that one client has."""
    if ":" not in address:
        return address
    try:
        number = IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(number.ipv4_mapped or IPv6Address(int(number) >> 64 << 64))
