"""assemblyai: whether the vendor's own client understands our AssemblyAI, and our AssemblyAI it.

No gateway is between them. What the client sends is what its makers send; what it makes of our
answers is what a real service's answers would have to be. Two things it cannot show: how fast sound
may come (it is not paced here), and temporary tokens as it fetches them (it wants https for that).
"""

import contextlib
import json
import logging
import threading
import urllib.request
import wave
from datetime import datetime, timedelta, timezone

import numpy
from assemblyai.streaming.v3 import (
    StreamingClient, StreamingClientOptions, StreamingEvents, StreamingParameters,
    StreamingSessionParameters)
from streamdouble import g711

from calls import SPEECH
from world import Service, World, eventually, expect

KEY = "sim-api-key"
CHUNK_MS = 100
# Ends what is said; less than that is part of it.
PAUSE_MS = 500
# It also logs each error that it reports.
logging.getLogger("assemblyai").setLevel(logging.CRITICAL)

PHRASES = {phrase["id"]: phrase for phrase in json.loads((SPEECH / "phrases.json").read_text())}


def session(world: World) -> str:
    """Phrases of a call, raw and formatted; an endpoint is forced and the settings are changed."""
    service = world.service_of("assemblyai")
    client = Client(service)
    client.connect(format_turns=True, keyterms_prompt=["IEEE", "Jon Snow"], max_turn_silence=1280,
                   inactivity_timeout=60, session_heartbeat=True)
    begin = client.wait(StreamingEvents.Begin, 1)[0]
    left = begin.expires_at - datetime.now(timezone.utc)
    expect(timedelta(hours=2, minutes=59) < left <= timedelta(hours=3), f"it lasts {left}")
    expect(begin.configuration.api_version == "2025-05-12", f"{begin.configuration}")

    client.say("customer-greeting", "customer-account")
    client.wait_for_turns(2)
    # The pause behind it does not come: it is ended by force.
    client.say("customer-receipt", pause_ms=0)
    client.force_endpoint()
    client.wait_for_turns(3)
    client.set_params(StreamingSessionParameters(max_turn_silence=900, keyterms_prompt=[]))
    client.keep_alive()
    client.say("customer-goodbye")
    client.disconnect(terminate=True)

    said = ["customer-greeting", "customer-account", "customer-receipt", "customer-goodbye"]
    client.expect_turns(said, raw_too=True)
    end = client.events(StreamingEvents.Termination)[0]
    expect(end.audio_duration_seconds == client.sent_ms // 1000, f"{end} of {client.sent_ms} ms")
    expect(not client.errors, f"the client reports {client.errors}")
    expect(not client.left_over, f"the client does not know {client.left_over}")

    record = service.ended(1)[0]
    expect(record["finalCode"] == 1000 and not record["complaints"], f"the service: {record}")
    expect(not record["unknownParameters"], f"we do not know {record['unknownParameters']}")
    expect(dict(record["query"])["format_turns"] == "True", "the client writes booleans otherwise")
    kinds = [json.loads(text)["type"] for text in record["said"]]
    expect(kinds == ["ForceEndpoint", "UpdateConfiguration", "KeepAlive", "Terminate"],
           f"the client says {kinds}")
    return f"{len(said)} phrases raw and formatted, {client.partials} partial turns"


def mu_law(world: World) -> str:
    """The same in μ-law, with a temporary token and the model that formats every turn."""
    service = world.service_of("assemblyai")
    request = urllib.request.Request(f"{service.url}/v3/token?expires_in_seconds=60",
                                     headers={"authorization": KEY})
    # The address is loopback's.
    with contextlib.closing(urllib.request.urlopen(request)) as answer:
        token = json.load(answer)["token"]
    client = Client(service, token=token)
    client.connect(encoding="pcm_mulaw", speech_model="u3-rt-pro")
    said = ["agent-greeting", "agent-balance", "agent-goodbye"]
    client.say(*said)
    client.disconnect(terminate=True)
    client.expect_turns(said, raw_too=False)
    starts = client.events(StreamingEvents.SpeechStarted)
    expect(len(starts) == len(said), f"speech started {len(starts)} times")
    record = service.ended(1)[0]
    expect(record["audioSamples"] == record["audioBytes"] == client.sent_ms * 8, f"{record}")
    again = Client(service, token=token)
    again.connect()
    again.wait_for_error(1008)
    return f"{len(said)} phrases; the token opens nothing more"


def refusals(world: World) -> str:
    """What ends a session has the code that the client knows it by."""
    unharmed = world.service_of("assemblyai")
    stranger = Client(unharmed, api_key="another-key")
    stranger.connect()
    stranger.wait_for_error(1008)
    hasty = Client(unharmed)
    hasty.connect()
    hasty.stream(bytes(400))
    error = hasty.wait_for_error(3007)
    expect("25.0 ms. Expected between 50 and 1000 ms" in str(error), f"the client says {error}")

    codes = [1008, 3007]
    for switches, code in [(["--upgrade-status", "503"], 503), (["--upgrade-status", "429"], 429),
                           (["--sessions-max", "0"], 3009), (["--cut", "error:3005"], 3005),
                           (["--cut", "close:1011"], 1011), (["--duration-max", "1s"], 3008)]:
        client = Client(world.service_of("assemblyai", "--deaf", *switches))
        client.connect()
        client.stream(bytes(1600))
        client.wait_for_error(code)
        codes.append(code)
    return f"codes {', '.join(map(str, codes))}"


class Client(StreamingClient):
    """The vendor's client, and what it tells."""

    def __init__(self, service: Service, **credentials: str):
        host = service.url.replace("http://", "ws://")
        super().__init__(StreamingClientOptions(
            api_host=host, **(credentials or {"api_key": KEY}), max_connection_retries=0,
            connect_timeout=10, terminate_timeout=20))
        self.sent_ms = 0
        self.errors: list = []
        self.left_over: list[str] = []
        self._told: list[tuple[StreamingEvents, object]] = []
        self._lock = threading.Lock()
        self._mu_law = False
        for event in StreamingEvents:
            self.on(event, lambda _, told, event=event: self._take(event, told))

    def connect(self, **parameters) -> None:
        self._mu_law = parameters.get("encoding") == "pcm_mulaw"
        super().connect(StreamingParameters(sample_rate=8000, **parameters))

    def say(self, *ids: str, pause_ms: int = PAUSE_MS) -> None:
        """Sends phrases, each with a pause, in chunks."""
        for id in ids:
            with wave.open(str(SPEECH / f"{id}.wav")) as recording:
                sound = recording.readframes(recording.getnframes())
            sound += bytes(16 * pause_ms)
            sound += bytes(-len(sound) % (16 * CHUNK_MS))
            self.sent_ms += len(sound) // 16
            if self._mu_law:
                sound = g711.encode(numpy.frombuffer(sound, "<i2"))
            size = CHUNK_MS * (8 if self._mu_law else 16)
            self.stream(sound[at:at + size] for at in range(0, len(sound), size))

    def events(self, event: StreamingEvents) -> list:
        """What was told of this kind."""
        with self._lock:
            return [told for kind, told in self._told if kind == event]

    @property
    def partials(self) -> int:
        return sum(not turn.end_of_turn for turn in self.events(StreamingEvents.Turn))

    def wait(self, event: StreamingEvents, count: int) -> list:
        """What was told of this kind, once it was told so often."""
        eventually(f"{count} of {event}", lambda: len(self.events(event)) >= count)
        return self.events(event)

    def wait_for_turns(self, count: int) -> None:
        """Waits until so many turns have their formatted end."""
        eventually(f"{count} turns", lambda: len(self._ends(formatted=True)) >= count)

    def wait_for_error(self, code: int):
        """The error that ended it, which must have this code."""
        eventually(f"error {code}", lambda: self.errors)
        self.disconnect()
        codes = [error.code for error in self.errors]
        expect(codes == [code], f"the client reports {codes}, expected {code}")
        return self.errors[0]

    def expect_turns(self, ids: list[str], raw_too: bool) -> None:
        """Expects these phrases, each once and in order, and their words at plausible times."""
        formatted = self._ends(formatted=True)
        texts = [turn.transcript for turn in formatted]
        expect(texts == [PHRASES[id]["text"] for id in ids], f"the client hears {texts}")
        orders = [turn.turn_order for turn in formatted]
        expect(orders == list(range(len(ids))), f"the turns are {orders}")
        raw = [turn.transcript for turn in self._ends(formatted=False)]
        wanted = [PHRASES[id]["spoken"] for id in ids] if raw_too else raw
        expect(raw == wanted, f"raw, the client hears {raw}")
        words = [word for turn in formatted for word in turn.words]
        times = [time for word in words for time in (word.start, word.end)]
        expect(times == sorted(times) and times[-1] <= self.sent_ms, f"words are at {times}")

    def _ends(self, formatted: bool) -> list:
        turns = self.events(StreamingEvents.Turn)
        return [turn for turn in turns if turn.end_of_turn and turn.turn_is_formatted == formatted]

    def _take(self, event: StreamingEvents, told) -> None:
        with self._lock:
            self._told.append((event, told))
            if event == StreamingEvents.Error:
                self.errors.append(told)

    def _parse_message(self, message: dict):
        parsed = super()._parse_message(message)
        if parsed is None:
            self.left_over.append(message.get("type"))
        return parsed
