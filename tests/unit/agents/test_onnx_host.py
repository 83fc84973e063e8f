"""An ONNX file as an agent of its own process: the shapes it must have, and that it decides as in our process."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from agents.errors import AgentError
from agents.n2o.files import ActorNetwork
from agents.onnx_actor import OnnxActor
from agents.onnx_host import HostedActor, HostedRenter, check_shapes, check_world, decider_in, wanted
from agents.policy import Observation, Reward, Setting, make_policy
from bus import agent_wire as wire
from emulator.assembly import build_network, resolve
from emulator.nodes.seat_faces import DeploymentFace
from emulator.scenario_file import load

AGENTS = Path(__file__).parents[3] / "agents"
ACTOR = AGENTS / "shipped_actors" / "quickstart" / "actor.onnx"
PAPER = AGENTS / "shipped_actors" / "paper-ttosc" / "actor-2.onnx"
RENTER = AGENTS / "shipped_rental" / "quickstart-rental" / "actors"
HEADER = wire.Header(wire.MAGIC, 1, 19, 2, 1, 1, 0, 1)
RENTAL = wire.Setup("rental", "lockstep", 1, 1.0, 0.0, 2.0, 2, units=2, edges=9)


def setup_of(*changes: str) -> tuple[wire.Setup, Setting]:
    scenario = resolve(load("quickstart", list(changes)))
    network = build_network(scenario)
    face = DeploymentFace(scenario, None, 2, network)
    return face.setup, Setting(network, scenario.slots_per_frame, 2, scenario.seed, scenario=scenario.name)


def session(**shapes: Any) -> Any:
    inputs = [SimpleNamespace(name=name, shape=shape, type="tensor(float)") for name, shape in shapes.items()]
    outputs = [SimpleNamespace(name="values", shape=[20], type="tensor(float)")]
    return SimpleNamespace(get_inputs=lambda: inputs, get_outputs=lambda: outputs)


@pytest.mark.parametrize("file", [ACTOR, PAPER])
def test_it_decides_as_the_policy_in_our_process_does(file: Path) -> None:
    setup, setting = setup_of()
    hosted = decider_in(file, "offloading")(setup, 2)
    ours = OnnxActor(setting, file.parent)
    draws = np.random.default_rng(3)
    for frame in range(12):
        counts = np.floor(draws.random((setup.slots_per_frame, len(setup.service_bytes))) * 4.0)
        said = wire.Observation(*counts.shape, counts.astype("<f8").tobytes())
        decided = hosted.decide(HEADER._replace(frame=frame), said)
        expected = ours.decide(Observation(frame, counts))
        assert decided == wire.Deployment(tuple(np.flatnonzero(expected).tolist())), frame
        hosted.hear(HEADER._replace(frame=frame), wire.Reward(1.0, 1.0, 2.0))
        ours.after_frame(Observation(frame, counts), Reward(frame, 1.0, 1.0, 2.0))


def test_a_warm_up_leaves_no_trace_and_what_was_not_seen_is_no_reason_to_deploy_nothing() -> None:
    setup, _ = setup_of()
    make = decider_in(ACTOR, "offloading")
    counts = np.full((setup.slots_per_frame, len(setup.service_bytes)), 3.0)
    said = wire.Observation(*counts.shape, counts.tobytes())
    fresh, warmed = make(setup, 2), make(setup, 2)
    warmed.decide(HEADER, msgspec.structs.replace(said, warm_up=True))
    warmed.hear(HEADER, wire.Reward(1.0, 1.0, 2.0))
    assert warmed.decide(HEADER, said) == fresh.decide(HEADER, said)
    nothing = fresh.decide(HEADER, wire.Observation(0, len(setup.service_bytes), b""))
    assert isinstance(nothing, wire.Deployment)
    assert nothing.services


def test_a_renter_decides_as_the_actor_within_what_can_be_rented() -> None:
    hosted = decider_in(RENTER / "actor-3.onnx", "rental")(RENTAL, 3)
    ours = ActorNetwork(RENTER, 3)
    draws = np.random.default_rng(4)
    for slot in range(50):
        values = draws.random(5) * np.array([2.0, 60.0, 30.0, 40.0, 24.0])
        decided = hosted.decide(HEADER._replace(frame=slot), wire.RentalObservation(*values.tolist()))
        assert decided == wire.Rental(int(ours.rented(values[None])[0]))
    few = HostedRenter(SimpleNamespace(run=lambda *_: [np.array([7])]), RENTAL)
    assert few.decide(HEADER, wire.RentalObservation(0.0, 0.0, 0.0, float("nan"), 0.0)) == wire.Rental(2)


@pytest.mark.parametrize(
    ("shapes", "text"),
    [
        ({"observation": [5, 19]}, r"input observation is tensor\(float\) \[5, 19\]"),
        ({"observation": [20]}, "input observation"),
        ({"observation": [5, 20], "noise": [1]}, "its inputs are noise, observation, not observation"),
        ({"counts": [5, 20]}, "its inputs are counts"),
        ({"observation": [5, 20], "facts": [20, 9]}, "input facts"),
        ({"observation": [5, 20], "state": ["rows", 20]}, "gives none back"),
    ],
)
def test_shapes_are_compared_before_the_first_run(shapes: dict[str, Any], text: str) -> None:
    setup, _ = setup_of()
    made = session(**shapes)
    with pytest.raises(AgentError, match=text):
        check_shapes(ACTOR, made, wanted(ACTOR, setup, made))


def test_a_state_has_a_number_of_rows() -> None:
    setup, _ = setup_of()
    made = session(observation=["k", "j"], state=["rows", 20])
    made.get_outputs().append(SimpleNamespace(name="state_after", shape=["rows", 20], type="tensor(float)"))
    with pytest.raises(AgentError, match="state needs a number of rows up to 1024"):
        check_shapes(ACTOR, made, wanted(ACTOR, setup, made))


def test_what_was_made_for_another_world_is_refused_before_it_decides() -> None:
    other, _ = setup_of("edges.compute_hz=1e9")
    with pytest.raises(AgentError, match="trained in another world"):
        decider_in(PAPER, "offloading")(other, 2)
    with pytest.raises(AgentError, match="input observation"):
        decider_in(PAPER, "offloading")(setup_of("services.count=7")[0], 2)
    with pytest.raises(AgentError, match="has no output `rented`"):
        decider_in(ACTOR, "rental")(RENTAL, 2)
    assert isinstance(decider_in(ACTOR, "offloading")(other, 2), HostedActor)


def test_a_file_is_looked_through_before_it_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.onnx_host.opened", lambda path: pytest.fail("was opened"))
    (tmp_path / "bad.onnx").write_bytes(ACTOR.read_bytes() + b"\x42\x0a\x0a\x08com.evil")
    with pytest.raises(AgentError, match=r"domain 'com\.evil'"):
        decider_in(tmp_path / "bad.onnx", "offloading")


def test_worlds_are_compared_only_where_the_file_names_one() -> None:
    setup, _ = setup_of()
    told: dict[str, str] = {"services": "20", "world": "0" * 32}
    named = SimpleNamespace(get_modelmeta=lambda: SimpleNamespace(custom_metadata_map=told))
    with pytest.raises(AgentError, match="trained in another world"):
        check_world(ACTOR, named, setup)
    for change in ({"services": "any"}, {"world": setup.world_digest}, {"world": ""}):
        told.update(change)
        check_world(ACTOR, named, setup)


def test_in_one_process_a_manifest_decides_as_its_host_does() -> None:
    scenario = load("quickstart", [])
    manifest = AGENTS / "shipped_actors" / "quickstart" / "agent.toml"
    setup, setting = setup_of()
    policy = make_policy(f"exec:{manifest}", setting)
    host = decider_in(ACTOR, "offloading")(setup, 2)
    draws = np.random.default_rng(5)
    for frame in range(6):
        counts = np.floor(draws.random((setup.slots_per_frame, scenario.services.count)) * 4.0)
        said = wire.Observation(*counts.shape, counts.astype("<f8").tobytes())
        decided = host.decide(HEADER._replace(frame=frame), said)
        ours = policy.decide(Observation(frame, counts))
        assert decided == wire.Deployment(tuple(np.flatnonzero(ours).tolist()))
        host.hear(HEADER._replace(frame=frame), wire.Reward(1.0, 1.0, 2.0))
        policy.after_frame(Observation(frame, counts), Reward(frame, 1.0, 1.0, 2.0))  # type: ignore[union-attr]
