"""What the oracles look at: a speech service and a gateway, as processes on loopback."""

import contextlib
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

API_ID, API_SECRET = "oracle", "oracle-api-secret"
PATIENCE_S = 30

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARIES = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "debug"

CONFIG = """
[http]
listen = "127.0.0.1:{port}"
public_url = "http://127.0.0.1:{port}"
[[api_keys]]
id = "{id}"
secret = "{secret}"
[twilio]
require_signature = false
token_secret = "a-token-secret-of-thirty-two-bytes"
[siprec]
listen = ["udp:127.0.0.1:{sip_port}", "tcp:127.0.0.1:{sip_port}"]
rtp_ports = "{rtp_first}-{rtp_last}"
[[siprec.trunks]]
name = "oracle"
sources = ["127.0.0.0/8"]
[upstream.autotranscribe]
base_url = "{service}"
api_id = "sim-api-id"
api_secret = "sim-api-secret"
{others}
[control]
start_grace = "0s"
[limits]
requests_per_second = 100000
requests_burst = 1000000
auth_failures_per_minute = 1000000
auth_failures_burst = 1000000
[store]
path = "{folder}/antiphon.db"
{more}
"""

# What else a call may ask for.
KEY = 'api_key = "sim-api-key"'
OTHERS = {"assemblyai": KEY, "deepgram": KEY, "vosk": ""}


class Failed(Exception):
    """An oracle and Antiphon do not agree."""


class World:
    """A speech service that prints what it got, and a gateway in front of it."""

    def __init__(self, folder: pathlib.Path, closing: contextlib.ExitStack, more: str = ""):
        self.folder = folder
        self._closing = closing
        self.service = self.service_of("autotranscribe")
        self.port = free_port()
        self.sip_port = free_port()
        self._others = self._other_services()
        self._config = folder / "antiphon.toml"
        self.configure(more)
        self._gateway = self._run("gateway", "antiphon", "serve", "--config", str(self._config))
        self._until_ready()

    def another(self, name: str, more: str) -> "World":
        """Another gateway with a service of its own; `more` is configuration."""
        folder = self.folder / name
        folder.mkdir()
        return World(folder, self._closing, more)

    def configure(self, more: str) -> None:
        """Writes the configuration; a gateway that runs reads it when it is told to."""
        self._config.write_text(CONFIG.format(port=self.port, id=API_ID, secret=API_SECRET,
                                              service=self.service.url, others=self._others,
                                              sip_port=self.sip_port, folder=self.folder,
                                              rtp_first=41000, rtp_last=41999, more=more))

    def hang_up(self) -> None:
        """Has the gateway read its secrets again."""
        self._gateway.send_signal(signal.SIGHUP)

    def run(self, name: str, *command: str, **environment: str) -> subprocess.Popen:
        """Any program, which ends with the oracles."""
        return self._start(name, command, os.environ | environment)

    def log(self, name: str) -> str:
        """What a program has logged until now."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def service_of(self, protocol: str, *switches: str) -> "Service":
        """Another speech service, which speaks this protocol; nothing is connected to it."""
        return Service(self._run(f"service-{protocol}", "antiphon-sim", "service", protocol,
                                 "--listen", "127.0.0.1:0", "--json", *switches))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, str]:
        """One request with the key; the status and the body of its answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        headers = {"asapp-api-id": API_ID, "asapp-api-secret": API_SECRET}
        if body is not None:
            headers["content-type"] = "application/json"
            body = json.dumps(body)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def get(self, path: str) -> str:
        """What is to be had at `path`."""
        status, text = self.ask("GET", path)
        expect(status == 200, f"GET {path} is answered {status}: {text}")
        return text

    def metric(self, name: str) -> float:
        """A metric, all its series together."""
        lines = [line.rsplit(" ", 1) for line in self.get("/metrics").splitlines()]
        return sum(float(line[1]) for line in lines if line[0].split("{")[0] == name)

    def _other_services(self) -> str:
        """The configuration of the other services, each of which is there."""
        sections = []
        for name, key in OTHERS.items():
            url = self.service_of(name).url.replace("http://", "ws://")
            sections.append(f'[upstream.{name}]\nbase_url = "{url}"\n{key}')
        return "\n".join(sections)

    def _run(self, name: str, program: str, *arguments: str) -> subprocess.Popen:
        return self._start(name, (BINARIES / program, *arguments), os.environ)

    def _start(self, name: str, command: tuple, environment) -> subprocess.Popen:
        with open(self.folder / f"{name}.log", "a") as log:
            process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE,
                                       stderr=log, text=True)
        self._closing.callback(end, process)
        return process

    def _until_ready(self) -> None:
        def ready() -> bool:
            expect(self._gateway.poll() is None, "the gateway ended at once")
            with contextlib.suppress(OSError):
                return self.ask("GET", "/health/ready")[0] == 200
            return False
        eventually("the gateway to be ready", ready)


class Service:
    """The speech service's records, one for each stream that has ended."""

    def __init__(self, process: subprocess.Popen):
        first = process.stdout.readline()
        expect(" at http" in first, f"the service says {first!r}")
        self.url = first.split()[-1]
        self._records: list[dict] = []
        threading.Thread(target=self._listen, args=(process.stdout,), daemon=True).start()

    def streams(self, guid: str, count: int) -> dict[str, dict]:
        """The records of a call's streams by role, once there are so many."""
        def of_call() -> list[dict]:
            return [record for record in list(self._records) if record["externalId"] == guid]
        eventually(f"{count} streams to end", lambda: len(of_call()) >= count)
        records = of_call()
        roles = {record["role"]: record for record in records}
        expect(len(records) == len(roles) == count, f"there are {len(records)} streams")
        return roles

    def ended(self, count: int) -> list[dict]:
        """The records of the first streams that ended, once there are so many."""
        eventually(f"{count} streams to end", lambda: len(self._records) >= count)
        return self._records[:count]

    def _listen(self, stdout) -> None:
        for line in stdout:
            self._records.append(json.loads(line))


def expect(so: bool, otherwise: str) -> None:
    """Fails the oracle unless it is so."""
    if not so:
        raise Failed(otherwise)


def eventually(what: str, so) -> None:
    """Waits until it is so."""
    end_at = time.monotonic() + PATIENCE_S
    while not so():
        expect(time.monotonic() < end_at, f"waited {PATIENCE_S} s for {what}")
        time.sleep(0.01)


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def end(process: subprocess.Popen) -> None:
    """Ends a process, kindly at first. Calls that still live are not waited for."""
    for ask in (process.terminate, process.terminate, process.kill):
        ask()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)
            return
