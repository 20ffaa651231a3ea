"""Torture: messages in the shapes of RFC 4475, over UDP and TCP, told apart by their answers.

What is well formed, however strange, is answered as if it were plain; what is not is refused by
the status the RFC names, or met with silence; and the server is well afterwards.
"""

import socket

from world import World, expect

QUIET_S = 0.3
PATIENCE_S = 5

PLAIN = {
    "Via": "SIP/2.0/{transport} 192.0.2.1;rport;branch=z9hG4bK{id}",
    "Max-Forwards": "70",
    "From": "<sip:caller@example.com>;tag={id}",
    "To": "<sip:srs@example.com>",
    "Call-ID": "{id}@192.0.2.1",
    "CSeq": "1 OPTIONS",
}

URI = "sip:srs@example.com"
LONG = "x" * 4000

# Name, start line, headers that differ (None: left out), body, statuses that are right (none:
# silence). Sections are those of RFC 4475.
CASES = [
    ("3.1.1.1 short, folded and spaced", f"OPTIONS {URI};unknownparam SIP/2.0",
     {"To": None, "TO ": "\r\n {To} ;   x    = y", "CSeq": "0009\r\n  OPTIONS", "S ": "",
      "NewFangledHeader": "new\r\n continued",
      "UnknownHeaderWithUnusualValue": ";;,,;;,;"}, "", [200]),
    ("3.1.1.2 every character", "OPTIONS sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
     ":&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com SIP/2.0",
     {"Call-ID": "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}}{{ {id}"}, "", [200]),
    ("3.1.1.3 escapes", "OPTIONS sip:sips%3Auser%40example.com@example.net SIP/2.0", {}, "", [200]),
    ("3.1.1.4 escaped nulls", "OPTIONS sip:null-%00-null@example.com SIP/2.0", {}, "", [200]),
    ("3.1.1.5 a percent sign that escapes nothing", "RE%47IST%45R sip:example.com SIP/2.0",
     {"CSeq": "1 RE%47IST%45R"}, "", [405, 501]),
    ("3.1.1.6 no blank before a bracket", f"OPTIONS {URI} SIP/2.0",
     {"From": "caller<sip:caller@example.com>;tag={id}"}, "", [200]),
    ("3.1.1.7 long values", f"OPTIONS {URI} SIP/2.0",
     {"From": f"\"{LONG}\" <sip:{LONG[:200]}@example.com>;tag={{id}}", "X-Long": LONG}, "", [200]),
    ("3.1.1.8 more bytes than Content-Length says", f"OPTIONS {URI} SIP/2.0",
     {"Content-Length": "0"}, "INVITE sip:another@example.com SIP/2.0\r\n", [200]),
    ("3.1.1.10 parameters of unknown transports", f"OPTIONS {URI};transport=unheardof SIP/2.0",
     {}, "", [200]),
    ("3.1.1.11 a body of several parts that is not ours", f"OPTIONS {URI} SIP/2.0",
     {"Content-Type": "multipart/signed;boundary=x"}, "--x\r\n\r\n--x--", [200, 415]),
    ("3.1.2.1 separators that stand too far", f"OPTIONS {URI} SIP/2.0",
     {"Contact": "\"Joe\" <sip:joe@example.org>;;;;", "Via": PLAIN["Via"] + ";;,;,,"}, "",
     [200, 400]),
    ("3.1.2.2 Content-Length beyond the datagram", f"OPTIONS {URI} SIP/2.0",
     {"Content-Length": "9999"}, "short", [400]),
    ("3.1.2.3 negative Content-Length", f"OPTIONS {URI} SIP/2.0", {"Content-Length": "-999"}, "",
     [400]),
    ("3.1.2.4 numbers that overflow", f"OPTIONS {URI} SIP/2.0",
     {"CSeq": "36893488147419103232 OPTIONS", "Max-Forwards": "300"}, "", [400]),
    ("3.1.2.6 an open quote", f"OPTIONS {URI} SIP/2.0",
     {"To": "\"Mr. J. User <sip:j.user@example.com>"}, "", [400]),
    ("3.1.2.7 a URI in brackets", f"OPTIONS <{URI}> SIP/2.0", {}, "", [400]),
    ("3.1.2.8 blanks in a URI", f"OPTIONS {URI}; lr SIP/2.0", {}, "", [400]),
    ("3.1.2.9 many blanks in the start line", f"OPTIONS  {URI}  SIP/2.0", {}, "", [200, 400]),
    ("3.1.2.10 blanks at its end", f"OPTIONS {URI} SIP/2.0  ", {}, "", [200, 400]),
    ("3.1.2.16 an unknown version", f"OPTIONS {URI} SIP/7.0", {}, "", [505]),
    ("3.1.2.17 methods that differ", f"OPTIONS {URI} SIP/2.0", {"CSeq": "8 INVITE"}, "", [400]),
    ("3.1.2.18 an unknown method", f"NEWMETHOD {URI} SIP/2.0", {"CSeq": "1 NEWMETHOD"}, "",
     [405, 501]),
    ("3.1.2.19 a status too large", "SIP/2.0 4294967301 better not break the receiver", {}, "", []),
    ("3.2.1 a response nobody waits for", "SIP/2.0 200 OK", {}, "", []),
    ("3.3.1 headers that are missing", f"OPTIONS {URI} SIP/2.0", {"From": None}, "", [400]),
    ("3.3.2 an unknown scheme", "OPTIONS nobodyKnowsThisScheme:totallyopaque SIP/2.0", {}, "",
     [200, 416]),
    ("3.3.5 Require of what is unknown", f"OPTIONS {URI} SIP/2.0",
     {"Require": "nothingSupportsThis"}, "", [420]),
    ("3.3.8 two of what there is one of", f"OPTIONS {URI} SIP/2.0",
     {"call-id": "second-{id}"}, "", [400]),
    ("3.3.10 two Content-Lengths", f"OPTIONS {URI} SIP/2.0",
     {"Content-Length": "8", "content-length": "5"}, "hello yo", [400]),
    ("no headers at all", f"OPTIONS {URI} SIP/2.0", dict.fromkeys(PLAIN), "", []),
    ("not SIP", "GET / HTTP/1.1", {"Host": "example.com"}, "", []),
    ("bytes that are no text", "\x00\xff\x00 \xff \xff", {}, "\xff" * 100, []),
]


def over_udp(world: World) -> str:
    """Each in a datagram."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.connect(("127.0.0.1", world.sip_port))
        for number, (name, *case, statuses) in enumerate(CASES):
            line.send(message(f"u{number}", "UDP", *case))
            judge(name, answer(line, statuses), statuses)
        line.send(message("last", "UDP", f"OPTIONS {URI} SIP/2.0", {}, ""))
        judge("a plain request afterwards", answer(line, [200]), [200])
    return f"{len(CASES)} messages"


def over_tcp(world: World) -> str:
    """Each on a connection of its own."""
    asked = 0
    for number, (name, start, headers, body, statuses) in enumerate(CASES):
        if any(key.lower() == "content-length" for key in headers):
            continue
        headers = {**headers, "Content-Length": str(len(body.encode("latin-1")))}
        with socket.create_connection(("127.0.0.1", world.sip_port)) as line:
            line.sendall(message(f"t{number}", "TCP", start, headers, body))
            judge(name, answer(line, statuses), statuses)
            asked += 1
    return f"{asked} messages"


def message(id: str, transport: str, start: str, headers: dict, body: str) -> bytes:
    """One message on the wire."""
    lines = [start]
    fields = {**PLAIN, **headers}
    for name, value in fields.items():
        if value is not None:
            value = value.replace("{To}", PLAIN["To"])
            value = value.replace("{id}", id).replace("{transport}", transport)
            lines.append(f"{name}: {value}".replace("}}", "}").replace("{{", "{"))
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode("latin-1")


def answer(line: socket.socket, statuses: list[int]) -> int:
    """The status of what comes; 0 for silence, which is waited for less long."""
    line.settimeout(PATIENCE_S if statuses else QUIET_S)
    try:
        said = line.recv(65_535)
    except TimeoutError:
        return 0
    return int(said.split(b" ", 2)[1]) if said.startswith(b"SIP/2.0 ") else 0


def judge(name: str, status: int, statuses: list[int]) -> None:
    """Fails unless that is an answer the case allows."""
    expect(status in (statuses or [0]), f"{name}: answered {status}, not {statuses or 'silence'}")
