"""Asks those who know better: libraries nobody here wrote, about the real programs.

`run.py` runs all oracles, `run.py WORD...` those with one of the words in their name.
"""

import contextlib
import os
import pathlib
import signal
import sys
import tempfile
import time

# Before a library reads them: what is on loopback needs no proxy.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"

import assemblyai_sdk
import asyncapi_document
import calls
import contract
import deepgram_sdk
import metrics
import receivers
import signatures
import sipp
import standardwebhooks_sdk
import torture
import vosk_client
from world import Failed, World

# In this order: promtool sees the gateway before and after there was something to count.
ORACLES = {
    "promtool: metrics at rest": metrics.check,
    "twilio: signatures made": signatures.made,
    "twilio: signatures checked": signatures.checked,
    "streamdouble: one track": calls.one_track,
    "streamdouble: two tracks": calls.two_tracks,
    "streamdouble: loss and jitter": calls.loss_and_jitter,
    "assemblyai: a session": assemblyai_sdk.session,
    "assemblyai: mu-law with a token": assemblyai_sdk.mu_law,
    "assemblyai: refusals": assemblyai_sdk.refusals,
    "deepgram: a session": deepgram_sdk.session,
    "deepgram: mu-law with a token": deepgram_sdk.mu_law,
    "deepgram: kept alive": deepgram_sdk.kept_alive,
    "deepgram: refusals": deepgram_sdk.refusals,
    "vosk: a session": vosk_client.session,
    "vosk: silence and a cut": vosk_client.silence,
    "sipp: a call over UDP": sipp.udp_call,
    "sipp: a call over TCP": sipp.tcp_call,
    "sipp: many calls": sipp.many_calls,
    "sipp: lost messages": sipp.lost_messages,
    "sipp: CANCEL": sipp.cancelled,
    "sipp: refusals": sipp.refusals,
    "sipp: OPTIONS": sipp.options,
    "torture: over UDP": torture.over_udp,
    "torture: over TCP": torture.over_tcp,
    "standardwebhooks: every delivery": standardwebhooks_sdk.verified,
    "receivers: python, node, rust": receivers.examples,
    "asyncapi: events": asyncapi_document.events,
    "promtool: metrics after calls": metrics.check,
    "schemathesis: the API": contract.check,
    "promtool: metrics after everything": metrics.check,
}


def main(words: list[str]) -> int:
    wanted = {name: oracle for name, oracle in ORACLES.items()
              if not words or any(word in name for word in words)}
    passed = 0
    with contextlib.ExitStack() as closing:
        folder = pathlib.Path(closing.enter_context(tempfile.TemporaryDirectory()))
        try:
            world = World(folder, closing)
            for name, oracle in wanted.items():
                passed += ask(name, oracle, world)
        finally:
            if passed < len(wanted):
                print(logs(folder))
    print(f"{passed} passed, {len(wanted) - passed} failed")
    return 0 if wanted and passed == len(wanted) else 1


def ask(name: str, oracle, world: World) -> bool:
    """Asks one oracle and prints what it says."""
    began = time.monotonic()
    try:
        said = oracle(world)
    except Failed as failure:
        print(f"FAILED  {name}: {failure}", flush=True)
        return False
    print(f"ok      {name}: {said} ({time.monotonic() - began:.0f} s)", flush=True)
    return True


def logs(folder: pathlib.Path) -> str:
    """The ends of the processes' logs."""
    tails = []
    for log in sorted(folder.rglob("*.log")):
        lines = log.read_text(errors="replace").splitlines()[-40:]
        tails += [f"--- {log.stem}", *lines]
    return "\n".join(tails)


if __name__ == "__main__":
    # What is told to end ends its processes first.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main(sys.argv[1:]))
