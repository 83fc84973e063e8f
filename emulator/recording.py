"""Records a run into a bag, from joining its hub to the proof that nothing is missing."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bus import topics
from bus.errors import PeerLost
from bus.messages import Books, Failure, Query
from bus.names import HUB
from bus.node import Node
from bus.process import Process
from emulator.scenario import Scenario
from emulator.summary import versions
from monitoring.bag_writer import RECORDING, RUN, BagWriter, Encoding
from monitoring.record import Findings, Recorder, Wanted

LOST, INCOMPLETE = 3, 5
ASK_BOOKS_S = 0.02
STALL_S = 5.0
"""How long nothing may come, of what the hub says was published, before it is given up as lost."""


def everything(topic: str) -> bool:
    """Whether the topic table has a topic recorded."""
    return topics.match(topic).recorded


@dataclass(frozen=True)
class Plan:
    """What to record, and into what.

    Attributes:
        path, encoding: The bag.
        wanted: Which topics.
        scenario, text: Of the run, and as TOML; None where the hub conducts none.
        from_start: Whether the run waits for the recorder: then all of it must be in the bag.
    """

    path: Path
    encoding: Encoding = "json"
    wanted: Wanted = everything
    scenario: Scenario | None = None
    text: str = ""
    from_start: bool = False


@dataclass(frozen=True)
class Recording:
    """How it ended: exit code, what was found, why it stopped."""

    code: int
    findings: Findings
    reason: str


def record_run(options: argparse.Namespace, process: Process, scenario: Scenario, text: str) -> int:
    """The recorder's process of a run; options as of ``node start recorder``.

    Returns: Its exit code.
    """
    from monitoring.exporter import serve_metrics

    plan = Plan(Path(options.out), options.encoding, scenario=scenario, text=text, from_start=True)
    (name,) = process.join(options.hub, "recorder", wait_s=options.wait)
    url = serve_metrics(process, options.bind, options.metrics_port)
    return record(process, process.node(name), options.hub, plan, metrics_url=url).code


def record(
    process: Process,
    node: Node,
    hub: str,
    plan: Plan,
    *,
    metrics_url: str = "",
    enough: Callable[[], bool] = lambda: False,
) -> Recording:
    """Record until the run ends, the hub is gone, ``enough`` holds or the process is stopped; closes the process.

    Raises: BagError: the bag cannot be written.
    """
    slot_s = 0.0 if plan.scenario is None else plan.scenario.slot_s
    bag = BagWriter(plan.path, plan.encoding, slot_s)
    try:
        return _record(process, node, hub, plan, bag, metrics_url, enough)
    finally:
        process.close("(the recording ended)")


def _record(
    process: Process,
    node: Node,
    hub: str,
    plan: Plan,
    bag: BagWriter,
    metrics_url: str,
    enough: Callable[[], bool],
) -> Recording:
    _begin(bag, plan)
    recorder = Recorder(node, bag, plan.wanted, from_start=plan.from_start)
    reason, books, code = "stopped", None, 0
    try:
        process.register(metrics_url)
        process.spin(lambda: recorder.shutdown is not None or enough())
        if recorder.shutdown is not None:
            reason = recorder.shutdown.reason
            books = _books(process, hub, recorder)
    except PeerLost as error:
        reason, code = str(error), LOST
    findings = recorder.findings(books)
    facts = {**findings.facts(), "reason": reason, "digest": books.digest if books is not None else ""}
    bag.note(RECORDING, {**facts, "cpu_s": f"{time.process_time():.3f}"})
    bag.close()
    return Recording(code or (0 if findings.complete else INCOMPLETE), findings, reason)


def _begin(bag: BagWriter, plan: Plan) -> None:
    facts: dict[str, object] = {f"version_{name}": version for name, version in versions().items()}
    facts["encoding"] = plan.encoding
    facts["from_start"] = str(plan.from_start).lower()
    scenario = plan.scenario
    if scenario is not None:
        names = ("name", "seed", "world_seed", "slot_s", "slots_per_frame", "slots", "clock", "tasks")
        facts |= {name: getattr(scenario, name) for name in names}
        facts["agent"] = scenario.agent.policy
        bag.attach("scenario.toml", "application/toml", plan.text.encode())
    bag.note(RUN, facts)
    bag.flush()


def _books(process: Process, hub: str, recorder: Recorder) -> Books | None:
    """Ask the hub for its books until they are closed, and read on until nothing of what they name is missing.

    Returns: None where the hub went before it could say.
    """
    answers: list[Books] = []
    gone: list[str] = []

    def ask() -> None:
        process.asking(hub, HUB).ask(HUB, "books", Query(), Books, STALL_S, answered)

    def answered(answer: Books | Failure) -> None:
        if isinstance(answer, Failure):
            gone.append(answer.text)
        elif answer.closed:
            answers.append(answer)
        else:
            process.after(ASK_BOOKS_S, ask)

    ask()
    process.spin(lambda: bool(answers or gone))
    if not answers:
        return None
    books, seen = answers[0], -1
    while not process.spin(lambda: not recorder.behind(books), STALL_S) and recorder.messages > seen:
        seen = recorder.messages
    return books
