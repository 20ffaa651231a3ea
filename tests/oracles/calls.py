"""streamdouble: whether the sound of somebody else's Twilio reaches the service, sample by sample.

The simulator is behind the real gateway, and its own record of what it sent, decoded by its own
G.711, is what the speech service must have got: what it lost as silence, what it sent before the
start not at all.
"""

import asyncio
import base64
import contextlib
import hashlib
import json
import pathlib

import numpy
from streamdouble import audio, g711
from streamdouble.chaos import Impairments
from streamdouble.protocol import StreamIdentity
from streamdouble.session import Session, SessionConfig, SessionResult
from streamdouble.trace import Trace, TraceConfig

from world import ROOT, World, eventually, expect

FRAME = 160
START = "/mg-autotranscribe/v1/start-streaming"
SPEECH = ROOT / "crates" / "sim" / "speech"
CUSTOMER = ["customer-greeting", "customer-account"]
AGENT = ["agent-greeting", "agent-balance"]
SIDES = {"customer": ("inbound", "first"), "agent": ("outbound", "second")}


def one_track(world: World) -> str:
    """A fork with the default track: one leg, every sample, no gap."""
    call = Call(world, frames(CUSTOMER))
    call.run(world)
    heard = call.compare("customer")
    expect(heard == CUSTOMER, f"the service heard {heard}")
    expect(call.lost_s == 0, f"{call.lost_s} s are said to be lost")
    return call.summary()


def two_tracks(world: World) -> str:
    """A fork with both tracks: two legs of one length, nothing of one in the other."""
    customer, agent = frames(CUSTOMER), frames(AGENT)
    longest = max(len(customer), len(agent))
    for side in (customer, agent):
        side += [audio.silence_frame()] * (longest - len(side))
    call = Call(world, customer, agent_frames=agent, tracks=["inbound", "outbound"])
    call.run(world)
    heard = call.compare("customer"), call.compare("agent")
    expect(heard == (CUSTOMER, AGENT), f"the service heard {heard}")
    sizes = {record["audioBytes"] for record in call.records.values()}
    expect(len(sizes) == 1, f"the legs differ in length: {sizes}")
    expect(call.lost_s == 0, f"{call.lost_s} s are said to be lost")
    return call.summary()


def loss_and_jitter(world: World) -> str:
    """One track, of which 5 % never come and the rest up to 40 ms late."""
    network = {"impairments": Impairments(loss=0.05, jitter_ms=40), "chaos_seed": 7}
    call = Call(world, frames(CUSTOMER * 2), **network)
    call.run(world)
    call.compare("customer")
    dropped = call.result.frames_dropped
    # What is lost before the first frame or after the last one nobody can know of.
    holes = len(call.sent["inbound"]) // FRAME - call.result.frames_sent
    expect(0 < holes <= dropped, f"{holes} holes of {dropped} dropped frames")
    expect(abs(call.lost_s - 0.02 * holes) < 1e-6,
           f"{holes} frames of 20 ms were lost, the metric says {call.lost_s:.2f} s")
    return f"{call.summary()}; {dropped} frames dropped, {holes} filled"


class Call:
    """One call, from the simulator's record to the service's."""

    def __init__(self, world: World, caller: list[bytes], guid: str = "", **config):
        self.identity = StreamIdentity(call_sid=guid) if guid else StreamIdentity()
        self.trace = Trace(TraceConfig(pathlib.Path("unwritten"), payloads=True))
        path = "/mg-autotranscribe/v1/twilio-media-stream-url"
        url = json.loads(world.get(path))["streamingUrl"]
        config = SessionConfig(fork=True, strict_fork=True, trace=self.trace, **config)
        self.session = Session(url, caller, config=config, identity=self.identity)
        self.result: SessionResult
        self.gated: dict[str, int] = {}
        self.sent: dict[str, numpy.ndarray] = {}
        self.records: dict[str, dict] = {}
        self.lost_s = 0.0

    @property
    def guid(self) -> str:
        return self.identity.call_sid

    @property
    def path(self) -> str:
        return f"/v1/calls/twilio/{self.guid}"

    def command(self) -> dict[str, str]:
        """What starts it."""
        return {"namespace": "twilio", "guid": self.guid, "customerId": "c", "agentId": "a"}

    def until_known(self, world: World) -> None:
        """Waits until the gateway has its media."""
        eventually("the call to be known", lambda: world.ask("GET", self.path)[0] == 200)

    def run(self, world: World) -> None:
        """Places the call, starts its transcription, and waits until it is over."""
        lost = "antiphon_twilio_gap_seconds_total"
        before = world.metric(lost)
        self.result = asyncio.run(self._converse(world))
        complaints = [*self.result.violations, *self.result.warnings]
        expect(not complaints, f"streamdouble complains: {complaints}")
        expect(not self.result.closed_early, "the gateway closed the socket")
        self.sent = sent(self.trace.records)
        self.records = world.service.streams(self.guid, len(self.gated))
        self.lost_s = world.metric(lost) - before

    def start(self, world: World) -> None:
        """Starts its transcription as soon as it is known."""
        self.until_known(world)
        status, text = world.ask("POST", START, self.command())
        expect(status == 200, f"the start is answered {status}: {text}")
        # What came before the start. It does not grow while the gate is open.
        for leg in json.loads(world.get(self.path))["legs"]:
            self.gated[leg["side"]] = leg["counters"]["gated"]

    def compare(self, role: str) -> list[str]:
        """Expects the service to have got what was sent since the start; the phrases it heard."""
        track, side = SIDES[role]
        record, wanted = self.records[role], self.sent[track][self.gated[side]:]
        expect(record["audioBytes"] == 2 * len(wanted),
               f"{role}: {len(wanted)} samples were sent, {record['audioBytes'] / 2} came")
        digest = hashlib.sha256(wanted.astype("<i2").tobytes()).hexdigest()
        expect(record["sha256"] == digest, f"{role}: other samples came than were sent")
        expect(record["finalCode"] == 1000 and not record["complaints"],
               f"{role}: {record['finalCode']}, {record['complaints']}")
        return [transcript["phrase"] for transcript in record["transcripts"]]

    def summary(self) -> str:
        """How much came."""
        sides = sorted(self.records.items(), reverse=True)
        return ", ".join(f"{role} {record['audioBytes'] // 2} samples equal"
                         for role, record in sides)

    async def _converse(self, world: World) -> SessionResult:
        calling = asyncio.create_task(self.session.run())
        start = asyncio.create_task(asyncio.to_thread(self.start, world))
        await asyncio.gather(calling, start)
        return calling.result()


@contextlib.asynccontextmanager
async def silent_call(world: World, guid: str):
    """A call of both tracks on which nobody speaks, for ten minutes at most."""
    silence = [audio.silence_frame()] * 50 * 600
    call = Call(world, silence, guid, agent_frames=silence, tracks=["inbound", "outbound"])
    calling = asyncio.create_task(call.session.run())
    try:
        await asyncio.to_thread(call.until_known, world)
        yield call
    finally:
        calling.cancel()


def frames(phrases: list[str]) -> list[bytes]:
    """Recordings with a pause around each."""
    pause = [audio.silence_frame()] * 50
    spoken = [audio.wav_to_ulaw_frames(SPEECH / f"{phrase}.wav") for phrase in phrases]
    return pause + [frame for phrase in spoken for frame in phrase + pause]


def sent(records: list[dict]) -> dict[str, numpy.ndarray]:
    """Each track's sound by its timestamps, with silence for what never came."""
    tracks: dict[str, list[tuple[int, bytes]]] = {}
    for record in records:
        if record["event"] == "media":
            payload = base64.b64decode(record["payload"])
            tracks.setdefault(record["track"], []).append((int(record["timestamp_ms"]), payload))
    origin = min(at for track in tracks.values() for at, _ in track)
    sounds = {}
    for name, track in tracks.items():
        last, payload = track[-1]
        sounds[name] = numpy.zeros((last - origin) * 8 + len(payload), numpy.int16)
        for at, payload in track:
            begin = (at - origin) * 8
            sounds[name][begin:begin + len(payload)] = g711.decode(payload)
    return sounds
