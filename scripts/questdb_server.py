"""A QuestDB of this checkout's own, on loopback only: started, stopped and looked at.

    scripts/questdb start [--port 9000] [--data FOLDER] [--memory 512m]

The server is one Maven artifact, which the ordinary Maven client brings. What was not started here is left alone: a
process counts as ours if its number and, but for a correction of the clock, its start are those that were written down.
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from filelock import FileLock

from chandlery.pipeline.process_identity import ProcessIdentity, is_alive

VERSION = "9.3.4"
CHECKOUT = Path(__file__).parents[1]
JAR = CHECKOUT / "build" / "questdb" / f"questdb-{VERSION}.jar"
DATA = CHECKOUT / "data" / "questdb"
PATIENCE_SECONDS = 60.0
#: Warnings and errors; each query would be a line of its own otherwise.
_LOG_CONF = "writers=stdout\nw.stdout.class=io.questdb.log.LogConsoleWriter\nw.stdout.level=CRITICAL,ERROR,ADVISORY\n"


#: A proxy knows nothing of this machine's own.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))

#: Servers that this process has started: it is for it to notice that they have ended.
_children: "dict[int, subprocess.Popen[bytes]]" = {}


class ServerError(Exception):
    """What went wrong, in a line."""


@dataclass(frozen=True, slots=True)
class Ports:
    """HTTP is what Chandlery speaks; the others are QuestDB's own."""

    http: int = 9000
    postgres: int = 8812
    line: int = 9009
    health: int = 9003

    @classmethod
    def free(cls) -> "Ports":
        """Ports that nobody listens on now."""
        sockets = [socket.socket() for _ in range(4)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        ports = [one.getsockname()[1] for one in sockets]
        for one in sockets:
            one.close()
        return cls(*ports)


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A server with its data in `data`. `extra`: more of its settings, by their names in the environment (QDB_…)."""

    data: Path = DATA
    ports: Ports = field(default_factory=Ports)
    memory: str = "512m"
    extra: Mapping[str, str] = field(default_factory=dict)

    def start(self) -> bool:
        """Bring the server up; whether it was started now. Raises ServerError."""
        self.data.mkdir(parents=True, exist_ok=True)
        with FileLock(self.data / "start.lock"):
            if self.process() is not None:
                return False
            self._check_ports()
            jar = fetched()
            (self.data / "conf").mkdir(exist_ok=True)
            (self.data / "conf" / "log.conf").write_text(_LOG_CONF)
            with (self.data / "questdb.log").open("ab") as log:
                process = subprocess.Popen(
                    ["java", f"-Xmx{self.memory}", "-p", str(jar), "-m", "io.questdb/io.questdb.ServerMain",
                     "-d", str(self.data)],
                    env={**os.environ, **self.settings(), **self.extra},
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                )  # fmt: skip
            _children[process.pid] = process
            started = psutil.Process(process.pid).create_time()
            facts = {"pid": process.pid, "started": started, "http": self.ports.http}
            self._record.write_text(json.dumps(facts))
            self._wait_until_healthy(process)
        return True

    def stop(self) -> bool:
        """End the server if it is ours; whether there was one. What is written down of it goes when it has ended."""
        known, process = self._known(), self.process()
        if process is not None:
            process.terminate()
            try:
                process.wait(PATIENCE_SECONDS)
            except psutil.TimeoutExpired:
                process.kill()
                process.wait(PATIENCE_SECONDS)
            if process.pid in _children:
                _children.pop(process.pid).wait()
        if known is not None:
            self._record.unlink(missing_ok=True)
        return process is not None

    def is_up(self) -> bool:
        """Whether it answers, be it that it wants a password."""
        try:
            with _OPENER.open(f"http://127.0.0.1:{self.ports.health}/status", timeout=5):
                return True
        except urllib.error.HTTPError as error:
            return error.code in (401, 403)
        except OSError:
            return False

    def process(self) -> psutil.Process | None:
        """The process that was started here, if it still runs."""
        known = self._known()
        try:
            return psutil.Process(known.pid) if known is not None and is_alive(known) else None
        except psutil.NoSuchProcess:
            return None

    def _known(self) -> ProcessIdentity | None:
        """The process that was written down, whether or not it still runs."""
        try:
            facts = json.loads(self._record.read_text())
            return ProcessIdentity(socket.gethostname(), int(facts["pid"]), float(facts["started"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    @property
    def _record(self) -> Path:
        return self.data / "server.json"

    def settings(self) -> dict[str, str]:
        """What the server is told, by the names of its settings in the environment; `extra` may say otherwise."""
        ports = self.ports
        return {
            "QDB_HTTP_BIND_TO": f"127.0.0.1:{ports.http}",
            "QDB_HTTP_MIN_NET_BIND_TO": f"127.0.0.1:{ports.health}",
            "QDB_PG_NET_BIND_TO": f"127.0.0.1:{ports.postgres}",
            "QDB_LINE_TCP_NET_BIND_TO": f"127.0.0.1:{ports.line}",
            "QDB_TELEMETRY_ENABLED": "false",
            # What was acknowledged is on the disk: without this a power failure may take back what state remembers.
            "QDB_CAIRO_COMMIT_MODE": "sync",
        }

    def _check_ports(self) -> None:
        for port in (self.ports.http, self.ports.postgres, self.ports.line, self.ports.health):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    raise ServerError(f"port {port} of 127.0.0.1 is taken by another program") from None

    def _wait_until_healthy(self, process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            if self.is_up():
                return
            time.sleep(0.05)
        self.stop()
        last = (self.data / "questdb.log").read_text(errors="replace").strip().splitlines()[-1:]
        raise ServerError(f"QuestDB did not come up{': ' + last[0] if last else ''}; see {self.data / 'questdb.log'}")


def fetched() -> Path:
    """The server's file, brought by Maven where it is not there yet. Raises ServerError."""
    for program in ("java", "mvn"):
        if shutil.which(program) is None and not (program == "mvn" and JAR.exists()):
            raise ServerError(f"{program} is not installed; QuestDB needs Java 17 or newer, and Maven brings it")
    JAR.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(JAR.parent / "fetch.lock"):
        if not JAR.exists():
            print(f"Fetching QuestDB {VERSION} with Maven …", file=sys.stderr)
            brought = subprocess.run(
                ["mvn", "-q", "-B", "dependency:copy", f"-Dartifact=org.questdb:questdb:{VERSION}",
                 f"-DoutputDirectory={JAR.parent / 'new'}"],
                cwd=JAR.parent, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            )  # fmt: skip
            if brought.returncode:
                said = next((line for line in brought.stdout.splitlines() if "ERROR" in line), "Maven failed")
                raise ServerError(f"QuestDB {VERSION} cannot be fetched: {said}")
            (JAR.parent / "new" / JAR.name).replace(JAR)
    return JAR


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="scripts/questdb", description="A QuestDB of this checkout's own.")
    parser.add_argument("action", choices=("start", "stop", "status"))
    parser.add_argument("--data", type=Path, default=DATA, help="where its data is (default: data/questdb)")
    for name, port in (("port", 9000), ("postgres-port", 8812), ("line-port", 9009), ("health-port", 9003)):
        parser.add_argument(f"--{name}", type=int, default=port, help=f"default: {port}")
    parser.add_argument("--memory", default="512m", help="most that Java's heap may take (default: 512m)")
    asked = parser.parse_args(arguments)
    ports = Ports(asked.port, asked.postgres_port, asked.line_port, asked.health_port)
    server = LocalServer(asked.data.absolute(), ports, asked.memory)
    try:
        return _done(server, asked.action)
    except ServerError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1


def _done(server: LocalServer, action: str) -> int:
    process = server.process()
    if action == "stop":
        print("Stopped." if server.stop() else "It was not running.")
    elif action == "status" and process is None:
        print("Not running.")
        return 3
    else:
        started = action == "start" and server.start()
        facts = json.loads((server.data / "server.json").read_text())
        said = "Started" if started else "Running"
        print(
            f"{said}: process {facts['pid']}, CANDLE_STORE=questdb://127.0.0.1:{facts['http']}, data in {server.data}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
