"""asyncapi: whether the events that are told are those of /asyncapi.json, by a validator of JSON
Schema that nobody here wrote.
"""

import json

import jsonschema_rs

from calls import AGENT, CUSTOMER, Call, frames
from world import World, expect


def events(world: World) -> str:
    """Every event of a call, against the schemas of the messages of the document."""
    document = json.loads(world.get("/asyncapi.json"))
    expect(document["asyncapi"].startswith("3."), f"AsyncAPI {document['asyncapi']}")
    validator = jsonschema_rs.validator_for(schema_of_events(document))
    customer, agent = frames(CUSTOMER), frames(AGENT)
    call = Call(world, customer, agent_frames=agent, tracks=["inbound", "outbound"])
    call.run(world)
    told = told_of(world, call.path)
    kinds = {event["type"] for event in told}
    expect({"callStarted", "transcript", "streamEnded"} <= kinds, f"only {kinds} were told")
    for event in told:
        complaints = [error.message for error in validator.iter_errors(event)]
        expect(not complaints, f"{event['type']} is not as described: {complaints}")
    for broken in ({}, {"type": "transcript"}, told[0] | {"type": "noSuchEvent"}):
        expect(not validator.is_valid(broken), f"{broken} is as described")
    return f"{len(told)} events of {len(kinds)} kinds as described"


def schema_of_events(document: dict) -> dict:
    """One schema of everything that may be sent, with what it refers to."""
    messages = document["components"]["messages"]
    payloads = [message["payload"] for message in messages.values()]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema",
            "anyOf": payloads, "components": document["components"]}


def told_of(world: World, path: str) -> list[dict]:
    """The events of a call until now."""
    text = world.get(f"{path}/events?after=0&follow=false")
    return [json.loads(line.removeprefix("data: "))
            for line in text.splitlines() if line.startswith("data: ")]
