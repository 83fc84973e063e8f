"""A real engine where there is one or one can be started, and the images built on it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from container_stack import COMMAND_S, EDGES, PINS, TAG, Stack, run
from live_run import ROOT

ENGINE_S = 600.0
FOREIGN = ("prom/prometheus:v3.5.0", "prom/alertmanager:v0.28.1")


def answers() -> bool:
    """Whether an engine runs here."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(("docker", "info"), capture_output=True, timeout=COMMAND_S, check=False).returncode == 0


def engine_tool() -> str | None:
    """What starts an engine on a machine that has none: EDGERIG_ENGINE, on the path, or beside the checkout."""
    beside = ROOT.parent / "shared" / "tools" / "engine" / "engine"
    return os.environ.get("EDGERIG_ENGINE") or shutil.which("engine") or (str(beside) if beside.exists() else None)


@pytest.fixture(scope="session")
def engine() -> Iterator[None]:
    tool = engine_tool()
    started = False
    if not answers():
        if tool is None:
            assert not os.environ.get("CI"), "no container engine, and none can be started; CI must have one"
            pytest.skip("no container engine answers here; start Docker, or name what starts one in EDGERIG_ENGINE")
        run(tool, "up", timeout_s=ENGINE_S)
        started = True
    if tool is not None:
        for image in FOREIGN:
            if not run("docker", "image", "ls", "-q", image):
                run(tool, "alias", image)
    yield
    if started and tool is not None:
        run(tool, "down")


@pytest.fixture(scope="session")
def image(engine: None) -> str:
    """The image of nodes, built as a user builds it."""
    run("docker", "compose", "build", timeout_s=ENGINE_S, EDGERIG_TAG=TAG, PINS=PINS)
    return f"edgerig-node:{TAG}"


@pytest.fixture(scope="session")
def stack(image: str) -> Iterator[Stack]:
    """A paced run with a spare agent, Prometheus and Alertmanager; each test leaves it whole, the last one ends it."""
    made = Stack("paced", EDGERIG_SLOT_WALL_S="0.5")
    try:
        made.compose("--profile", "alerts", "up", "-d", "--scale", f"agent={EDGES + 1}")
        made.until(lambda: len(made.holders()) == 2 * EDGES, "everyone takes part")
        yield made
    finally:
        made.down()


@pytest.fixture
def lockstep(image: str) -> Iterator[Stack]:
    """A run of a test's own, without a spare: every frame waits for everybody, so that nobody is late."""
    made = Stack("in-lockstep", EDGERIG_SLOT_WALL_S="0")
    try:
        made.compose("up", "-d")
        yield made
    finally:
        made.down()
