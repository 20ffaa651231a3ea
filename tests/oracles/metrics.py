"""promtool: whether Prometheus likes our metrics."""

import subprocess

from world import World, expect


def check(world: World) -> str:
    """Everything on /metrics, as it is now."""
    text = world.get("/metrics")
    done = subprocess.run(["promtool", "check", "metrics"], input=text, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    expect(done.returncode == 0 and not done.stdout, f"promtool says:\n{done.stdout}")
    families = sum(line.startswith("# TYPE ") for line in text.splitlines())
    return f"{families} metrics"
