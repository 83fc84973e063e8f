"""Starts one process of a run: joins the hub, makes its nodes, spins until the run ends.

Wires a process together, so it may import upward; imports are kept to what the kind of process needs.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agents.errors import AgentError
from bus.accounting import REPORT, link_report
from bus.client import Client
from bus.credentials import HUB, OBSERVER
from bus.errors import BusError, CallTimeout, KeyRefused, KeystoreError, LeaseRefused, PeerLost
from bus.keystore import Enrolled
from bus.messages import Peer, Query, Setup, Shutdown, Stopped
from bus.process import Process, stop_on_signals
from bus.registry import Registry
from bus.tally import Tally
from emulator import keys, places, start_options
from emulator.assembly import build_network, delay_edges
from emulator.errors import PlaceLost, RunFolderError, RunStalled, ScenarioError
from emulator.folder import write_json
from emulator.layout import count_of, hosted, pool
from emulator.linking import Maker, faults_of
from emulator.model.ledger import Broken
from emulator.nodes.drained import Drained
from emulator.scenario import Scenario
from emulator.scenario_file import parse
from emulator.start_order import NotReached, await_turn

if TYPE_CHECKING:
    from bus.node import Node
    from emulator.folder import Writer
    from emulator.nodes.books import Ledger
    from emulator.nodes.hub import Hub

HUB_ANSWERS_S = 10.0
REPORT_S = 1.0
FLUSH_S = 30.0
"""How long a process that is recorded waits at its end for a recorder that is behind."""

LAUNCHER_S = 0.5

_log = logging.getLogger("start")


def main(arguments: Sequence[str]) -> int:
    """Run one process; returns its exit code.

    Args:
        arguments: ``KIND --hub ADDRESS [--index N] [--count N] ...``; for the hub ``--run FOLDER``, or a scenario.
    """
    options = start_options.parser().parse_args(list(arguments))
    if options.kind == "hub" and not options.run:
        from emulator.unlaunched import run_unlaunched

        return run_unlaunched(options, _start)
    return _start(options)


def _start(options: argparse.Namespace) -> int:
    # A process that is stuck can still say where: its stack goes to its log.
    faulthandler.register(signal.SIGUSR1, file=sys.stderr, all_threads=False)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    try:
        if options.keys:
            keys.use(options.keys)
        options.place = places.place(options.host, options.bind, options.topics_host)
        for address in (options.place.bind, options.place.topics_bind):
            keys.check_reach(address, is_open=options.is_open)
        if options.kind == "agent" and options.standby:
            return _stand_by(options)
        return _hub(options) if options.kind == "hub" else _member(options)
    except (LeaseRefused, AgentError, ScenarioError, RunFolderError, KeystoreError, KeyRefused) as error:
        return _give_up(options, str(error), 2)
    except (BusError, NotReached, PlaceLost, RunStalled) as error:
        return _give_up(options, str(error), 3)
    except Broken as error:
        return _give_up(options, f"invariant broken: {error}", 4)
    except OSError as error:
        return _give_up(options, f"{options.kind}: {error.strerror or error}; check address and rights", 2)


def _give_up(options: argparse.Namespace, text: str, code: int) -> int:
    """Say why; a log on a full disk must not turn last words into another error."""
    # The launcher reads the hub's at the other end of a pipe, whatever becomes of the log.
    for place in (sys.stderr, sys.stdout) if options.kind == "hub" else (sys.stderr,):
        with contextlib.suppress(OSError):
            print(text, file=place, flush=True)
    return code


# -- the hub -----------------------------------------------------------------------------------------------------------


def _hub(options: argparse.Namespace) -> int:
    from monitoring.exporter import serve_metrics

    folder = Path(options.run)
    text = (folder / "scenario.toml").read_text(encoding="utf-8")
    scenario = parse(text, origin=str(folder / "scenario.toml"))
    process = _process(options, "hub", scenario, HUB)
    stop_on_signals(process)
    places.watch(options.place, process.timers.every, scenario.deadlines.hub_s)
    _watch_launcher(process)
    try:
        hub, registry = make_hub(
            process, folder, scenario, text, f"tcp://{options.place.bind}:{options.port}", recorded=options.record
        )
        process.log_to_bus(scenario.slot_s)
        url = serve_metrics(process, options.place.bind, options.metrics_port, peers=registry.peers, run=folder.name)
        process.register(url)
        facts = {"hub": registry.address, "metrics": url, "pid": os.getpid(), "scenario": scenario.name}
        facts |= {"keys": os.environ[keys.VARIABLE]} if process.keys is not None else {}
        write_json(folder / "hub.json", facts)
        print(registry.address, flush=True)
        code = hub.run()
        return code if code in (0, 130) else _give_up(options, hub.reason, code)
    finally:
        process.close("the run is over")


def _process(options: argparse.Namespace, name: str, scenario: Scenario, role: str) -> Process:
    where: places.Place = options.place
    return Process(
        name,
        host=where.host,
        bind=where.bind,
        topics_at=where.topics_at,
        remap=options.remap,
        drop=faults_of(scenario, name),
        keys=keys.keys_of(role),
    )


def make_hub(
    process: Process,
    folder: Path,
    scenario: Scenario,
    text: str = "",
    address: str = "tcp://127.0.0.1:*",
    *,
    recorded: bool = False,
) -> tuple[Hub, Registry]:
    """The hub of a run in a process that has not joined anything; ``process.register()`` is still to be called.

    Args:
        process: The hub's process.
        folder: The run folder.
        scenario: The resolved scenario, and what it reads like.
        text: The same as TOML, for processes that join from elsewhere.
        address: Where the registry listens.
        recorded: Whether to wait for a recorder, at the start and at the end.
    Raises: RunFolderError: a table cannot be written.
    """
    from emulator.folder import RENTAL_TABLES, TABLES, Writer
    from emulator.nodes.hub import Hub

    writer = Writer(folder, TABLES if scenario.rental is None else RENTAL_TABLES)
    store = keys.keystore() if process.keys is not None else None
    registry = Registry(
        process,
        pool(scenario) | ({"recorder": None} if recorded else {}),
        address=address,
        names=("/hub", "/ledger"),
        liveliness_s=scenario.deadlines.liveliness_s,
        grace_s=scenario.deadlines.start_s,
        max_busy_s=scenario.deadlines.max_busy_s,
        enrolled=Enrolled(store) if store is not None else None,
        on_join=lambda peer: joined(peer),
        on_lost=lambda peer, reason: hub.on_lost(peer, reason),
    )
    registry.receive_agents(scenario.world)
    node, ledger_node = process.node("/hub"), process.node("/ledger")
    if scenario.target_delay_s is not None:
        process.measurements.gauge("slot_delay_seconds", scheme="target").value = scenario.target_delay_s
    ledger, wanted = _ledger(ledger_node, scenario, writer)
    hub = Hub(process, registry, node, ledger, scenario, text, writer)

    def joined(peer: Peer) -> None:
        wanted(peer)
        hub.on_join(peer)

    return hub, registry


def _ledger(node: Node, scenario: Scenario, writer: Writer) -> tuple[Ledger, Callable[[Peer], None]]:
    """The books of the scenario's world, and what lets a process that joins declare what it wants to be told."""
    if scenario.rental is not None:
        from emulator.nodes.rental_ledger import RentalLedgerNode
        from emulator.rental_plan import build_plan

        return RentalLedgerNode(node, build_plan(scenario), scenario.seed, writer), lambda peer: None
    from emulator.makers import frame_gains
    from emulator.nodes.ledger import LedgerNode
    from emulator.nodes.signals import GainSignals

    network = build_network(scenario)
    ledger = LedgerNode(
        node,
        network,
        delay_edges(network),
        scenario.slots_per_frame,
        writer,
        wall=scenario.clock == "wall",
        outlive=scenario.tasks == "queued",
    )
    ledger.signals = signals = GainSignals(node, network, frame_gains)
    return ledger, signals.want


# -- everyone else -----------------------------------------------------------------------------------------------------


def _member(options: argparse.Namespace) -> int:
    if not options.hub:
        print("node start: no hub; give --hub tcp://HOST:PORT or set EDGERIG_HUB", file=sys.stderr)
        return 2
    answer = _setup(options)
    if answer is None:
        print(f"node start: no hub answers at {options.hub}; check the address (RUN/hub.json has it)", file=sys.stderr)
        return 3
    setup, scenario, asked = answer
    if options.count == 0:
        options.index, options.count = 0, count_of(scenario, options.kind)
    if options.kind != "recorder" and options.kind not in makers_of(scenario):
        # No error: containers are the same ones for every world, and who fails is started again.
        print(f"node start {options.kind}: the {scenario.world} world has none; nothing to do", file=sys.stderr)
        return 0
    process = _process(options, _name(options), scenario, _role(options))
    process.sockets.tally.merge(asked)
    stop_on_signals(process)
    _watch_launcher(process)
    places.watch(options.place, process.timers.every, scenario.deadlines.liveliness_s)
    process.on_hub_lost(lambda reason: _hub_lost(process, reason), scenario.deadlines.hub_s)
    if options.kind == "recorder":
        from emulator.recording import record_run

        return record_run(options, process, scenario, setup.scenario)
    try:
        makers_of(scenario)[options.kind](options, process, scenario, setup.slot_wall_s or None)
        from monitoring.exporter import serve_metrics

        told: list[Shutdown] = []
        next(iter(process.nodes.values())).subscribe("/hub/shutdown", lambda message, _header: told.append(message))
        if options.kind == "agent":
            Drained(process, process.nodes, told.append)
        process.log_to_bus(scenario.slot_s)
        process.register(serve_metrics(process, options.place.bind, options.metrics_port))
        process.spin(lambda: bool(told))
        if not told:
            return 0  # stopped by hand, or with its launcher: the run goes on without us, and waits for no report
        _report(process, options.hub)
        return told[0].code
    except (LeaseRefused, CallTimeout):
        if process.stopping:
            return 0  # a spare that is not wanted any more
        raise
    finally:
        process.close(flush_s=FLUSH_S if process.membership.recorded else 0.0)


def makers_of(scenario: Scenario) -> Mapping[str, Maker]:
    """Who makes the nodes of the scenario's world."""
    if scenario.rental is None:
        from emulator.makers import MAKERS

        return MAKERS
    from emulator.rental_makers import MAKERS as RENTAL_MAKERS

    return RENTAL_MAKERS


def _stand_by(options: argparse.Namespace) -> int:
    """Be an agent outside the roster, over the protocol of foreign agents, which is what can be swapped in."""
    from agents import policy_host

    if options.index is None or not options.agent_spec:
        text = "node start agent --standby: for whom, and as what? give --index N and --agent-spec SPEC"
        print(f"{text} (or EDGERIG_INDEX and EDGERIG_AGENT)", file=sys.stderr)
        return 2
    os.environ |= {"EDGERIG_HUB": options.hub, "EDGERIG_INDEX": str(options.index), "EDGERIG_STANDBY": "1"}
    return policy_host.main([options.agent_spec])


def _setup(options: argparse.Namespace) -> tuple[Setup, Scenario, Tally] | None:
    """What the hub tells us, when it is our turn, and what asking took; None if it is silent or our launcher gone."""
    end_s = time.monotonic() + HUB_ANSWERS_S
    with Client(options.hub, LAUNCHER_S, _name(options), keys.credential_of(_role(options))) as client:
        while time.monotonic() < end_s and not _launcher_is_gone():
            with contextlib.suppress(CallTimeout):
                setup = client.call("setup", Query(), Setup)
                scenario = parse(setup.scenario, origin="the hub's scenario")
                nodes = hosted(scenario, options.kind, options.index, options.count)
                await_turn(client, scenario, nodes, _launcher_is_gone)
                return setup, scenario, client.tally
    return None


def _role(options: argparse.Namespace) -> str:
    """Whose enrolment key the process shows."""
    return OBSERVER if options.kind == "recorder" else str(options.kind)


def _name(options: argparse.Namespace) -> str:
    if options.kind in ("cloud", "recorder"):
        return str(options.kind)
    if options.index is None:
        # In containers everybody has the same few process ids.
        return f"{options.kind}-{socket.gethostname()}-{os.getpid()}"
    last = options.index + options.count - 1
    return f"{options.kind}-{options.index}" + (f"-{last}" if last != options.index else "")


def _hub_lost(process: Process, reason: str) -> None:
    raise PeerLost("/hub", reason)


def _watch_launcher(process: Process) -> None:
    """End with the launcher, even when it was killed: nobody else would stop us."""
    process.timers.every(LAUNCHER_S, lambda: process.stop() if _launcher_is_gone() else None)


def _launcher_is_gone() -> bool:
    """Whether we were launched, and our parent is another one by now."""
    return os.environ.get("EDGERIG_LAUNCHED", str(os.getppid())) != str(os.getppid())


def _report(process: Process, hub: str) -> None:
    """Tell the hub what was sent to whom; a hub that is gone needs no report."""
    try:
        credential = process.keys.credential() if process.keys is not None else None
        with Client(hub, REPORT_S, process.name, credential) as client:
            client.call(REPORT, link_report(process), Stopped)
    except BusError as error:
        _log.info("no traffic report: %s", error)
