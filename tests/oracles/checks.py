"""What schemathesis cannot know of the API by itself. It loads this file."""

import json

import jsonschema_rs
import schemathesis

# What a schema can say only at a length that nobody would read, or not at all: it knows neither
# which services are configured nor what each has for parameters.
COMBINATIONS = [
    "$.autotranscribeParams.redactionOutput: ",
    "$.twilioParams.trackMap: maps both tracks",
    "$.amazonConnectParams.afterFragmentNumber: is missing",
    "$.antiphon.parameters",
    "$.antiphon.service: names no service that is configured",
    # Only a SIPREC call's guid may be a Cisco-Guid with blanks, of numbers of 32 bits.
    "$.guid: has a character that is not visible ASCII",
]

# Operations that want what no schema can give: the id of a conversation that is kept, one that is
# over, a file that there is, a signature, a webhook that is configured.
OUT_OF_REACH = [
    "DELETE /v1/conversations/{conversationId}",
    "DELETE /v1/conversations/{namespace}/{guid}",
    "DELETE /v1/webhooks/{name}/dead-letters",
    "GET /conversation/v1/conversation/messages",
    "GET /conversation/v1/conversations/{conversationId}/messages",
    "GET /fileexporter/v1/static/files/{fileName}",
    "GET /v1/conversations/{conversationId}",
    "GET /v1/conversations/{namespace}/{guid}",
    "GET /v1/webhooks/{name}/dead-letters",
    "POST /fileexporter/v1/static/getfeedfile",
    "POST /v1/webhooks/{name}/dead-letters/replay",
    "POST /v1/webhooks/{name}/enable",
]


@schemathesis.check
def refusals_of_good_requests(_ctx, response, case):
    """What the schemas allow is refused only if there is no such call, or for a combination."""
    if response.status_code == 400 and is_good(case):
        error = response.json()["error"]
        combination = any(error["message"].startswith(one) for one in COMBINATIONS)
        assert error["code"] == "400-203" or combination, f"refused as {error}"


def is_good(case) -> bool:
    """Whether the request is meant to be one that the schemas allow. Stateful tests spoil some."""
    meta = case.meta
    return bool(meta) and meta.generation.mode.is_positive and meta.phase.name.value != "stateful"


@schemathesis.check
def events(_ctx, response, case):
    """What an event stream carries is described, too."""
    if "text/event-stream" not in response.headers.get("content-type", [""])[0]:
        return
    described = case.operation.schema.raw_schema["components"]
    references = [{"$ref": f"#/components/schemas/{name}"} for name in ("Event", "EventNote")]
    schema = {"anyOf": references, "components": described}
    validator = jsonschema_rs.Draft202012Validator(schema)
    for line in response.text.splitlines():
        if line.startswith("data: "):
            validator.validate(json.loads(line.removeprefix("data: ")))


@schemathesis.check
class EveryOperationSucceeds:
    """Of each operation at least one request is carried out, so that its answer is checked."""

    def __init__(self):
        self.asked, self.answered = set(), set()

    def after_response(self, _ctx, response, case):
        self.asked.add(case.operation.label)
        if response.status_code == 200:
            self.answered.add(case.operation.label)

    def after_run(self, _ctx):
        never = sorted(self.asked - self.answered - set(OUT_OF_REACH))
        assert not never, f"never answered 200: {', '.join(never)}"
