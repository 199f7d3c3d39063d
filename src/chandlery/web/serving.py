"""Serve pages and API: for this machine, or for others where that has been thought about."""

from __future__ import annotations

import socket
from ipaddress import ip_address

from django.conf import settings

from chandlery.errors import UsageError
from chandlery.web.access import LOOPBACK_NAMES

APPLICATION = "chandlery.web.application:application"


class NotForOthers(UsageError):
    """--host {host} lets others in: {missing}. See docs/how-to/dashboard.md"""


class DebugForOthers(UsageError):
    """--host {host} lets others in, and DEBUG shows them settings and code; switch it off"""


class PortTaken(UsageError):
    """{host}:{port} cannot be served: {why}; another port: --port {other}"""


def require_safe_host(host: str) -> None:
    """Raises NotForOthers, DebugForOthers where others could come in and nothing would stop them."""
    if is_loopback(host):
        return
    missing = []
    if set(settings.ALLOWED_HOSTS) <= LOOPBACK_NAMES:
        missing.append("say by which name they ask (ALLOWED_HOSTS=candles.example)")
    if not settings.WEB_LOGIN_REQUIRED:
        missing.append("ask them for a login (WEB_LOGIN_REQUIRED=true)")
    if missing:
        raise NotForOthers(host=host, missing=" and ".join(missing))
    if settings.DEBUG:
        raise DebugForOthers(host=host)


def require_free_port(host: str, port: int) -> None:
    """Raises PortTaken. The server itself would try again and again."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise PortTaken(host=host, port=port, why=why, other=port + 1 if port < 65535 else 8000) from error


def is_loopback(host: str) -> bool:
    """Whether only this machine can ask there."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def serve(host: str, port: int, threads: int) -> None:
    """Until Ctrl-C or SIGTERM. One process: what is kept for the next question is kept once."""
    from granian.constants import Interfaces
    from granian.log import LogLevels
    from granian.server import Server

    Server(
        APPLICATION,
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=threads,
        respawn_failed_workers=True,
        log_level=LogLevels.warning,
        websockets=False,
    ).serve()
