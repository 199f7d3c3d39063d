"""The sandbox's API on loopback: a threading HTTP server of the standard library, quiet, and gone at once when closed.

with serve(SandboxApi(exchange, clock)) as server:
    httpx2.get(f"{server.url}/0/public/Time")
"""

import select
import socket
import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any
from urllib.parse import unquote
from wsgiref.types import WSGIApplication, WSGIEnvironment

from chandlery.errors import ChandleryError
from chandlery.sandbox.replies import HungUp, Stalled

HOST = "127.0.0.1"

_OPTIONAL_EXC_INFO = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None] | None
#: How often the accepting thread looks whether it should end, in seconds.
_LOOKS = 0.05
#: How long closing waits for answers that are still being worked out, in seconds.
_PATIENCE = 10.0


class PortTaken(ChandleryError):
    """Port {port} of {host} cannot be used: {why}."""


@contextmanager
def serve(app: WSGIApplication, port: int = 0) -> Iterator["SandboxServer"]:
    """Serve `app` on loopback from threads of its own; port 0 is any that is free. Raises PortTaken."""
    try:
        server = SandboxServer(app, port)
    except OSError as error:
        raise PortTaken(port=port, host=HOST, why=error.strerror or error) from None
    thread = threading.Thread(target=server.serve_forever, args=(_LOOKS,), name="sandbox", daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class SandboxServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """A thread a connection. `url` has no slash at its end."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, app: WSGIApplication, port: int) -> None:
        self.app = app
        self._open: set[socket.socket] = set()
        self._changed = threading.Condition()
        super().__init__((HOST, port), _Conversation)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._changed:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self._changed:
            self._open.discard(request)
            self._changed.notify_all()

    def server_close(self) -> None:
        """Hang up on everyone: whoever waits for a request, or lets a client wait, sees its socket end."""
        super().server_close()
        with self._changed:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # the client was faster
            self._changed.wait_for(lambda: not self._open, _PATIENCE)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone away is no error; everything else is one of ours and is shown."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Conversation(BaseHTTPRequestHandler):
    """One connection: requests, one after the other, each put to the application."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: SandboxServer

    def do_GET(self) -> None:
        head: list[bytes] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: _OPTIONAL_EXC_INFO = None, /) -> Any:
            lines = [f"HTTP/1.1 {status}", f"Date: {formatdate(usegmt=True)}", "Server: sandbox"]
            lines += [f"{name}: {value}" for name, value in headers]
            if self.close_connection:
                lines.append("Connection: close")
            head.append("\r\n".join([*lines, "", ""]).encode("latin-1"))
            return self.wfile.write

        try:
            for piece in self.server.app(self._environ(), start_response):
                # Head and body in one packet.
                self.wfile.write(b"".join(head) + piece)
                head.clear()
        except HungUp:
            self.close_connection = True
        except Stalled as stalled:
            # Readable means that the client has gone away, or that this side is closing.
            select.select([self.connection], [], [], stalled.seconds)
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        """Nothing: the application keeps a log of its own."""

    def _environ(self) -> WSGIEnvironment:
        path, _, query = self.path.partition("?")
        return {
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(path, "latin-1"),
            "QUERY_STRING": query,
            "SERVER_NAME": HOST,
            "SERVER_PORT": str(self.server.port),
            "SERVER_PROTOCOL": self.request_version,
            "REMOTE_ADDR": str(self.client_address[0]),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": self.rfile,
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in self.headers.items()},
        }
