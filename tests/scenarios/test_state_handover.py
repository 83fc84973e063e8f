"""A state goes from one agent to its successor at a swap, or does not, and then it is said why.

Both are toys that speak the protocol. They decide by all tasks that they ever saw, so one that starts cold decides
otherwise than one that goes on.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from foreign_agent import OBSERVATION, REWARD, ForeignAgent, counts_of
from thread_run import ThreadRun, small

from bus import agent_state
from bus.swap_messages import Swap, SwapQuery, SwapState
from emulator import swaps_file

QUERY, PIECE, RESULT = 26, 27, 28
FORMAT = "toy-totals/1"
AT, FRAMES = 4, 9
Answer = Callable[["Remembers", tuple[int, ...], dict[str, Any]], None]


class Remembers(ForeignAgent):
    """Adds up the tasks of each service once a frame counts, and deploys what was wanted most of late."""

    answer: Answer | None = None
    takes: str = ""
    declares: dict[str, Any]
    process = ""

    def hello(self, **more: Any) -> None:
        self.totals: list[float] = []
        self.pending: dict[int, list[float]] = {}
        self.given = b""
        said = {"name": "totals", "capabilities": ["state"], "state_format": FORMAT, **self.declares}
        super().hello(**said, **({"process": self.process} if self.process else {}), **more)

    def choose(self, header: tuple[int, ...], said: dict[str, Any]) -> dict[str, Any]:
        rows, sizes = counts_of(said), self.setup["service_bytes"]
        seen = [sum(column) for column in zip(*rows, strict=True)] if rows else [0.0] * said["services"]
        if not said["warm_up"]:
            self.pending = {header[6]: seen}
        # Small against the totals, so that what was seen before decides.
        totals = self.totals or [0.0] * len(seen)
        score = [old * 10.0 + new for old, new in zip(totals, seen, strict=True)]
        room, chosen = self.setup["storage_bytes"], []
        for service in sorted(range(len(sizes)), key=lambda j: (score[j], j)):
            if sizes[service] <= room:
                room -= sizes[service]
                chosen.append(service)
        return {"services": sorted(chosen)}

    def take(self, header: tuple[int, ...], said: Any) -> None:
        kind, place = header[2], (header[5], header[6])
        if kind == REWARD and (seen := self.pending.pop(header[6], None)) is not None:
            totals = self.totals or [0.0] * len(seen)
            self.totals = [old * 0.5 + new for old, new in zip(totals, seen, strict=True)]
        if kind == QUERY:
            (self.answer or Remembers.gives)(self, header, said)
        elif kind == PIECE:
            self.given += said["data"]
            if len(self.given) == said["size_bytes"]:
                assert hashlib.sha256(self.given).hexdigest() == said["sha256"]
                self.totals = json.loads(self.given)
                self.say(self.server, RESULT, {"done": not self.takes, "reason": self.takes}, *place)
        super().take(header, said)

    def gives(self, header: tuple[int, ...], said: dict[str, Any]) -> None:
        """In two pieces, as the page says."""
        state = json.dumps(self.totals).encode()
        whole = {"format": FORMAT, "size_bytes": len(state), "sha256": hashlib.sha256(state).hexdigest()}
        half = len(state) // 2
        for offset, data in ((0, state[:half]), (half, state[half:])):
            self.say(self.server, PIECE, {**whole, "offset": offset, "data": data}, header[5], header[6])


def changed(**change: Any) -> Answer:
    """Gives its state, but with other words."""

    def answer(agent: Remembers, header: tuple[int, ...], said: dict[str, Any]) -> None:
        state = b"[1]"
        whole = {"format": FORMAT, "size_bytes": 3, "sha256": hashlib.sha256(state).hexdigest(), "offset": 0}
        agent.say(agent.server, PIECE, {**whole, "data": state, **change}, header[5], header[6])

    return answer


def silent(agent: Remembers, header: tuple[int, ...], said: dict[str, Any]) -> None:
    """Says nothing of its state."""


def leaves(agent: Remembers, header: tuple[int, ...], said: dict[str, Any]) -> None:
    """Dies as it is asked for its state."""
    agent.silent = True
    agent.run.registry.drop(agent.instance, "its process ended with code -9")  # type: ignore[attr-defined]


def unable(agent: Remembers, header: tuple[int, ...], said: dict[str, Any]) -> None:
    agent.say(agent.server, RESULT, {"done": False, "reason": "it was lost"}, header[5], header[6])


class Scene:
    """A run in which a toy decides for edge server 0, and perhaps another one takes over in frame ``AT``."""

    def __init__(
        self, folder: Path, *, swaps: bool = True, answer: Answer | None = None, takes: str = "",
        before: dict[str, Any] | None = None, after: dict[str, Any] | None = None, cold: bool = False, **more: Any,
    ) -> None:  # fmt: skip
        scenario = small(frames=FRAMES, agent={"policy": "marginal-popularity"}, **more)
        others = [(m, 1) for m in range(1, scenario.edges.count)]
        self.run = ThreadRun(scenario, folder, layout={"agent": others})
        self.run.on_turn = self.turn
        self.swaps, self.answer, self.takes = swaps, answer, takes
        self.before, self.after = before or {}, after or {}
        self.agents: list[Remembers] = []
        self.number = 0
        self.cold = cold

    def agent(self, declares: dict[str, Any], **facts: Any) -> None:
        made = type("Made", (Remembers,), {"declares": declares, "run": self.run, **facts})
        edge = {"edge": 0} if self.agents else {}
        choose = lambda agent, header, said: agent.choose(header, said)  # noqa: E731 -- it is what a toy is made with
        self.agents.append(made(self.run.bus.context, self.run.registry.address, choose, **edge))

    def turn(self, run: ThreadRun) -> None:
        if not self.agents:
            self.agent(self.before, **({"answer": staticmethod(self.answer)} if self.answer else {}))
        if self.swaps and len(self.agents) == 1 and run.hub.phase == "running":
            run.registry.standbys.expected.add("next")
            self.agent(self.after, process="next", takes=self.takes)
        if len(self.agents) == 2 and not self.number and run.registry.standbys.of("/agent/0"):
            self.number = run.hub._changes.swaps.ask(Swap((0,), to=("next",), at_frame=AT, cold=self.cold)).number
        for agent in self.agents:
            agent.step()

    def play(self) -> Scene:
        try:
            assert self.run.play() == 0
        finally:
            for agent in self.agents:
                agent.close()
        return self

    def state(self) -> SwapState:
        (found,) = self.run.hub._changes.swaps.status(SwapQuery(self.number)).swaps
        return found

    def rows(self, *events: str) -> list[tuple[str, str]]:
        with (self.run.folder / "swaps.csv").open() as file:
            return [(row["event"], row["reason"]) for row in csv.DictReader(file) if row["event"] in events]


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> ThreadRun:
    """The same run, in which the first toy decides to its end."""
    return Scene(tmp_path_factory.mktemp("ours"), swaps=False).play().run


def test_the_state_goes_over_and_no_number_changes_where_a_cold_start_changes_them(
    tmp_path: Path, ours: ThreadRun
) -> None:
    scene = Scene(tmp_path / "a").play()
    state = scene.state()
    (part,) = state.parts
    assert (state.stage, state.frame, state.missed, state.gap_frames) == ("done", AT, 0, 0)
    assert (part.state, part.state_reason, part.state_format, part.state_frame) == ("handed over", "", FORMAT, AT - 1)
    given = scene.agents[1].given
    assert (part.state_bytes, part.state_sha256) == (len(given), hashlib.sha256(given).hexdigest())
    assert 0.0 < part.state_s < 5.0
    assert scene.run.slots() == ours.slots()
    kinds = [
        kind for kind, h, _ in scene.agents[0].heard if h[6] in (AT - 1, AT) and kind in (REWARD, QUERY, OBSERVATION)
    ]
    assert kinds[kinds.index(QUERY) - 1 : kinds.index(QUERY) + 2] == [REWARD, QUERY, OBSERVATION]
    assert [event for event, _ in scene.rows("handed over", "bound")] == ["handed over", "bound"]
    assert not swaps_file.read(scene.run.folder / "swaps.csv")[0].cold
    assert scene.run.ledger()["swaps"][0]["parts"][0]["state"] == "handed over"
    told = [json.loads(line) for line in (scene.run.folder / "events.jsonl").read_text().splitlines()]
    assert [event["slot"] for event in told if "was handed over" in event["text"]] == [2 * AT]

    again = Scene(tmp_path / "b").play()
    assert again.run.ledger()["digest"] == scene.run.ledger()["digest"]
    cold = Scene(tmp_path / "c", before={"capabilities": []}).play()
    assert cold.run.slots() != ours.slots()
    assert cold.state().stage == "done"


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no capability": ({"before": {"capabilities": []}}, "the one before gives no state"),
    "another format": ({"before": {"state_format": "x"}}, "a state of the format 'x', not 'toy-totals/1'"),
    "asked for": ({"cold": True}, "a cold start was asked for"),
    "wrong hash": ({"answer": changed(sha256="0" * 64)}, "wrong hash"),
    "malformed": ({"answer": changed(data="text")}, "malformed"),
    "late": ({"answer": silent}, "too late: it was not given within 0.3 s"),
    "not taken": ({"takes": "it means nothing"}, "does not take it: it means nothing"),
}


@pytest.mark.parametrize("name", [name for name in WRONG if name != "another format"])
def test_whatever_is_wrong_is_a_cold_start_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(agent_state, "DEADLINE_S", 0.3 if name == "late" else 5.0)
    wrong, why = WRONG[name]
    scene = Scene(tmp_path, **wrong).play()
    state = scene.state()
    assert (state.stage, state.frame, state.missed) == ("done", AT, 0)
    assert (state.parts[0].state, state.parts[0].state_bytes) == ("cold start", 0)
    assert why in state.parts[0].state_reason
    (again,) = swaps_file.read(scene.run.folder / "swaps.csv")
    assert again.cold
    assert [event for event, _ in scene.rows("cold start", "bound")] == [
        "cold start",
        "bound",
    ]


@pytest.mark.parametrize("name", ["wrong hash", "late"])
def test_one_that_needs_a_state_and_gets_none_does_not_take_over_and_none_is_missed(
    tmp_path: Path, ours: ThreadRun, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(agent_state, "DEADLINE_S", 0.3 if name == "late" else 5.0)
    wrong, why = WRONG[name]
    scene = Scene(tmp_path, after={"needs_state": True}, **wrong).play()
    state = scene.state()
    assert (state.stage, state.failed, state.missed, state.rolled_back_frame) == ("failed", "take-over", 0, AT)
    assert "no valid decision (no state: " in state.reason
    assert why in state.reason
    assert scene.run.slots() == ours.slots()


@pytest.mark.parametrize("name", ["no capability", "another format", "asked for"])
def test_what_is_known_to_be_missing_is_said_before_anybody_is_bound(
    tmp_path: Path, ours: ThreadRun, name: str
) -> None:
    wrong, why = WRONG[name]
    scene = Scene(tmp_path, after={"needs_state": True}, **wrong).play()
    state = scene.state()
    assert (state.stage, state.failed, state.frame) == ("failed", "ready", -1)
    assert state.reason.startswith("edge 0: next needs a state, but ")
    assert why in state.reason


def test_the_one_before_dies_as_it_is_asked_and_the_one_that_comes_starts_cold(tmp_path: Path) -> None:
    scene = Scene(tmp_path, answer=leaves).play()
    state = scene.state()
    assert (state.stage, state.frame, state.missed) == ("done", AT, 0)
    assert (state.parts[0].state, state.parts[0].state_reason) == ("cold start", "the one before is gone")


def test_it_dies_so_and_the_one_that_comes_needs_its_state_so_nobody_decides(tmp_path: Path) -> None:
    scene = Scene(tmp_path, answer=leaves, after={"needs_state": True}).play()
    state = scene.state()
    assert state.stage == "failed"
    assert "needs a state, but nobody is there who could give it" in state.reason
    assert "/agent/0" not in scene.run.members(2 * FRAMES - 1)


def test_the_digest_tells_a_cold_start_from_a_state_that_went_over(tmp_path: Path) -> None:
    """With agents whose numbers do not depend on it."""
    found = []
    for name, answer in (("a", None), ("b", unable), ("c", unable)):
        scene = Scene(tmp_path / name, answer=answer)
        found.append(scene.play().run.ledger()["digest"])
    assert found[0] != found[1] == found[2]
