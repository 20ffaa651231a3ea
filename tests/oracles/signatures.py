"""twilio: whether our signatures, and what we accept as one, are those of Twilio's own library.

Two differences are wanted, and no other:

* The library takes 80 for the port of every URL that is not https, wss too. We take 443: so we
  accept a signature over `wss://host:443/…` where it does not, and refuse one over
  `wss://host:80/…` where it accepts.
* Twilio calls a WebSocket's URL without its query, and whether it signs with it is not documented.
  We accept a signature over the URL without the query, too.
"""

import base64
import collections
import json
import logging
import random
import subprocess

from twilio.request_validator import RequestValidator, get_signature_algorithm

from world import BINARIES, World, expect

SEED = 1
QUESTIONS = 5_000
LETTERS = "abcXYZ019-._~!$&'()*+,:@="
FOREIGN = "äßéñøžжλ漢字かคहॐ🙂\u00a0\u200d"

random_ = random.Random(SEED)
# It warns of each unknown algorithm, of which there are many here.
logging.getLogger("twilio").setLevel(logging.ERROR)


def made(_: World) -> str:
    """Signatures of requests of any kind, forms with repeated fields among them."""
    asked, expected = [], []
    for _ in range(QUESTIONS):
        token, url, form = text(1, 100), any_url(), Form(fields())
        asked.append({"compute": {"token": token, "url": url, "params": form.pairs()}})
        expected.append(RequestValidator(token).compute_signature(url, form))
    for question, answer, wanted in zip(asked, ours(asked), expected):
        expect(answer == wanted, f"we make {answer}, Twilio {wanted} of {question}")
    return f"{QUESTIONS} alike"


def checked(_: World) -> str:
    """Right and wrong signatures of media streams."""
    requests = [Request() for _ in range(QUESTIONS)]
    differences = collections.Counter()
    accepted = 0
    for request, answer in zip(requests, ours([request.question() for request in requests])):
        theirs, we = request.is_good(), answer == "good"
        over_port_80 = request.port is None and request.signed_port == 80
        wanted = request.is_good_in_any_form() and not over_port_80
        expect(we == wanted, f"we say {answer}, expected is good={wanted}: {vars(request)}")
        accepted += we
        if we != theirs:
            differences[request.why_we_differ()] += 1
    expect(set(differences) == {"port 443", "port 80", "no query"}, f"they differ: {differences}")
    known = ", ".join(f"{count} by {why}" for why, count in sorted(differences.items()))
    return f"{QUESTIONS} checked, {accepted} good; only the known differences: {known}"


class Request:
    """A request for a media stream and its signature, which may be over something else."""

    def __init__(self):
        self.secure = random_.random() < 0.9
        host = random_.choice(["gw.example.com", "10.1.2.3", "a-b.xn--bcher-kva.example"])
        port = random_.choice([None, None, None, 80, 443, 8443, random_.randint(1, 65535)])
        self.authority, self.given_port = host, port
        # The scheme's own port goes without saying in the URLs we hand out.
        self.port = None if port == (443 if self.secure else 80) else port
        self.prefix = random_.choice(["", "", "/voice", "/a/b.c"])
        self.path = "".join("/" + part(0, 20) for _ in range(random_.randint(1, 4)))
        self.query = random_.choice([None, None, part(1, 40)])
        self.tokens = [text(1, 80) for _ in range(random_.randint(1, 3))]
        self.shared = {f"SK{number}": text(1, 80) for number in range(random_.randint(0, 2))}
        self.sign()

    def sign(self):
        """Half of the signatures are right."""
        port = random_.choice([self.port, self.port, self.port, None, 80, 443, 8443])
        path, query = self.path, self.query
        scheme = "wss" if self.secure else "ws"
        if random_.random() < 0.2:
            query = random_.choice([None, query])
        if random_.random() < 0.2:
            path = random_.choice([path + "/", path.lower(), path + part(1, 5), path[:-1]])
        if random_.random() < 0.1:
            scheme = random_.choice(["https", "http", "ws", "wss"])
        self.signed_port = port
        secret, algorithm = self.key()
        signed = self.url(port, query, scheme, path)
        signature = RequestValidator(secret).compute_signature(signed, {}, algorithm)
        self.signature = spoilt(signature) if random_.random() < 0.2 else signature

    def key(self) -> tuple[str, str]:
        """By what it is signed; the settings header may say something else."""
        algorithm, secret = "HMAC_SHA1", random_.choice(self.tokens)
        self.settings = random_.choice([None, "", "key=,algorithm=", "algorithm=HMAC_SHA1", "what"])
        if self.shared and random_.random() < 0.4:
            name = random_.choice(list(self.shared))
            algorithm, secret = "HMAC_SHA256", self.shared[name]
            self.settings = random_.choice([
                f"key={name},algorithm=HMAC_SHA256", f" algorithm = hmac_sha256 , key = {name} ",
                f"key={name}x,algorithm=HMAC_SHA256", f"key={name},algorithm=HMAC_SHA512",
                "algorithm=HMAC_SHA256", f"key={name}",
            ])
        return random_.choice([secret, secret, secret, text(1, 40)]), algorithm

    def url(self, port, query, scheme, path) -> str:
        """A form of its URL."""
        port = "" if port is None else f":{port}"
        query = "" if query is None else f"?{query}"
        return f"{scheme}://{self.authority}{port}{self.prefix}{path}{query}"

    def question(self) -> dict:
        """For our code."""
        port = "" if self.given_port is None else f":{self.given_port}"
        scheme = "https" if self.secure else "http"
        return {"verify": {
            "public_url": f"{scheme}://{self.authority}{port}{self.prefix}",
            "auth_tokens": self.tokens, "shared_keys": list(self.shared.items()),
            "path": self.path, "query": self.query,
            "signature": self.signature, "settings": self.settings,
        }}

    def is_good(self, port="its own", query="its own") -> bool:
        """What the library says to the URL as we hand it out, or to a form of it."""
        port = self.port if port == "its own" else port
        query = self.query if query == "its own" else query
        url = self.url(port, query, "wss" if self.secure else "ws", self.path)
        algorithm = get_signature_algorithm(self.settings)
        if algorithm.upper() == "HMAC_SHA1":
            secrets = self.tokens
        else:
            secrets = [secret for name, secret in self.shared.items() if name == self.key_id()]
        return any(RequestValidator(secret).validate(url, {}, self.signature, algorithm)
                   for secret in secrets)

    def is_good_in_any_form(self) -> bool:
        """What the library says if it is asked about every form of the URL that Twilio may sign."""
        ports = [self.port, 443] if self.secure and self.port is None else [self.port]
        return any(self.is_good(port, query) for port in ports for query in (self.query, None))

    def key_id(self) -> str:
        """Which key the settings header names."""
        pairs = [pair.partition("=") for pair in (self.settings or "").split(",")]
        return next((value.strip() for name, _, value in pairs if name.strip() == "key"), "")

    def why_we_differ(self) -> str:
        """The first of the differences that applies."""
        if self.port is None and self.signed_port == 443:
            return "port 443"
        if self.port is None and self.signed_port == 80:
            return "port 80"
        return "no query" if self.query is not None else "nothing known"


class Form(dict):
    """A form's fields, each with all its values; the library asks for them as Flask has them."""

    def getall(self, name: str) -> list[str]:
        return self[name]

    def pairs(self) -> list[tuple[str, str]]:
        """All fields in any order."""
        pairs = [(name, value) for name, values in self.items() for value in values]
        return random_.sample(pairs, len(pairs))


def ours(questions: list[dict]) -> list:
    """The answers of our code."""
    lines = "".join(json.dumps(question) + "\n" for question in questions)
    done = subprocess.run([BINARIES / "signatures"], input=lines, text=True, encoding="utf-8",
                          capture_output=True, timeout=120)
    expect(done.returncode == 0, f"signatures ended with {done.returncode}: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def spoilt(signature: str) -> str:
    """Something like it that it is not."""
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    stem = signature.rstrip("=")
    # The same bytes in another spelling: base64 leaves the last character's lowest bits unused.
    respelt = stem[:-1] + last[last.index(stem[-1]) ^ 1] + signature[len(stem):]
    hexadecimal = base64.b64decode(signature).hex()
    return random_.choice([respelt, stem, signature + "=", signature.swapcase(), signature[1:],
                           "", "A" * len(signature), hexadecimal, f"{signature},{signature}"])


def any_url() -> str:
    """A URL as it may be written in TwiML or in a webhook's settings."""
    scheme = random_.choice(["wss", "https", "http", "ws"])
    port = random_.choice(["", "", ":443", ":80", ":8443"])
    host = random_.choice(["h.example", "[::1]", "ü.example"])
    query = random_.choice(["", f"?{part(0, 40)}"])
    return f"{scheme}://{host}{port}/{text(0, 40)}{query}"


def fields() -> dict[str, list[str]]:
    """A form's fields, some of them more than once and some values twice."""
    values = lambda: [text(0, 20) for _ in range(random_.randint(1, 3))]
    return {text(1, 12): random_.choice([values(), ["same", "same"]])
            for _ in range(random_.randint(0, 6))}


def text(least: int, most: int) -> str:
    """Any characters."""
    alphabet = random_.choice([LETTERS, LETTERS + FOREIGN, LETTERS + " %&;/?#\"\\\n"])
    return "".join(random_.choices(alphabet, k=random_.randint(least, most)))


def part(least: int, most: int) -> str:
    """Part of a path or query, plain, escaped or foreign."""
    pieces = random_.choices([*LETTERS, "%20", "%C3%A4", "%2f", random_.choice(FOREIGN)],
                             k=random_.randint(least, most))
    return "".join(pieces)
