"""vosk: whether the client in Vosk's own package understands our Vosk, and our Vosk it.

It is the part of `vosk-transcriber` that talks to a server; no model and no gateway is involved. It
waits for the answer to each piece of sound before it sends the next, and never asks for words, so
their times it cannot show.
"""

import argparse
import asyncio
import wave

from vosk.transcriber import transcriber
from websockets.exceptions import ConnectionClosedError

from calls import SPEECH
from deepgram_sdk import PAUSE_MS, PHRASES
from world import Service, World, expect


def session(world: World) -> str:
    """Phrases of a call; the last is heard though nothing comes behind it."""
    service = world.service_of("vosk")
    said = ["customer-greeting", "customer-account", "customer-receipt", "customer-goodbye"]
    sound = bytes(16 * PAUSE_MS).join(recorded(id) for id in said)
    results, size = transcribe(service, sound)
    texts = [result["text"] for result in results]
    expect(texts == [spoken(id) for id in said], f"the client hears {texts}")
    record = service.ended(1)[0]
    expect(record["audioBytes"] == len(sound) == size, f"{size} bytes, the service: {record}")
    expect(not record["complaints"], f"the service: {record}")
    config, end = record["said"]
    expect(config == '{ "config" : { "sample_rate" : 8000.000000 } }', f"the client says {config}")
    expect(end == '{"eof" : 1}', f"the client says {end}")
    return f"{len(said)} phrases in {len(texts)} results"


def silence(world: World) -> str:
    """Where nothing is said, the one result is empty; where all is cut off, there is none."""
    results, _ = transcribe(world.service_of("vosk"), bytes(16_000))
    expect(results == [{"text": ""}], f"the client hears {results}")
    cut = world.service_of("vosk", "--deaf", "--cut", "close:1011@500ms")
    try:
        results, _ = transcribe(cut, bytes(32_000))
        expect(False, f"the client hears {results} of what was cut off")
    except ConnectionClosedError as closed:
        expect(closed.rcvd is not None and closed.rcvd.code == 1011, f"closed: {closed}")
    return "one empty result; code 1011"


def transcribe(service: Service, sound: bytes) -> tuple[list[dict], int]:
    """The results that have a text, and how much was sent."""
    # Its makers resample all there is to 16 kHz; telephones have 8.
    transcriber.SAMPLE_RATE = 8000.0
    results, size = asyncio.run(Client(service).recognize_stream_server(Recording(sound)))
    return results, size


def recorded(id: str) -> bytes:
    """The sound of a phrase."""
    with wave.open(str(SPEECH / f"{id}.wav")) as recording:
        return recording.readframes(recording.getnframes())


def spoken(id: str) -> str:
    """A phrase as a model without punctuation writes it."""
    kept = (letter for letter in PHRASES[id]["spoken"].lower() if letter not in ".,?!")
    return "".join(kept)


class Client(transcriber.Transcriber):
    """The makers' client, without the model that it loads for work without a server."""

    def __init__(self, service: Service):
        self.args = argparse.Namespace(server=service.url.replace("http://", "ws://"))


class Recording:
    """What the client reads: the output of a process that there is not."""

    def __init__(self, sound: bytes):
        self.stdout = self
        self._rest = sound

    async def read(self, size: int) -> bytes:
        """What comes next."""
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece
