"""deepgram-sdk: whether the vendor's own client understands our Deepgram, and our Deepgram it.

No gateway is between them. The client takes whatever comes, so each message is also held against
the description that the client has of it. What it cannot show: how fast sound may come (it is not
paced here), and what closes a socket when the vendor does.
"""

import contextlib
import json
import threading
import time
import wave

import numpy
from deepgram import DeepgramClient
from deepgram.core.events import EventType
from deepgram.environment import DeepgramClientEnvironment
from deepgram.listen.v1.types import (
    ListenV1Error, ListenV1Metadata, ListenV1Results, ListenV1SpeechStarted, ListenV1UtteranceEnd)
from pydantic import ValidationError
from streamdouble import g711
from websockets.exceptions import InvalidStatus

from calls import SPEECH
from world import Service, World, eventually, expect

KEY = "sim-api-key"
CHUNK_MS = 100
# Ends what is said; less than that is part of it.
PAUSE_MS = 500
# What the client calls an error of the socket, which it tells behind all messages.
CLOSED = "closed"

PHRASES = {phrase["id"]: phrase for phrase in json.loads((SPEECH / "phrases.json").read_text())}


def session(world: World) -> str:
    """Phrases of a call, with guesses at them; what is said last but one is finalized."""
    service = world.service_of("deepgram")
    said = ["customer-greeting", "customer-account", "customer-receipt", "customer-goodbye"]
    with Client(service, api_key=KEY).connected(
            smart_format=True, interim_results=True, vad_events=True, utterance_end_ms=1000,
            endpointing=300, keyterm=["IEEE", "Jon Snow"], tag="oracle") as client:
        client.say(*said[:2])
        client.wait_for_finals(2)
        # The pause behind it does not come: what was said so far is asked for.
        client.say(said[2], pause_ms=0)
        client.socket.send_finalize()
        client.wait_for_finals(3)
        client.socket.send_keep_alive()
        client.say(said[3])
        client.close()
    client.expect_heard(said, "text")
    from_finalize = [result.from_finalize for result in client.finals]
    expect(from_finalize == [False, False, True, False], f"finalized are {from_finalize}")
    for kind in (ListenV1SpeechStarted, ListenV1UtteranceEnd):
        expect(len(client.told(kind)) == len(said), f"the client is told {client.told(kind)}")
    interims = len(client.results) - len(client.finals)
    expect(interims >= len(said), f"there are {interims} guesses")

    record = service.ended(1)[0]
    expect(not record["complaints"], f"the service: {record}")
    expect(not record["unknownParameters"], f"we do not know {record['unknownParameters']}")
    keyterms = [value for name, value in record["query"] if name == "keyterm"]
    expect(keyterms == ["IEEE", "Jon Snow"], f"the client asks for {keyterms}")
    expect(record["audioBytes"] == client.sent_ms * 16, f"the service: {record}")
    kinds = [json.loads(text)["type"] for text in record["said"]]
    expect(kinds == ["Finalize", "KeepAlive", "CloseStream"], f"the client says {kinds}")
    return f"{len(said)} phrases, {interims} guesses"


def mu_law(world: World) -> str:
    """The same in μ-law, with an access token, unformatted and in pieces."""
    service = world.service_of("deepgram", "--piece-words", "3")
    said = ["agent-greeting", "agent-balance", "agent-goodbye"]
    with Client(service, access_token=KEY).connected(encoding="mulaw") as client:
        client.say(*said)
        client.close()
    ends = client.expect_heard(said, "spoken")
    expect(len(client.results) > ends, "nothing came in pieces")
    record = service.ended(1)[0]
    expect(record["audioSamples"] == record["audioBytes"] == client.sent_ms * 8, f"{record}")
    return f"{len(said)} phrases in {len(client.results)} pieces"


def kept_alive(world: World) -> str:
    """A session without sound lives as long as the client says so, and its clock stands still."""
    service = world.service_of("deepgram", "--idle-timeout", "1s")
    with Client(service, api_key=KEY).connected() as client:
        began = time.monotonic()
        while time.monotonic() < began + 3:
            client.socket.send_keep_alive()
            time.sleep(0.3)
        client.say("customer-greeting")
        client.wait_for_finals(1)
        client.expect_heard(["customer-greeting"], "spoken")
        client.wait_for_code(1011)
    expect(len(client.told(ListenV1Error)) == 1, "the client is told no error")
    return "3 s without sound; then code 1011"


def refusals(world: World) -> str:
    """What opens no session has a status, and what ends one has a code; the client has them all."""
    unharmed = world.service_of("deepgram")
    attempts = [(unharmed, {"api_key": "another-key"}, 401),
                (unharmed, {"access_token": "another-token"}, 401)]
    for status in (402, 429, 503):
        service = world.service_of("deepgram", "--deaf", "--upgrade-status", str(status))
        attempts.append((service, {"api_key": KEY}, status))
    for service, credentials, status in attempts:
        expect_refused(Client(service, **credentials), status)
    expect_refused(Client(unharmed, api_key=KEY), 400, encoding="opera")

    codes = []
    for switch, code in [("error:1008", 1008), ("error:1011", 1011), ("close:1013", 1013)]:
        service = world.service_of("deepgram", "--deaf", "--cut", switch)
        with Client(service, api_key=KEY).connected() as client:
            with contextlib.suppress(OSError):
                client.socket.send_media(bytes(1600))
            client.wait_for_code(code)
        errors = client.told(ListenV1Error)
        expect(len(errors) == switch.startswith("error"), f"{switch}: the client is told {errors}")
        codes.append(code)
    statuses = [status for _, _, status in attempts] + [400]
    return f"statuses {', '.join(map(str, statuses))}; codes {', '.join(map(str, codes))}"


def expect_refused(client: "Client", status: int, **parameters) -> None:
    """Expects that no session opens, for this reason."""
    try:
        with client.connected(**parameters):
            expect(False, f"a session opens in place of {status}")
    except InvalidStatus as error:
        came = error.response.status_code
        expect(came == status, f"refused with {came}, not {status}")


class Client:
    """The vendor's client, and what it tells."""

    def __init__(self, service: Service, **credentials: str):
        address = service.url.replace("http://", "ws://")
        # The live service is at what it calls production.
        environment = DeepgramClientEnvironment(
            base=service.url, production=address, agent=address, agent_rest=service.url)
        self._client = DeepgramClient(environment=environment, **credentials)
        self.sent_ms = 0
        self.socket = None
        self._told: list = []
        self._failures: list[Exception] = []
        self._lock = threading.Lock()
        self._mu_law = False

    @contextlib.contextmanager
    def connected(self, **parameters):
        """Connects, and listens until the socket is closed."""
        self._mu_law = parameters.get("encoding") == "mulaw"
        parameters = {"model": "nova-3", "encoding": "linear16", "sample_rate": 8000} | parameters
        with self._client.listen.v1.connect(**parameters) as self.socket:
            self.socket.on(EventType.MESSAGE, self._take)
            self.socket.on(EventType.ERROR, self._failures.append)
            self.socket.on(EventType.CLOSE, lambda _: self._take(CLOSED))
            listener = threading.Thread(target=self.socket.start_listening, daemon=True)
            listener.start()
            yield self
        listener.join()
        self._expect_described()

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
            for at in range(0, len(sound), size):
                self.socket.send_media(sound[at:at + size])

    def close(self) -> None:
        """Ends the session and expects that it is summed up, then closed."""
        self.socket.send_close_stream()
        self._wait_for_close()
        expect(not self._failures, f"the client reports {self._failures}")
        end = self._all[-2]
        expect(isinstance(end, ListenV1Metadata), f"the last message is {end}")
        expect(end.duration * 1000 == self.sent_ms, f"{end} of {self.sent_ms} ms")

    def wait_for_code(self, code: int) -> None:
        """Waits for the close, which must have this code."""
        self._wait_for_close()
        codes = [failure.rcvd and failure.rcvd.code for failure in self._failures]
        expect(codes == [code], f"it is closed with {codes}, expected {code}")

    def told(self, kind: type) -> list:
        """The messages of this kind."""
        return [told for told in self._all if isinstance(told, kind)]

    @property
    def results(self) -> list[ListenV1Results]:
        return self.told(ListenV1Results)

    @property
    def finals(self) -> list[ListenV1Results]:
        return [result for result in self.results if result.is_final]

    def wait_for_finals(self, count: int) -> None:
        """Waits for so many results that will not change."""
        eventually(f"{count} finals", lambda: len(self.finals) >= count)

    def expect_heard(self, ids: list[str], form: str) -> int:
        """Expects these phrases, each once and in order, and their words at plausible times."""
        heard, pieces = [], []
        for final in self.finals:
            pieces.append(final.channel.alternatives[0].transcript)
            if final.speech_final:
                heard.append(" ".join(pieces))
                pieces = []
        expect(not pieces, f"nothing ends {pieces}")
        expect(heard == [PHRASES[id][form] for id in ids], f"the client hears {heard}")
        for result in self.results:
            words = result.channel.alternatives[0].words
            times = [time for word in words for time in (word.start, word.end)]
            end = result.start + result.duration
            expect(times == sorted(times), f"words are at {times}")
            expect(result.start <= times[0] and times[-1] <= end + 1e-6, f"{times} in {result}")
        ends = [final.start + final.duration for final in self.finals]
        expect(ends == sorted(ends) and ends[-1] * 1000 <= self.sent_ms, f"finals end at {ends}")
        return len(heard)

    @property
    def _all(self) -> list:
        with self._lock:
            return list(self._told)

    def _wait_for_close(self) -> None:
        eventually("the close", lambda: CLOSED in self._all)

    def _take(self, told) -> None:
        with self._lock:
            self._told.append(told)

    def _expect_described(self) -> None:
        """Expects that the client's own description fits all that it was told."""
        for told in self._all:
            if told == CLOSED:
                continue
            expect(hasattr(type(told), "model_validate"), f"the client does not know {told}")
            try:
                type(told).model_validate(told.model_dump(by_alias=True, exclude_unset=True))
            except ValidationError as error:
                expect(False, f"a {told.type} is not as described: {error}")
