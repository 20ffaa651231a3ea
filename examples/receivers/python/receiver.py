"""A receiver of Antiphon's webhooks: verifies, answers at once, tells each event once.

    pip install standardwebhooks
    WEBHOOK_SECRET=whsec_... python receiver.py [PORT]

While a secret is being replaced WEBHOOK_SECRET holds both, with a space between them.
"""

import collections
import http.server
import json
import os
import queue
import sys
import threading

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

BODY_BYTES_MAX = 1 << 20
# What came before these is forgotten. Who must not see an event twice after a restart either keeps
# the ids where the events go, with a unique key.
IDS_MAX = 100_000

WEBHOOKS = [Webhook(secret) for secret in os.environ["WEBHOOK_SECRET"].split()]
EVENTS: queue.Queue[dict] = queue.Queue(maxsize=10_000)
SEEN: collections.OrderedDict[str, None] = collections.OrderedDict()
LOCK = threading.Lock()


class Receiver(http.server.BaseHTTPRequestHandler):
    """One connection; Antiphon keeps it open for many deliveries."""

    protocol_version = "HTTP/1.1"
    timeout = 120

    def do_POST(self) -> None:
        """Whatever is not 2xx is sent again."""
        length = int(self.headers.get("content-length", 0))
        if length > BODY_BYTES_MAX:
            self.close_connection = True
            self.answer(413)
            return
        body = self.rfile.read(length)
        if not is_authentic(body, dict(self.headers)):
            self.answer(401)
        elif take(self.headers["webhook-id"], body):
            self.answer(204)
        else:
            self.answer(503)

    def answer(self, status: int) -> None:
        """A status and nothing else."""
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_) -> None:
        """A URL may hold a secret."""


def is_authentic(body: bytes, headers: dict[str, str]) -> bool:
    """Whether it was signed with one of the secrets, not long ago."""
    for webhook in WEBHOOKS:
        try:
            webhook.verify(body, headers, json_parse=False)
            return True
        except (WebhookVerificationError, ValueError):
            continue
    return False


def take(event_id: str, body: bytes) -> bool:
    """Puts the event where the work is done, unless it is there already. False: there is no room,
    it shall come again."""
    with LOCK:
        if event_id in SEEN:
            return True
        try:
            EVENTS.put_nowait(json.loads(body))
        except queue.Full:
            return False
        SEEN[event_id] = None
        if len(SEEN) > IDS_MAX:
            SEEN.popitem(last=False)
        return True


def work() -> None:
    """What takes its time happens here, not before the answer."""
    while True:
        event = EVENTS.get()
        if event["type"] == "transcript":  # format = "asapp"
            conversation = event["externalConversationId"]
            role, text = event["sender"]["role"], event["autotranscribeResponse"]["utterance"][0]["text"]
        elif event["type"] == "transcript.final":  # format = "envelope"
            data = event["data"]
            conversation = data["conversation"]["guid"]
            role, text = data["sender"]["role"], data["alternatives"][0]["text"]
        else:
            continue
        print(f"{conversation} {role}: {text}", flush=True)


def main() -> None:
    """Listens until it is told to end."""
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8095
    threading.Thread(target=work, daemon=True).start()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Receiver)
    print(f"listening on {server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
