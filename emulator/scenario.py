"""Scenarios: the TOML schema, and reading one with every error at once, each with its place."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from emulator.scenario_rental import Rental
from emulator.scenario_tables import Natural, Positive, Share, Table

SCHEDULERS = r"^(exact|cvxpy|nearest|greedy|ddpg|ddpg:.+)$"
MAX_SEED = 2**63 - 1


class Edges(Table, frozen=True):
    """The edge servers, one to a cell; ``[[edge]]`` overrides single ones."""

    count: Annotated[int, Meta(ge=1, le=60_000, description="M: cells, each with an edge server")] = 5
    storage_bytes: Annotated[float, Meta(gt=0, description="storage of an edge server, bytes")] = 2e9
    compute_hz: Annotated[float, Meta(gt=0, description="compute of an edge server, cycles/s")] = 50e9
    link_bps: Annotated[float, Meta(gt=0, description="rate into an edge server, split over its services, bit/s")] = 5e7
    uplink_bps: Annotated[float, Meta(gt=0, description="rate out of an edge server, bit/s; inf: no limit")] = math.inf
    cloud_bps: Annotated[float, Meta(gt=0, description="rate of one task to the cloud, bit/s")] = 2e6
    matrix_bps: Annotated[
        tuple[tuple[Positive, ...], ...] | None,
        Meta(description="rate from m (row) into n (column), bit/s, instead of link_bps; the diagonal is not read"),
    ] = None


class EdgeOverride(Table, frozen=True):
    """What one edge server has that the others do not."""

    index: Natural
    storage_bytes: Positive | None = None
    compute_hz: Positive | None = None
    link_bps: Positive | None = None
    uplink_bps: Positive | None = None
    cloud_bps: Positive | None = None


class Cloud(Table, frozen=True):
    """The cloud."""

    compute_hz: Annotated[float, Meta(gt=0, description="compute the cloud gives each task, cycles/s")] = 50e9


class Services(Table, frozen=True):
    """The services; sizes are drawn by ``world_seed`` from the choices, or given one by one."""

    count: Annotated[int, Meta(ge=1, le=60_000, description="J")] = 20
    size_bytes_choices: tuple[Positive, ...] = (1e8, 2e8, 3e8, 4e8, 5e8)
    task_bytes_choices: tuple[Positive, ...] = (1e6, 2e6, 3e6, 4e6, 5e6)
    task_cycles_choices: tuple[Positive, ...] = (1e9, 2e9, 3e9, 4e9, 5e9)
    size_bytes: tuple[Positive, ...] | None = None
    task_bytes: tuple[Positive, ...] | None = None
    task_cycles: tuple[Positive, ...] | None = None


class Demand(Table, frozen=True):
    """What users ask for: drawn (``zipf``) or read from canonical demand (``trace``)."""

    kind: Literal["zipf", "trace"] = "zipf"
    users_min: Natural = 10
    users_max: Annotated[int, Meta(ge=1, le=100_000)] = 50
    activity: Annotated[float, Meta(ge=0, le=1, description="probability that a user has a task in a slot")] = 0.25
    zipf_exponent: Annotated[float, Meta(ge=0)] = 1.2
    alike_share: Annotated[float, Meta(ge=0, le=1, description="popularity all cells have in common")] = 0.8
    stickiness: Annotated[float, Meta(ge=0, le=1, description="probability of asking for the last service again")] = 0.1
    redraw: Annotated[float, Meta(ge=0, le=1, description="probability of a new population, per frame")] = 0.1
    workload: Literal["static", "drift", "periodic"] = "static"
    drift_frames: Positive = 100.0
    period_frames: Positive = 24.0
    path: Annotated[str, Meta(description="folder of canonical demand, beside the scenario")] = ""
    first_slot: Natural = 0
    wrap: Annotated[bool, Meta(description="start the trace again at its end")] = False


class Agent(Table, frozen=True):
    """Who decides deployments, and what holds when nobody does."""

    policy: Annotated[str, Meta(description="SPEC: NAME, NAME:PATH, or EDGE=SPEC,...")] = "popularity"
    hold_decision_frames: Annotated[int, Meta(ge=0, description="frames a decision holds without an agent")] = 3
    orphan: Annotated[str, Meta(description="then: keep, empty, or a policy the edge server runs itself")] = "keep"
    successor_s: Annotated[
        float,
        Meta(ge=0, description="in lockstep time stands so long, wall seconds, for who comes after one that left"),
    ] = 0.0
    decision_budget_s: Annotated[float, Meta(gt=0, description="a decision that takes longer is refused (late)")] = 30.0
    lost: Annotated[
        tuple[tuple[Natural, Natural, Natural], ...],
        Meta(description="edge servers that hear nothing of their agents in some frames, [[edge, first, end]]"),
    ] = ()

    def is_lost(self, edge: int, frame: int) -> bool:
        """Whether an edge server hears nothing of its agent in a frame, so that what it decided before stays."""
        return any(m == edge and first <= frame < end for m, first, end in self.lost)


class Scheduler(Table, frozen=True):
    """Who schedules tasks each slot."""

    at: Literal["cloud", "edges"] = "cloud"
    kind: Annotated[str, Meta(pattern=SCHEDULERS, description="exact, cvxpy, nearest, greedy, ddpg or ddpg:FILE")] = (
        "exact"
    )
    backend: Literal["auto", "numpy", "numba"] = "auto"


class Processes(Table, frozen=True):
    """How many processes the nodes of a kind share; 0: each has its own."""

    cell: Natural = 1
    edge: Natural = 0
    agent: Natural = 0


RestartRule = Literal["never", "on-failure"]


class Restart(Table, frozen=True):
    """Whether the launcher starts a process again that ended with an error."""

    cell: RestartRule = "never"
    edge: RestartRule = "never"
    agent: RestartRule = "never"
    cloud: RestartRule = "never"


class Deadlines(Table, frozen=True):
    """How long things may take before somebody is told, seconds of wall time."""

    start_s: Annotated[float, Meta(gt=0, description="until every node is there")] = 30.0
    liveliness_s: Annotated[float, Meta(gt=0, description="silence after which a node is dead")] = 5.0
    hub_s: Annotated[float, Meta(gt=0, description="silence of the hub after which nodes end")] = 5.0
    stall_s: Annotated[float, Meta(gt=0, description="who holds a slot that is longer than this is named")] = 0.5
    ask_again_s: Annotated[float, Meta(gt=0, description="then everyone is asked again for what may be lost")] = 3.0
    dump_s: Annotated[float, Meta(gt=0, description="then what is known is written down")] = 10.0
    give_up_s: Annotated[float, Meta(gt=0, description="a slot longer than this ends the run")] = 120.0
    max_busy_s: Annotated[float, Meta(gt=0, description="longest announced silence that is believed")] = 30.0
    stop_s: Annotated[float, Meta(gt=0, description="until a stopped process is killed")] = 2.0
    controller_s: Annotated[
        float, Meta(gt=0, description="lockstep stands so long for a silent controller (a trial), then the run ends")
    ] = 600.0


class Link(Table, frozen=True, rename={"source": "from", "target": "to"}):
    """What the emulated links from some nodes to others do; the last table that fits a link holds."""

    source: Annotated[str, Meta(min_length=1, description="nodes: a name (edge/3), a pattern (edge/*) or a tag")]
    target: Annotated[str, Meta(min_length=1, description="nodes, as in from")]
    both: Annotated[bool, Meta(description="the other direction as well")] = False
    latency_s: Annotated[float, Meta(ge=0, description="constant delay, or the mean of a normal law")] = 0.0
    jitter_s: Annotated[float, Meta(ge=0, description="standard deviation of the delay, which is cut off at 0")] = 0.0
    trace: Annotated[str, Meta(description="CSV of delays in ms to draw from, beside the scenario")] = ""
    trace_ms: Annotated[tuple[Annotated[float, Meta(ge=0)], ...], Meta(description="the same, written out")] = ()
    rate_bps: Annotated[float, Meta(ge=0, description="rate of a queue that serialises, bit/s; 0: no limit")] = 0.0
    loss: Share = 0.0
    duplicate: Share = 0.0
    reorder: Annotated[float, Meta(ge=0, le=1, description="share of messages that overtake: they take no delay")] = 0.0
    cut: Annotated[
        tuple[tuple[Natural, Natural], ...], Meta(description="slots in which nothing passes, [[first, end]]")
    ] = ()
    flap_period_s: Annotated[float, Meta(ge=0, description="up, then down, again and again; 0: always up")] = 0.0
    flap_up_share: Annotated[float, Meta(ge=0, le=1, description="share of the period in which it is up")] = 1.0


class After(Table, frozen=True):
    """A state that nodes must have reached; inactive: they have joined, and their links stand."""

    node: Annotated[str, Meta(min_length=1, description="a name, a pattern or a kind; all that it means")]
    state: Literal["inactive", "active"]


class Start(Table, frozen=True):
    """Nodes that are started only when others have come so far."""

    node: Annotated[str, Meta(min_length=1, description="who waits: a name (edge/3), a pattern (edge/*) or a kind")]
    after: After


class NetworkFaults(Table, frozen=True):
    """What goes wrong below QoS, on every link and in every process; the bus repairs it and no number changes."""

    loss: Annotated[float, Meta(ge=0, le=0.5, description="share of live messages that are lost on arrival")] = 0.0
    delay_s: Annotated[float, Meta(ge=0, le=1, description="longest random pause before a message is looked at")] = 0.0
    delay_share: Annotated[float, Meta(ge=0, le=1, description="share of messages before which there is one")] = 0.1


class Scenario(Table, frozen=True):
    """A whole scenario."""

    name: Annotated[str, Meta(min_length=1, pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    description: str = ""
    world: Literal["offloading", "rental"] = "offloading"
    seed: Annotated[int, Meta(ge=0, le=MAX_SEED, description="draws arrivals, routing, exploration")] = 1
    world_seed: Annotated[int, Meta(ge=0, le=MAX_SEED, description="draws services, popularity ranks, sites")] = 1
    frames: Annotated[int, Meta(ge=1, description="frames to run")] = 40
    slots_per_frame: Annotated[int, Meta(ge=1, le=10_000, description="K")] = 5
    slot_s: Annotated[float, Meta(gt=0, description="length of a slot, simulated seconds")] = 60.0
    tasks: Literal["expected", "sampled", "queued"] = "expected"
    clock: Literal["lockstep", "wall"] = "lockstep"
    rate: Annotated[float, Meta(gt=0, description="simulated seconds per second on the wall clock")] = 1.0
    target_delay_s: (
        Annotated[
            float, Meta(gt=0, description="mean delay that a task should have; shown beside what it has, no more")
        ]
        | None
    ) = None
    edges: Edges = Edges()
    edge: tuple[EdgeOverride, ...] = ()
    cloud: Cloud = Cloud()
    services: Services = Services()
    demand: Demand = Demand()
    agent: Agent = Agent()
    scheduler: Scheduler = Scheduler()
    processes: Processes = Processes()
    restart: Restart = Restart()
    deadlines: Deadlines = Deadlines()
    tags: Annotated[dict[str, tuple[str, ...]], Meta(description="names for groups of nodes, for links")] = (
        msgspec.field(default_factory=dict)
    )
    link: tuple[Link, ...] = ()
    start: tuple[Start, ...] = ()
    network: NetworkFaults = NetworkFaults()
    rental: Rental | None = None

    @property
    def slots(self) -> int:
        """Slots the run lasts."""
        return self.frames * self.slots_per_frame


def schema() -> dict[str, Any]:
    """The JSON schema of a scenario, for editors."""
    return msgspec.json.schema(Scenario)
