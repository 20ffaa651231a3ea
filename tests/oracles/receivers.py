"""receivers: whether the examples of receivers do what the documentation says of them. Each is
started, a call is delivered to it, and what it prints is what was said; what is forged it refuses,
what comes twice it tells once.
"""

import base64
import datetime
import http.client
import json
import queue
import subprocess
import sys
import threading

from standardwebhooks.webhooks import Webhook

from calls import AGENT, CUSTOMER, Call, frames
from world import BINARIES, ROOT, World, eventually, expect

OLD = "whsec_" + base64.b64encode(b"a-secret-that-is-about-to-go-away").decode()
NEW = "whsec_" + base64.b64encode(b"the-secret-that-takes-its-place-").decode()

EXAMPLES = ROOT / "examples" / "receivers"
COMMANDS = {
    "python": [sys.executable, str(EXAMPLES / "python" / "receiver.py"), "0"],
    "node": ["node", str(EXAMPLES / "node" / "receiver.mjs"), "0"],
    "rust": [str(BINARIES / "examples" / "receiver"), "0"],
}

WEBHOOK = """
[[webhooks]]
name = "{name}"
url = "http://127.0.0.1:{port}/"
format = "{format}"
secrets = ["{secret}"]
allow_private = true
allow_http = true
"""

FORGED = {"type": "transcript", "externalConversationId": "forged", "sender": {"role": "agent"},
          "autotranscribeResponse": {"utterance": [{"text": "Never said."}]}}


class Receiver:
    """An example at work, and the lines that it prints."""

    def __init__(self, world: World, name: str):
        self.name = name
        process = world.run(f"receiver-{name}", *COMMANDS[name], WEBHOOK_SECRET=f"{OLD} {NEW}")
        self._lines: queue.Queue[str] = queue.Queue()
        first = process.stdout.readline()
        expect(first.startswith("listening on "), f"{name} says {first!r}")
        self.port = int(first.split()[-1])
        threading.Thread(target=self._listen, args=(process,), daemon=True).start()

    def until(self, count: int) -> list[str]:
        """So many lines."""
        eventually(f"{count} lines of {self.name}", lambda: self._lines.qsize() >= count)
        return [self._lines.get() for _ in range(count)]

    def is_silent(self) -> bool:
        """Whether it has nothing more to say."""
        return self._lines.empty()

    def deliver(self, event: dict, secret: str, event_id: str) -> int:
        """What the gateway does, done here; the status."""
        body = json.dumps(event)
        at = datetime.datetime.now(tz=datetime.timezone.utc)
        headers = {"webhook-id": event_id, "webhook-timestamp": str(int(at.timestamp())),
                   "webhook-signature": Webhook(secret).sign(event_id, at, body),
                   "content-type": "application/json"}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("POST", "/", body, headers)
        status = connection.getresponse().status
        connection.close()
        return status

    def _listen(self, process: subprocess.Popen) -> None:
        for line in process.stdout:
            self._lines.put(line.rstrip("\n"))


def examples(world: World) -> str:
    """Each example in each format it knows, while a secret is being replaced."""
    receivers = [Receiver(world, name) for name in COMMANDS]
    sections = [WEBHOOK.format(name=f"{receiver.name}-{form}", port=receiver.port, format=form,
                               secret=secret)
                for receiver in receivers
                for form, secret in (("asapp", OLD), ("envelope", NEW))]
    gateway = world.another("receivers", "".join(sections))
    customer, agent = frames(CUSTOMER), frames(AGENT)
    call = Call(gateway, customer, agent_frames=agent, tracks=["inbound", "outbound"])
    call.run(gateway)
    said = spoken(gateway, call.guid)
    expect(len(said) == len(CUSTOMER) + len(AGENT), f"the messages API has {said}")
    for receiver in receivers:
        # The same id in two formats is one event: whichever came first is told.
        lines = receiver.until(len(said))
        expect(sorted(lines) == sorted(said), f"{receiver.name} printed {lines}, not {said}")
        expect(receiver.deliver(FORGED, "whsec_" + "A" * 32, "msg_forged") == 401,
               f"{receiver.name} takes what is forged")
        for _ in range(3):
            status = receiver.deliver(FORGED, NEW, "msg_thrice")
            expect(status == 204, f"{receiver.name} answers {status}")
        expect(receiver.until(1) == ["forged agent: Never said."], f"{receiver.name} is confused")
        expect(receiver.is_silent(), f"{receiver.name} tells an event twice")
    return f"{', '.join(COMMANDS)}: {len(said)} phrases each, once"


def spoken(gateway: World, guid: str) -> list[str]:
    """What was said in a call, as an example prints it."""
    path = f"/conversation/v1/conversation/messages?externalId={guid}"
    eventually("the messages", lambda: gateway.ask("GET", path)[0] == 200)
    eventually("the end of the call",
               lambda: "endedAt" in gateway.get(f"/v1/conversations/twilio/{guid}"))
    items = json.loads(gateway.get(path))["items"]
    return [f"{guid} {item['sender']['role']}: {item['text']}" for item in items]
