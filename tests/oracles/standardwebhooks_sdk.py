"""standardwebhooks: whether the signatures of every delivery of a real call are those of the
standard, by its own Python library; with two secrets while one replaces the other, and not when a
byte was changed.
"""

import base64
import http.server
import itertools
import json
import threading

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from calls import AGENT, CUSTOMER, Call, frames
from world import World, eventually, expect

OLD = "whsec_" + base64.b64encode(b"the-secret-of-yesterday-it-was").decode()
NEW = "whsec_" + base64.b64encode(b"the-secret-of-tomorrow-it-will-be").decode()
STRANGER = "whsec_" + base64.b64encode(b"nobody-has-signed-with-this-one").decode()

FORMATS = ["asapp", "envelope", "cloudevents", "cloudevents-batch"]

WEBHOOK = """
[[webhooks]]
name = "{name}"
url = "http://127.0.0.1:{port}/{name}"
format = "{name}"
events = {events}
secrets = {secrets}
allow_private = true
allow_http = true
"""


class Mailbox:
    """Takes whatever comes: pairs of headers and body."""

    def __init__(self):
        self.letters: list[tuple[str, dict[str, str], bytes]] = []
        mailbox = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """One connection."""

            protocol_version = "HTTP/1.1"

            def do_POST(self):
                """Taken, whatever it is."""
                body = self.rfile.read(int(self.headers["content-length"]))
                mailbox.letters.append((self.path, dict(self.headers), body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                """Nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def configuration(self, secrets: list[str]) -> str:
        """An endpoint of each format, all of which lead here."""
        def section(name: str) -> str:
            kinds = ["transcript"] if name == "asapp" else ["callStarted", "transcript", "callEnded"]
            return WEBHOOK.format(name=name, port=self.port, events=json.dumps(kinds),
                                  secrets=json.dumps(secrets))
        return "".join(map(section, FORMATS))

    def of_call(self, guid: str) -> list[tuple[str, dict[str, str], bytes]]:
        """What came of a call."""
        return [letter for letter in list(self.letters) if guid.encode() in letter[2]]


def verified(world: World) -> str:
    """Every delivery of calls in all formats, before, while and after a secret is replaced."""
    mailbox = Mailbox()
    gateway = world.another("deliveries", mailbox.configuration([OLD]))
    checked = 0
    for rotation, secrets in enumerate([[OLD], [NEW, OLD], [NEW]]):
        if rotation > 0:
            gateway.configure(mailbox.configuration(secrets))
            gateway.hang_up()
            eventually("SIGHUP to be heeded",
                       lambda: gateway.log("gateway").count("read again") >= rotation)
        for letter in deliveries(gateway, mailbox):
            look_at(letter, secrets)
            checked += 1
    return f"{checked} deliveries, good by each secret that was valid and by no other"


def deliveries(gateway: World, mailbox: Mailbox) -> list[tuple[str, dict[str, str], bytes]]:
    """All that comes of a call: of each of its phrases one in each format, and the rest."""
    customer, agent = frames(CUSTOMER), frames(AGENT)
    call = Call(gateway, customer, agent_frames=agent, tracks=["inbound", "outbound"])
    call.run(gateway)
    phrases = len(CUSTOMER) + len(AGENT)

    def all_there() -> bool:
        ended = sum(body.count(b"call.ended") for _, _, body in mailbox.of_call(call.guid))
        finals = sum(path == "/asapp" for path, _, _ in mailbox.of_call(call.guid))
        return ended == len(FORMATS) - 1 and finals == phrases
    eventually("all deliveries", all_there)
    letters = mailbox.of_call(call.guid)
    for path, group in itertools.groupby(sorted(letters, key=lambda letter: letter[0]),
                                         key=lambda letter: letter[0]):
        ids = [headers["webhook-id"] for _, headers, _ in group]
        expect(len(set(ids)) == len(ids), f"{path} got an id twice: {ids}")
    return letters


def look_at(letter: tuple[str, dict[str, str], bytes], secrets: list[str]) -> None:
    """Good by each of these secrets; not by another, nor with anything changed."""
    path, headers, body = letter
    for secret in secrets:
        expect(is_good(secret, body, headers), f"{path}: the signature is not good")
    for secret in {OLD, NEW, STRANGER} - set(secrets):
        expect(not is_good(secret, body, headers), f"{path}: a stranger has signed")
    secret = secrets[0]
    for changed in (body + b" ", body[:-1], body.replace(b":", b": ", 1)):
        expect(not is_good(secret, changed, headers), f"{path}: a changed body is good")
    for name, value in (("webhook-id", headers["webhook-id"] + "x"),
                        ("webhook-timestamp", str(int(headers["webhook-timestamp"]) - 1))):
        expect(not is_good(secret, body, headers | {name: value}), f"{path}: a changed {name}")
    size = len(base64.b64decode(headers["webhook-signature"].split(" ")[0].split(",")[1]))
    expect(size == 32 and headers["webhook-signature"].count("v1,") == len(secrets),
           f"{path}: {headers['webhook-signature']}")


def is_good(secret: str, body: bytes, headers: dict[str, str]) -> bool:
    """What the library says."""
    try:
        Webhook(secret).verify(body, headers, json_parse=False)
        return True
    except WebhookVerificationError:
        return False
