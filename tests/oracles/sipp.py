"""SIPp: whether a SIPREC client that nobody here wrote gets its sessions, and its refusals.

Scenarios are written here and run by Debian's sipp; sound comes from files.
"""

import pathlib
import subprocess
import sys
import uuid

from calls import START, frames
from world import ROOT, World, end, eventually, expect

BOUNDARY = "sipp-boundary"
PLAYER = ROOT / "tests" / "oracles" / "rtp_file.py"
CUSTOMER, AGENT = "customer-greeting", "agent-greeting"
# node 7, sequence 1, and a time that differs from call to call.
UCID_TIME = iter(range(1_700_000_000, 1_800_000_000))

HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<scenario name="SIPREC">
"""

REQUEST = """{method} sip:srs@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch={branch}
From: <sip:src@[local_ip]:[local_port]>;tag=[pid]s[call_number]
{to}
Call-ID: [call_id]
CSeq: {cseq}
Contact: <sip:src@[local_ip]:[local_port];transport=[transport]>;+sip.src
Max-Forwards: 70
{headers}Content-Length: [len]

{body}"""

SDP = """v=0
o=sipp [pid] [call_number] IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
"""

LINE = """m=audio [media_port+{offset}] RTP/AVP {codecs}
{formats}
a=sendonly
a=label:{label}
"""

METADATA = """<?xml version="1.0" encoding="UTF-8"?>
<recording xmlns="urn:ietf:params:xml:ns:recording:1">
<datamode>complete</datamode>
<session session_id="s[call_number]"/>
<participant participant_id="p1"><nameID aor="sip:5550100@example.com"/></participant>
<participant participant_id="p2"><nameID aor="sip:5550199@example.com"/></participant>
<stream stream_id="m1" session_id="s[call_number]"><label>1</label></stream>
<stream stream_id="m2" session_id="s[call_number]"><label>2</label></stream>
<participantstreamassoc participant_id="p1"><send>m1</send><recv>m2</recv></participantstreamassoc>
<participantstreamassoc participant_id="p2"><send>m2</send><recv>m1</recv></participantstreamassoc>
</recording>
"""

PCMU = ("0 101", "a=rtpmap:0 PCMU/8000\na=rtpmap:101 telephone-event/8000")
G729 = ("18", "a=rtpmap:18 G729/8000")
UNKNOWN_PART = ("application/x-unheard-of", "signal;handling=required", "nobody knows this")


def udp_call(world: World) -> str:
    """One session over UDP, two lines of sound from files."""
    return spoken(world, "u1")


def tcp_call(world: World) -> str:
    """The same over TCP."""
    return spoken(world, "t1")


def many_calls(world: World) -> str:
    """Sessions one after the other over UDP, fifty a second."""
    run(world, signalling(), "-m", "200", "-r", "50")
    return "200 sessions"


def lost_messages(world: World) -> str:
    """Every fifth message of either side is lost; every session succeeds all the same."""
    run(world, signalling(), "-m", "30", "-r", "10", "-lost", "20", patience_s=120)
    eventually("the sessions to end", lambda: world.metric("antiphon_siprec_sessions") == 0)
    return "30 sessions at 20 % loss"


def cancelled(world: World) -> str:
    """A CANCEL that comes behind the answer changes nothing, one for no INVITE is told so."""
    late = [invite(), receive(100, optional=True), receive(200),
            send(request("CANCEL", branch="[branch-3]", cseq="1 CANCEL")),
            receive(200, header="CSeq", wanted="1 CANCEL"),
            send(ack(), again=False), '<pause milliseconds="200"/>\n', bye()]
    run(world, late, "-m", "5", "-r", "5")
    run(world, [send(request("CANCEL")), receive(481)], "-m", "5", "-r", "5")
    return "5 too late, 5 for nothing"


def refusals(world: World) -> str:
    """What cannot be taken is refused with the status of its RFC and a Warning that says why."""
    cases = {
        "415 of a wrong content type": (415, invite(kind="text/plain", body="hello"), "Accept"),
        "415 of a part that must be understood": (415, invite(extra=UNKNOWN_PART), "Accept"),
        "420 of an unknown extension": (420, invite(require="siprec, x-unheard-of"), "Unsupported"),
        "488 of G.729 alone": (488, invite(codecs=G729), "Warning"),
    }
    for name, (status, first, header) in cases.items():
        steps = [first, receive(100, optional=True),
                 receive(status, header=header, wanted="[^ ]"),
                 send(ack(branch="[branch-3]"), again=False)]
        try:
            run(world, steps, "-m", "1")
        except Exception as failure:
            raise type(failure)(f"{name}: {failure}") from failure
    return ", ".join(cases)


def options(world: World) -> str:
    """OPTIONS says what is allowed and accepted."""
    steps = [send(request("OPTIONS")),
             receive(200, header="Accept", wanted="application/rs-metadata"),
             send(request("OPTIONS", cseq="2 OPTIONS")),
             receive(200, header="Allow", wanted="INVITE.*UPDATE|UPDATE.*INVITE")]
    run(world, steps, "-m", "20", "-r", "20")
    return "20 times 2 answered"


def spoken(world: World, transport: str) -> str:
    """A session whose two lines each say a phrase, again and again, until both were heard."""
    stamp = next(UCID_TIME)
    guid = f"{7:05}{1:05}{stamp:010}"
    ucid = f"00FA08{7:04X}{1:04X}{stamp:08X};encoding=hex"
    customer, agent = (sound_file(world, phrase) for phrase in (CUSTOMER, AGENT))
    sound = f'<exec rtp_stream="{customer},-1,0"/>'
    steps = [
        invite(headers=f"User-to-User: {ucid}\n"),
        receive(100, optional=True),
        '<recv response="200"><action><ereg regexp="m=audio ([0-9]+).*m=audio ([0-9]+)" '
        'search_in="body" check_it="true" assign_to="both,first,second"/></action></recv>\n'
        '<Reference variables="both,first"/>\n',
        send(ack(), again=False),
        f'<nop><action>{sound}<exec command="{sys.executable} {PLAYER} '
        f'{agent} 127.0.0.1 [$second] 9"/></action></nop>\n',
        '<pause milliseconds="9000"/>\n',
        bye(),
    ]
    sipp = launch(world, steps, "-t", transport, "-m", "1")
    path = f"/v1/calls/siprec/{guid}"
    eventually("the session to be known", lambda: world.ask("GET", path)[0] == 200)
    command = {"namespace": "siprec", "guid": guid, "customerId": "c", "agentId": "a",
               "siprecParams": {"mediaLineOrder": "CUSTOMER_FIRST"}}
    status, text = world.ask("POST", START, command)
    expect(status == 200, f"the start is answered {status}: {text}")
    finish(sipp, 60)
    records = world.service.streams(guid, 2)
    for role, phrase in (("customer", CUSTOMER), ("agent", AGENT)):
        heard = [told["phrase"] for told in records[role]["transcripts"]]
        expect(phrase in heard, f"{role}: the service heard {heard}")
        expect(not records[role]["complaints"], f"{role}: {records[role]['complaints']}")
    return f"{len(records)} lines heard"


def sound_file(world: World, phrase: str) -> pathlib.Path:
    """A file of a phrase's samples, with a pause around it."""
    path = world.folder / f"{phrase}.ulaw"
    path.write_bytes(b"".join(frames([phrase])))
    return path


def signalling() -> list[str]:
    """A session without sound."""
    return [invite(), receive(100, optional=True), receive(200), acknowledge(),
            '<pause milliseconds="200"/>\n', bye()]


def invite(codecs=PCMU, kind="", body="", extra=None, require="siprec", headers="") -> str:
    """An INVITE of two lines with metadata, or with any other body."""
    if not kind:
        kind = f"multipart/mixed;boundary={BOUNDARY}"
        lines = "".join(LINE.format(offset=2 * number, codecs=codecs[0], formats=codecs[1],
                                    label=number + 1) for number in range(2))
        parts = [("application/sdp", "session", SDP + lines),
                 ("application/rs-metadata+xml", "recording-session", METADATA)]
        body = multipart(parts + ([extra] if extra else []))
    headers = f"Require: {require}\n{headers}Content-Type: {kind}\n"
    return send(request("INVITE", headers=headers, body=body))


def multipart(parts: list[tuple[str, str, str]]) -> str:
    """RFC 2046."""
    text = "".join(f"--{BOUNDARY}\nContent-Type: {kind}\nContent-Disposition: {use}\n\n{body}\n"
                   for kind, use, body in parts)
    return f"{text}--{BOUNDARY}--\n"


def request(method: str, branch="[branch]", cseq="", to="", headers="", body="") -> str:
    """A request of this dialog, or of none."""
    to = to or "To: <sip:srs@[remote_ip]:[remote_port]>"
    return REQUEST.format(method=method, branch=branch, cseq=cseq or f"1 {method}", to=to,
                          headers=headers, body=body)


def ack(branch="[branch]") -> str:
    """An ACK: of a 2xx with a branch of its own, else with the INVITE's."""
    return request("ACK", branch=branch, to="[last_To:]")


def acknowledge() -> str:
    """Sends it for a 2xx."""
    return send(ack(), again=False)


def bye() -> str:
    """Hangs up."""
    return send(request("BYE", cseq="2 BYE", to="[last_To:]")) + receive(200)


def send(text: str, again=True) -> str:
    """Sends, and again until there is an answer."""
    attribute = ' retrans="500"' if again else ""
    return f"<send{attribute}><![CDATA[\n{text}\n]]></send>\n"


def receive(status: int, optional=False, header="", wanted="") -> str:
    """Waits for a response; with `header`, one whose header has what is wanted."""
    attributes = ' optional="true"' if optional else ""
    if not header:
        return f'<recv response="{status}"{attributes}/>\n'
    return (f'<recv response="{status}"{attributes}><action>'
            f'<ereg regexp="{wanted}" search_in="hdr" header="{header}:" check_it="true" '
            f'assign_to="found"/></action></recv>\n<Reference variables="found"/>\n')


def run(world: World, steps: list[str], *arguments: str, patience_s=60) -> None:
    """Runs a scenario; every call of it has to succeed."""
    finish(launch(world, steps, *arguments), patience_s)


def launch(world: World, steps: list[str], *arguments: str) -> subprocess.Popen:
    """Starts sipp with a scenario of these steps."""
    folder = world.folder / f"sipp-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    scenario = folder / "scenario.xml"
    scenario.write_text(HEAD + "".join(steps) + "</scenario>\n")
    command = ["sipp", f"127.0.0.1:{world.sip_port}", "-sf", str(scenario), "-i", "127.0.0.1",
               "-nostdin", "-trace_err", "-timeout_error", *arguments]
    with open(folder / "out", "w") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=subprocess.STDOUT)
    process.folder = folder
    return process


def finish(sipp: subprocess.Popen, patience_s: float) -> None:
    """Waits until sipp has ended, content."""
    try:
        code = sipp.wait(timeout=patience_s)
    except subprocess.TimeoutExpired:
        end(sipp)
        code = "no end in time"
    if code != 0:
        errors = [path.read_text(errors="replace") for path in sipp.folder.glob("*_errors.log")]
        expect(False, f"sipp says {code}: {' '.join(errors)[-1500:]}")
