"""The dashboard and the API, served."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import CommandParser

from chandlery.errors import UsageError
from chandlery.management.base import ChandleryCommand

THREADS = 4


class NoWeb(UsageError):
    """The dashboard's packages are not installed: pip install 'chandlery[web]'"""


class Command(ChandleryCommand):
    help = (
        "Serve the dashboard and the JSON API: for this machine alone, unless --host names another address, which "
        "takes ALLOWED_HOSTS and WEB_LOGIN_REQUIRED. Ctrl-C stops it; jobs that were started from it go on."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("--host", default="127.0.0.1", metavar="ADDRESS", help="where to listen (default: 127.0.0.1)")
        add("--port", type=_port, default=8000, metavar="N", help="(default: 8000)")
        add(
            "--threads", type=_threads, default=THREADS, metavar="N", help=f"requests side by side (default: {THREADS})"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.WEB_INSTALLED:
            raise NoWeb
        from chandlery.web.serving import require_free_port, require_safe_host, serve

        host, port = options["host"], options["port"]
        require_safe_host(host)
        require_free_port(host, port)
        self.prepare_state()
        if settings.WEB_LOGIN_REQUIRED and not get_user_model().objects.exists():
            self.stderr.write(f"Nobody can sign in yet: {settings.PROGRAM} createsuperuser")
        shown = f"[{host}]" if ":" in host else host
        self.stdout.write(
            f"Serving http://{shown}:{port}/ (its API: http://{shown}:{port}/api/v1/docs); Ctrl-C stops it"
        )
        self.stdout.flush()
        serve(host, port, options["threads"])


def _port(value: str) -> int:
    if not value.isdecimal() or not 0 < int(value) < 65536:
        raise ArgumentTypeError(f"{value!r} is no port; give a whole number from 1 to 65535")
    return int(value)


def _threads(value: str) -> int:
    if not value.isdecimal() or not 0 < int(value) <= 256:
        raise ArgumentTypeError(f"{value!r} is no number of threads; give a whole number from 1 to 256")
    return int(value)
