"""More containers than a run has names for: leases are given to who comes, and spares take what becomes free."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from container_stack import Stack

pytestmark = pytest.mark.containers

EDGES = 9
MEMBERS = ("hub", "demand", "edge", "agent", "cloud")


@pytest.fixture
def stack(image: str) -> Iterator[Stack]:
    """The rental world, whose scenario has nine edge servers, without anybody who watches."""
    made = Stack("scaling", EDGERIG_SCENARIO="quickstart-rental", EDGERIG_EDGES=str(EDGES), EDGERIG_SLOT_WALL_S="1")
    try:
        yield made
    finally:
        made.down()


def test_a_run_is_scaled_by_leases_and_surplus_containers_are_healthy_spares(stack: Stack) -> None:
    more = EDGES + 1
    stack.compose("up", "-d", "--scale", f"agent={more}", "--scale", f"edge={more}", *MEMBERS)
    names = {f"/{kind}/{n}" for kind in ("edge", "agent") for n in range(EDGES)}
    held: dict[str, str] = stack.until(lambda: (found := stack.holders()).keys() == names and found, "all take part")
    assert len(set(held.values())) == 2 * EDGES
    [cloud] = stack.containers("cloud")
    state = stack.inspect(cloud)
    assert (state["State"]["Status"], state["State"]["ExitCode"], state["RestartCount"]) == ("exited", 0, 0)
    assert "the rental world has none" in stack.docker("logs", cloud) + stack.compose("logs", "cloud")
    for kind, name in (("edge", "/edge/4"), ("agent", "/agent/7")):
        [spare] = {each[:12] for each in stack.containers(kind)} - set(held.values())
        stack.until(lambda spare=spare: stack.is_well(spare), "it is well")
        stack.docker("kill", held[name])
        stack.until(lambda spare=spare, name=name: stack.holders().get(name) == spare, "the spare takes the name")
    # Who is beside the run takes nothing of it: the others are who they were.
    now = stack.holders()
    assert {name: now.get(name) for name in names - {"/edge/4", "/agent/7"}} == {
        name: one for name, one in held.items() if name not in ("/edge/4", "/agent/7")
    }
