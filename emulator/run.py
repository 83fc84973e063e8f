"""One execution of a scenario, on the bus or in this process, from its folder to its summary."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
import numpy as np

from agents import rollout
from agents.errors import AgentError, ExtraMissing
from agents.manifest import load_programs, warning_of
from agents.policy import Setting, make_policy, observes, per_edge_specs, warm_up
from agents.schedulers import make_scheduler
from bus.digest import RunDigest
from bus.messages import RunStatus
from emulator import folder as run_folder
from emulator import records, rental_run, scenario_file, summary
from emulator.assembly import build_network, resolve
from emulator.launch import BAG, Launcher
from emulator.model import scheduling
from emulator.model.breakdown import Breakdown, CellRow, ServiceRow
from emulator.model.offloading import frame_costs
from emulator.scenario import Scenario
from emulator.specs import is_program, with_whole_paths
from emulator.world import World
from monitoring.bag_reader import closing_facts
from monitoring.bag_writer import BagError

INCOMPLETE = 5
INTERRUPTED = 130
OnStatus = Callable[[RunStatus], None]


@dataclass(frozen=True)
class Result:
    """How a run ended."""

    folder: Path
    code: int
    summary: dict[str, Any]


def prepare(
    scenario: Scenario, *, on_bus: bool, elsewhere: bool = False, tell: Callable[[str], None] = lambda text: None
) -> Scenario:
    """Resolve a scenario and check what only the agents know.

    Args:
        scenario: As read.
        on_bus: Whether processes will run it.
        elsewhere: Whether agents have other installations than this one, which may have what is missing here.
        tell: Gets a line before something takes long.
    Raises: ScenarioError, AgentError: it cannot be run like this.
    """
    if on_bus:
        scenario = _with_programs(scenario, tell)
    may_lack = (ExtraMissing,) if elsewhere else ()
    if scenario.world == "rental":
        return rental_run.prepare(scenario, on_bus=on_bus, may_lack=may_lack)
    resolved = resolve(scenario)
    specs = per_edge_specs(scenario.agent.policy, scenario.edges.count)
    if on_bus and any(spec.partition(":")[0] == "oracle" for spec in specs):
        raise AgentError("agent oracle: knows the coming frame, so it only works in process; use `edgerig sim`")
    if scenario.agent.orphan not in ("keep", "empty"):
        per_edge_specs(scenario.agent.orphan, scenario.edges.count)
    make_scheduler(resolved.scheduler.kind, resolved.scheduler.backend)
    _check_policies(resolved, specs, on_bus=on_bus, may_lack=may_lack)
    if on_bus and resolved.scheduler.backend == "numba":
        if not any(Path(scheduling.__file__).parent.glob("__pycache__/*.nbi")):
            tell("compiling the scheduler and the planners (once; up to half a minute)")
        _compile(resolved, set(specs))
    return resolved


def _with_programs(scenario: Scenario, tell: Callable[[str], None]) -> Scenario:
    """The scenario with the whole paths of the programs that decide, which are checked as far as can be before a run.

    Raises: AgentError: one cannot be used here.
    """
    policy = with_whole_paths(scenario.agent.policy)
    specs = [part.partition("=")[2] or part for part in policy.split(",")]
    if not any(map(is_program, specs)):
        return scenario
    services = scenario.services.count if scenario.world == "offloading" else None
    for found in load_programs(specs, scenario.world, services):
        if warning_of(found):
            tell(warning_of(found))
    if scenario.link and scenario.world == "rental":
        raise AgentError(
            f"agent {policy}: in the rental world emulated links do not lead to programs; take [[link]] out of the "
            "scenario, or name a policy of ours"
        )
    return msgspec.structs.replace(scenario, agent=msgspec.structs.replace(scenario.agent, policy=policy))


def _check_policies(
    scenario: Scenario, specs: list[str], *, on_bus: bool, may_lack: tuple[type[Exception], ...] = ()
) -> None:
    """Let each policy that is not known to work anywhere say what it lacks, before any process is started.

    Raises: AgentError: it cannot work here, for another reason than it may.
    """
    network = build_network(scenario)
    for spec in set(specs):
        if observes(spec) == "local" and not (on_bus and is_program(spec)):
            setting = Setting(
                network, scenario.slots_per_frame, specs.index(spec), scenario.seed, scenario=scenario.name
            )
            with contextlib.suppress(*may_lack):
                make_policy(spec, setting)


def _compile(scenario: Scenario, specs: set[str]) -> None:
    """Compile what the processes will load from the cache: once here instead of in each of them at the same time."""
    network = build_network(scenario)
    nothing = np.zeros((network.edges, network.services))
    rollout.scheduler_of(scenario)(nothing, frame_costs(network, nothing.astype(np.bool_)))
    for spec in specs:
        if observes(spec) == "network":  # the others compile nothing
            setting = Setting(network, scenario.slots_per_frame, None, scenario.seed, "numba", scenario=scenario.name)
            warm_up(make_policy(spec, setting), setting)


@contextlib.contextmanager
def interrupting(launcher: Launcher) -> Iterator[None]:
    """Ctrl-C, SIGTERM and a closed terminal ask the launcher to stop, as often as they come.

    No exception: one that came between the start of a process and its being noted would leave the process behind. Only
    the main thread hears signals; elsewhere nothing changes.
    """
    before: dict[signal.Signals, Any] = {}

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        launcher.interrupt()

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup leaves it
                before[number] = signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def on_bus(
    scenario: Scenario,
    out: str | None,
    on_status: OnStatus,
    on_start: Callable[[Launcher], None],
    record: str = "",
) -> Result:
    """Run a prepared scenario as processes; ``record`` is the encoding of its bag, empty for none.

    Raises: RunFolderError: no folder, or the hub could not start.
    """
    started_s = time.monotonic()
    folder = new_folder(scenario, out)
    launcher = Launcher(folder, scenario, record)
    first_slot_s: float | None = None

    def told(status: RunStatus) -> None:
        nonlocal first_slot_s
        if first_slot_s is None and status.slot >= 0:
            first_slot_s = time.monotonic() - started_s
        on_status(status)

    with interrupting(launcher):
        try:
            launcher.start()
            on_start(launcher)
            code = launcher.watch(told)
        finally:
            launcher.close()
        wall_s = time.monotonic() - started_s
        recording = _recording(folder / BAG, launcher) if record else None
        if recording is not None and not recording["complete"]:
            code = code or INCOMPLETE
        learning = rental_run.learned(scenario, folder)
        said = launcher.notes, launcher.last_words
        document = summary.write(
            folder, scenario, scenario.clock, wall_s, code, first_slot_s, *said, recording, learning
        )
    return Result(folder, document["exit_code"], document)


def _recording(bag: Path, launcher: Launcher) -> dict[str, Any]:
    """What the recorder says of its bag at the end; a bag without an end is not complete."""
    try:
        facts = closing_facts(bag)
    except BagError as error:
        launcher.notes.append(str(error))
        facts = {}
    # Written last, when all was in the file; how its process ended after that does not matter.
    complete = facts.get("complete") == "true" and facts.get("closed") == "true"
    if facts.get("unknown"):
        launcher.notes.append(f"not recorded, in no topic table here: {facts['unknown']}")
    if not complete:
        launcher.notes.append(f"{bag.name} is not complete: {facts.get('gaps') or 'see logs/recorder.log'}")
    counts = {name: int(facts.get(name, 0)) for name in ("messages", "lost")}
    size = bag.stat().st_size if bag.exists() else 0
    return {"file": bag.name, "complete": complete, **counts, "bytes": size, "seconds": float(facts.get("cpu_s", 0.0))}


def in_process(scenario: Scenario, out: str | None, on_status: OnStatus) -> Result:
    """Run a prepared scenario in this process; the same tables, the same numbers."""
    started_s = time.monotonic()
    folder = new_folder(scenario, out)
    if scenario.world == "rental":
        document = rental_run.in_process(scenario, folder, on_status)
        return Result(folder, document["exit_code"], document)
    writer = run_folder.Writer(folder)
    world, digest = World(scenario), RunDigest()
    breakdown = Breakdown(scenario.edges.count, scenario.services.count)
    decisions: list[float] = []
    refused, code = 0, 0
    try:
        for played in rollout.play(scenario, world, folder):
            decisions += played.decision_s
            refused += played.step.row.refused
            first = played.step.slots[0].row.slot
            steps = played.step.records(scenario.slots_per_frame, scheduler=scenario.scheduler.at == "cloud")
            for k, messages in enumerate(steps):
                digest.commit(first + k, [records.digest_entry(topic, message) for topic, message in messages])
            for slot in played.step.slots:
                writer.slot(slot.row)
                breakdown.add(slot.ends)
            writer.frame(played.step.row)
            writer.rows("cells.csv", CellRow._fields, breakdown.close_frame(played.step.row.frame))
            on_status(_status(world, scenario, refused))
    except KeyboardInterrupt:
        code = INTERRUPTED
    writer.rows("services.csv", ServiceRow._fields, breakdown.services())
    facts = {**world.totals.facts(), "digest": digest.hex(), "late": 0, "refused": refused, "missed": 0}
    writer.json("ledger.json", {**facts, "decision_s": decisions, "notes": []})
    writer.close()
    wall_s = time.monotonic() - started_s
    document = summary.write(folder, scenario, "in-process", wall_s, code, None)
    return Result(folder, document["exit_code"], document)


def new_folder(scenario: Scenario, out: str | None) -> Path:
    """Make a run folder with the resolved scenario in it.

    Raises: RunFolderError: it cannot be made.
    """
    folder = run_folder.create(out, scenario.name, scenario.seed)
    run_folder.write_text(folder / "scenario.toml", scenario_file.dump(scenario))
    return folder


def _status(world: World, scenario: Scenario, refused: int) -> RunStatus:
    totals = world.totals
    completed = max(totals.completed, 1e-300)
    return RunStatus(
        "running",
        world.slot - 1,
        scenario.slots,
        (world.slot - 1) // scenario.slots_per_frame,
        totals.cost_s / completed,
        totals.all_cloud_s / completed,
        totals.reward_s,
        dict(totals.tasks),
        0,
        0,
        refused,
        (),
    )


def with_changes(scenario: Scenario, **changes: Any) -> Scenario:
    """A scenario with top-level keys replaced; None leaves one as it is."""
    return msgspec.structs.replace(scenario, **{key: value for key, value in changes.items() if value is not None})
