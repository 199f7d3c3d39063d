"""What a server that is not the right one says, and what becomes of it: one line each."""

import json
import socket
import ssl
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from chandlery.errors import ChandleryError, UsageError
from chandlery.stores import UnknownStore, open_store, questdb_sender, questdb_server
from chandlery.stores.base import StoreUnavailable
from chandlery.stores.questdb_address import Address, WrongAddress, parse_address
from chandlery.stores.questdb_sender import NoClient, NotStored, Outbox
from chandlery.stores.questdb_server import Busy, NotQuestDB, Refused, Server, TooOld, Unreachable
from chandlery.stores.stored import with_origin
from tests.stores.contract import CHEAP, HOURLY
from tests.stores.turns import OLD

HERE = Path("/home")


def address_of(server: HTTPServer) -> Address:
    return Address("127.0.0.1", server.port)


def answering(server: HTTPServer, build: str = "Build Information: QuestDB 9.3.4, JDK 24") -> None:
    """Tells its version to whoever asks."""
    query = {"query": "SELECT build()"}
    server.expect_request("/exec", query_string=query).respond_with_json({"dataset": [[build]], "count": 1})


@pytest.mark.parametrize(
    ("build", "found"),
    [("Build Information: QuestDB 9.1.1, JDK 17", "9.1.1"), ("Build Information: QuestDB Enterprise 8.0, JDK", "8.0")],
)
def test_a_server_that_is_too_old_is_told_with_what_is_needed(httpserver: HTTPServer, build: str, found: str) -> None:
    answering(httpserver, build)
    server = Server(address_of(httpserver))
    for ask in (server.rows, server.frame):
        with pytest.raises(TooOld) as raised:
            ask("SELECT 1")
        assert str(raised.value) == f"QuestDB at {server.name} is version {found}; needed is 9.2 or newer"


@pytest.mark.parametrize("build", ["QuestDB 9.2.0", "QuestDB 10.0", "QuestDB Enterprise 9.12.3"])
def test_a_newer_server_will_do(httpserver: HTTPServer, build: str) -> None:
    answering(httpserver, build)
    httpserver.expect_request("/exec", query_string={"query": "SELECT 1"}).respond_with_json({"dataset": [[1]]})
    assert Server(address_of(httpserver)).rows("SELECT 1") == [[1]]


@pytest.mark.parametrize(
    "answer",
    [
        Response("<html>Welcome</html>", content_type="text/html"),
        Response(status=404),
        Response(json.dumps({"dataset": [["PostgreSQL 17"]]}), content_type="application/json"),
        Response("[]", content_type="application/json"),
    ],
    ids=["a page", "nothing", "another database", "other JSON"],
)
def test_what_is_no_questdb_is_told(httpserver: HTTPServer, answer: Response) -> None:
    httpserver.expect_request("/exec").respond_with_response(answer)
    with pytest.raises(NotQuestDB, match=r"^What answers at 127\.0\.0\.1:\d+ is no QuestDB: "):
        Server(address_of(httpserver)).rows("SELECT 1")


def test_an_error_at_the_end_of_an_answer_is_no_answer(httpserver: HTTPServer) -> None:
    answering(httpserver)
    torn = {"dataset": [[]], "count": 1, "error": "out of memory"}
    httpserver.expect_request("/exec", query_string={"query": "SELECT 1"}).respond_with_json(torn)
    with pytest.raises(Refused, match="refused a statement: out of memory"):
        Server(address_of(httpserver)).rows("SELECT 1")


def test_a_frame_that_was_cut_off_is_told(httpserver: HTTPServer) -> None:
    answering(httpserver)
    httpserver.expect_request("/exp").respond_with_data(b"PAR1 and no more")
    with pytest.raises(Unreachable, match="its answer was cut off"):
        Server(address_of(httpserver)).frame("SELECT 1")


def test_where_all_connections_for_exports_are_taken_we_wait_for_ours(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    answering(httpserver)
    pl.DataFrame({"x": [1]}).write_parquet(tmp_path / "x")
    content, asked = (tmp_path / "x").read_bytes(), []

    def answer(request: Request) -> Response:
        asked.append(request.headers["Connection"])
        return Response(status=429) if len(asked) < 3 else Response(content)

    httpserver.expect_request("/exp").respond_with_handler(answer)
    server = Server(address_of(httpserver))
    assert server.frame("SELECT x").rows() == [(1,)]
    assert asked == ["close"] * 3
    monkeypatch.setattr(questdb_server, "PATIENCE_SECONDS", -1.0)
    asked.clear()
    with pytest.raises(Busy, match=r"raise its http\.export\.connection\.limit"):
        server.frame("SELECT x")


@pytest.mark.parametrize(
    "reason", ["could not open read-write [errno=28] No space left on device", "table is suspended"]
)
def test_a_flush_that_is_refused_is_told_with_the_reason(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    monkeypatch.setattr(questdb_sender, "RETRY_MILLISECONDS", 0)
    versions = {"config": {"line.proto.support.versions": [1, 2], "cairo.max.file.name.length": 127}}
    httpserver.expect_request("/settings").respond_with_json(versions)
    refusal = {"code": "internal error", "message": f"failed to commit: {reason}", "errorId": "x-1"}
    httpserver.expect_request("/write").respond_with_json(refusal, status=500)
    with Outbox(address_of(httpserver), 1, HOURLY) as outbox:
        outbox.put(with_origin(CHEAP, OLD))
        with pytest.raises(NotStored) as raised:
            outbox.finish()
    assert reason in str(raised.value)
    assert "\n" not in str(raised.value)
    assert isinstance(raised.value, StoreUnavailable)


def breaking_off(server: HTTPServer) -> None:
    """Takes rows as QuestDB does when its disk becomes full: it resets the connection in the middle of the request."""
    versions = {"config": {"line.proto.support.versions": [1, 2], "cairo.max.file.name.length": 127}}
    server.expect_request("/settings").respond_with_json(versions)

    def reset(request: Request) -> Response:
        connection: socket.socket = request.environ["werkzeug.socket"]
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        raise ConnectionResetError

    server.expect_request("/write").respond_with_handler(reset)


def sent_to(server: HTTPServer) -> None:
    with Outbox(address_of(server), 1, HOURLY) as outbox:
        outbox.put(with_origin(CHEAP, OLD))
        outbox.finish()


def test_a_server_that_breaks_off_and_answers_others_is_not_told_as_unreachable(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questdb_sender, "RETRY_MILLISECONDS", 0)
    breaking_off(httpserver)
    answering(httpserver)
    httpserver.expect_request("/exec", query_string={"query": "SELECT 1"}).respond_with_json({"dataset": [[1]]})
    with pytest.raises(NotStored) as raised:
        sent_to(httpserver)
    assert str(raised.value) == (
        f"QuestDB at 127.0.0.1:{httpserver.port} did not store what was sent: it broke off the connection, and answers "
        "still; its disk may be full, see its log"
    )


def test_a_server_that_breaks_off_and_answers_nobody_cannot_be_reached(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questdb_sender, "RETRY_MILLISECONDS", 0)
    breaking_off(httpserver)
    httpserver.expect_request("/exec").respond_with_data("", status=503)
    with pytest.raises(Unreachable):
        sent_to(httpserver)


def test_tls_that_the_server_does_not_speak_is_told(httpserver: HTTPServer) -> None:
    with pytest.raises(Unreachable):
        Server(Address("127.0.0.1", httpserver.port, tls=True)).rows("SELECT 1")


def test_certificates_that_are_not_there_are_told(tmp_path: Path) -> None:
    store = open_store("questdbs://localhost/candles?ca=no.pem", tmp_path)
    with pytest.raises(ChandleryError, match=rf"{tmp_path}/no\.pem, named in CANDLE_STORE, cannot be read"):
        store.identity()


# ------------------------------------------------------------------------------------------------------ addresses


def test_an_address_says_server_user_and_table() -> None:
    address = parse_address("questdb://me:p%40ss%2Fword@db.example:9001/quotes", HERE)
    assert address == Address("db.example", 9001, user="me", password="p@ss/word", table="quotes")
    assert (address.base_url, str(address)) == ("http://db.example:9001", "questdb://me@db.example:9001/quotes")


def test_port_and_table_may_be_left_out() -> None:
    address = parse_address("questdbs://[::1]?ca=own.pem", HERE)
    assert address == Address("::1", 9000, tls=True, table="candles", ca=HERE / "own.pem")
    assert address.base_url == "https://[::1]:9000"


@pytest.mark.parametrize(
    "url",
    [
        "questdb:", "questdb://", "questdb:///candles", "questdb://me:secret@/candles", "questdb://me@host",
        "questdb://host/can dles", "questdb://host/a;b", "questdb://host/a/b", "questdb://host/1st", "questdb://host/'",
        "questdb://me:secret@host:port/x", "questdb://me:sec/ret@host", "questdb://me:secret@host?tls=off",
        "questdb://me:secret@host:99999", "questdb://me:secret@host/x#y", "questdb://me:secret@[::1/x",
    ],
)  # fmt: skip
def test_a_wrong_address_is_wrong_usage_and_not_repeated(url: str) -> None:
    with pytest.raises(WrongAddress, match=r"^A QuestDB store is written questdb://user:password@host") as raised:
        open_store(url, HERE)
    assert isinstance(raised.value, UsageError)
    assert "sec" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_another_scheme_is_told_with_those_there_are() -> None:
    with pytest.raises(UnknownStore, match="parquet:FOLDER or questdb://user:password@host:9000"):
        open_store("questdbx://me:secret@host", HERE)


# ------------------------------------------------------------------------------------------------- TLS, the client


@pytest.fixture
def certified(tmp_path: Path) -> Iterator[tuple[HTTPServer, Path]]:
    """A server that speaks TLS with a certificate of its own making."""
    key, certificate = tmp_path / "key.pem", tmp_path / "own.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    # As its own root, and not as one that vouches for others: the client is strict about that.
    subject += ["-addext", "basicConstraints=critical,CA:FALSE"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with HTTPServer(host="localhost", ssl_context=context) as server:
        yield server, certificate


def test_tls_with_certificates_of_ones_own(certified: tuple[HTTPServer, Path]) -> None:
    httpserver, certificate = certified
    answering(httpserver)
    address = parse_address(f"questdbs://me:secret@localhost:{httpserver.port}?ca={certificate}", HERE)
    assert Server(address).rows("SELECT build()")
    sent: list[Request] = []

    def take(request: Request) -> Response:
        sent.append(request)
        return Response(status=204)

    versions = {"config": {"line.proto.support.versions": [1, 2], "cairo.max.file.name.length": 127}}
    httpserver.expect_request("/settings").respond_with_json(versions)
    httpserver.expect_request("/write").respond_with_handler(take)
    with Outbox(address, 1, HOURLY) as outbox:
        outbox.put(with_origin(CHEAP, OLD))
        outbox.finish()
    authorization = sent[0].authorization
    assert authorization is not None
    assert (authorization.username, authorization.password) == ("me", "secret")


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(
    certified: tuple[HTTPServer, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questdb_sender, "RETRY_MILLISECONDS", 0)
    address = parse_address(f"questdbs://localhost:{certified[0].port}", HERE)
    with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
        Server(address).rows("SELECT 1")
    with Outbox(address, 1, HOURLY) as outbox:
        outbox.put(with_origin(CHEAP, OLD))
        with pytest.raises(Unreachable):
            outbox.finish()


def test_without_the_client_it_is_told_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with Outbox(Address("127.0.0.1"), 1, HOURLY) as outbox:
        outbox.put(with_origin(CHEAP, OLD))
        with pytest.raises(NoClient, match=r"needs pandas; install it with: pip install 'chandlery\[questdb\]'"):
            outbox.finish()
