"""schemathesis: whether the API does what /openapi.json says of it."""

import asyncio
import os
import re
import sys

from calls import START, Call, silent_call
from world import API_ID, API_SECRET, ROOT, World, expect

# The call of the description's examples; it is there, so that they succeed.
EXAMPLE = "CA5b040e075515c424391012acc5a870cf"
# A call that is streaming; only schemathesis.toml tells of it.
STREAMING = "CA99999999999999999999999999999999"
FOLDER = ROOT / "tests" / "oracles"


def check(world: World) -> str:
    """Requests right and wrong, made from the description; see schemathesis.toml."""
    said, code = asyncio.run(_schemathesis(world))
    expect(code == 0, f"schemathesis says:\n{said}")
    count = re.search(r"(\d+) generated, \1 passed", said)
    expect(count is not None, f"schemathesis does not say that all passed:\n{said}")
    return f"{count[1]} requests answered as described"


async def _schemathesis(world: World) -> tuple[str, int]:
    arguments = [
        "--config-file", str(FOLDER / "schemathesis.toml"),
        "run", f"{world.url}/openapi.json", "--no-color",
        "--header", f"asapp-api-id: {API_ID}", "--header", f"asapp-api-secret: {API_SECRET}",
    ]
    # It writes where it runs.
    environment = os.environ | {"SCHEMATHESIS_HOOKS": str(FOLDER / "checks.py")}
    async with silent_call(world, EXAMPLE), silent_call(world, STREAMING) as streaming:
        starting = asyncio.create_task(keep_started(world, streaming))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "schemathesis.cli", *arguments, cwd=world.folder, env=environment,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
        said, _ = await process.communicate()
        starting.cancel()
    return said.decode(), process.returncode


async def keep_started(world: World, call: Call) -> None:
    """Starts it again and again: schemathesis finds it in the list of calls and stops it."""
    while True:
        await asyncio.to_thread(world.ask, "POST", START, call.command())
        await asyncio.sleep(0.1)
