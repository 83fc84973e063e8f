"""Every message of the bus: frozen records, units in the names, fields only ever appended (with a default).

An array crosses as ``Array``: type, shape and raw little-endian bytes, so that any language reads it without us.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

if TYPE_CHECKING:
    from numpy.typing import NDArray


_LITTLE: Final = sys.byteorder == "little"
_CASTS: Final[dict[str, tuple[Literal["d", "H"], int]]] = {"<f8": ("d", 8), "<u2": ("H", 2)} if _LITTLE else {}


class Message(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A record that crosses the bus; its class name is its topic's noun."""


class Array(Message, frozen=True):
    """An n-dimensional array: NumPy type string (little-endian), shape, raw bytes in C order."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes

    @classmethod
    def of(cls, values: NDArray[Any]) -> Array:
        """Pack an array; its type must be little-endian or one byte wide."""
        return cls(values.dtype.str, values.shape, values.tobytes())

    @classmethod
    def of_floats(cls, values: Iterable[float]) -> Array:
        """Pack numbers, as float64 of shape (number,)."""
        packed = array("d", values)
        if not _LITTLE:
            packed.byteswap()
        return cls("<f8", (len(packed),), packed.tobytes())

    def values(self) -> list[Any]:
        """The numbers of an array of one axis, without NumPy where they are float64 or uint16."""
        cast = _CASTS.get(self.dtype)
        if cast is not None and len(self.shape) == 1 and len(self.data) == self.shape[0] * cast[1]:
            return memoryview(self.data).cast(cast[0]).tolist()
        return self.numpy().tolist()

    def numpy(self) -> NDArray[Any]:
        """A read-only view of the bytes, in the array's shape."""
        import numpy as np  # here, so that tools which read no array start without it

        return np.frombuffer(self.data, self.dtype).reshape(self.shape)


# -- the offloading world: one slot ------------------------------------------------------------------------------------


class Arrivals(Message, frozen=True):
    """What users of one cell asked for in a slot: tasks (service,), whole numbers as float64."""

    tasks: Array


class FrameObservation(Message, frozen=True):
    """What an edge server saw in the frame before: counts (slot, service); zero slots long when it saw none."""

    edge: int
    frame: int
    counts: Array


class Deployment(Message, frozen=True):
    """An agent's decision: the services, by index and ascending, that its edge server shall deploy in a frame."""

    edge: int
    frame: int
    services: tuple[int, ...]


class DeploymentInForce(Message, frozen=True):
    """What an edge server deploys from this frame on, and why the agent's decision was refused, if it was."""

    edge: int
    frame: int
    services: tuple[int, ...]
    refused: str = ""


class Schedule(Message, frozen=True):
    """Shares of each cell's tasks by target, as a sparse list in (service, source, target) order.

    service, source, target: uint16 (entry,); share: float64 (entry,). Target M is the cloud. Rows of cells without
    tasks are left out.
    """

    service: Array
    source: Array
    target: Array
    share: Array


class Offload(Message, frozen=True):
    """Tasks that an origin sends to one executor: tasks (service,), float64; times only where tasks are queued.

    at_s: seconds into the slot of each task, in service order, float64 (task,); empty unless ``tasks = "queued"``.
    """

    tasks: Array
    at_s: Array | None = None


class Completed(Message, frozen=True):
    """What an executor did for one origin: seconds per task (service,), transfer and compute together.

    Queued worlds report tasks one by one as they finish: service (task,) and delay_s (task,), and how many tasks of the
    origin the executor still has; -1 where tasks do not outlive their slot. lost: why the tasks that the origin sent in
    this slot did not come, over an emulated link; empty when they did.
    """

    delay_s: Array
    service: Array | None = None
    outstanding: int = -1
    lost: str = ""


class Outcome(Message, frozen=True):
    """How the tasks of one cell ended in a slot, by service (service,), float64.

    arrived, local, peer, cloud, dropped: tasks; cost_s: task-seconds of those completed; all_cloud_s: task-seconds had
    all of those gone to the cloud; histogram: tasks by delay bucket of the scenario (bucket,); reasons: dropped tasks
    by reason; in_flight: tasks of the cell that are not done at the slot's end (queued tasks only).
    """

    arrived: Array
    local: Array
    peer: Array
    cloud: Array
    dropped: Array
    cost_s: Array
    all_cloud_s: Array
    histogram: Array
    reasons: dict[str, float] = {}
    in_flight: float = 0.0


class FrameReward(Message, frozen=True):
    """The reward all agents share for a frame, and its mean delay."""

    frame: int
    reward_s: float
    delay_s: float
    all_cloud_s: float


class MarginalGains(Message, frozen=True):
    """What an edge server deployed in a frame, and what each of these services was worth there by itself.

    services: by index and ascending; gain_s: float64 (service deployed,), seconds per task, summed over slots as the
    reward is; less than 0 where the tasks of all would have been done sooner without that service.
    """

    edge: int
    frame: int
    services: tuple[int, ...]
    gain_s: Array


# -- the rental world: one slot ---------------------------------------------------------------------------------------


class Presence(Message, frozen=True):
    """How many users of one cell are in range of each edge server in a slot: uint16 (edge,)."""

    in_range: Array


class Observation(Message, frozen=True):
    """What one edge server observes before a slot's decision.

    values: float64 (5,): delay that users remember (s), users in range, spectrum (MHz), price of a unit, hour of day.
    """

    edge: int
    values: Array


class Orchestration(Message, frozen=True):
    """What one agent tells a neighbour in a round before both decide; the round is the header's.

    values: little-endian float32, one after the other. rented: what the sender would rent as things stand; -1 where its
    algorithm does not tell.
    """

    values: bytes
    rented: int = -1


class Rental(Message, frozen=True):
    """An agent's decision: the units of compute that its edge server shall rent in a slot."""

    edge: int
    units: int


class RentalInForce(Message, frozen=True):
    """What users get to know of an edge server before they choose.

    units: rented in this slot. delay_s, users: what users remember of it. bandwidth_mhz: spectrum in this slot.
    refused: why the agent's decision was not taken; empty when it was.
    """

    edge: int
    units: int
    delay_s: float
    users: float
    bandwidth_mhz: float
    refused: str = ""


class Requests(Message, frozen=True):
    """Users of one cell who chose one edge server in a slot, by number.

    user: uint32 (user,), number among all users; tasks: uint16 (user,); per_hertz: float64 (user,), bit/s/Hz of the
    user's channel.
    """

    user: Array
    tasks: Array
    per_hertz: Array


class Asked(Message, frozen=True):
    """Where one cell's users sent what they asked for in a slot: tasks and users, float64 (edge + 1,), cloud last."""

    tasks: Array
    users: Array


class RentalOutcome(Message, frozen=True):
    """What a slot came to at one edge server.

    units: rented. in_range, users: in range, and connected. tasks: received. compute_s: delay of a task in the server.
    wait_s: delay summed over the tasks, transmission included. price: of a unit. bandwidth_mhz: spectrum. reward: its
    local reward. remembered_s: the delay that users remember from now on. refused: why the agent's decision was not
    taken; empty when it was.
    """

    edge: int
    units: int
    in_range: int
    users: int
    tasks: float
    compute_s: float
    wait_s: float
    price: float
    bandwidth_mhz: float
    reward: float
    remembered_s: float
    refused: str = ""


# -- emulated links ----------------------------------------------------------------------------------------------------


class LinkShape(Message, frozen=True):
    """What an emulated link does to messages, above QoS; the default does nothing.

    latency_s: constant, or the mean of a normal law when jitter_s is given; trace_s: delays to draw from instead.
    rate_bps: of a queue that serialises, 0: no limit. loss, duplicate, reorder: probabilities; a reordered message
    takes no latency and so overtakes those before it. cut: slots [first, end) in which nothing passes. flap_period_s,
    flap_up_share: up for that share of each period, then down.
    """

    latency_s: float = 0.0
    jitter_s: float = 0.0
    trace_s: tuple[float, ...] = ()
    rate_bps: float = 0.0
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    cut: tuple[tuple[int, int], ...] = ()
    flap_period_s: float = 0.0
    flap_up_share: float = 1.0


class LinkRule(Message, frozen=True):
    """One change to the links that lead from nodes to nodes (names, patterns or tags).

    action: "set" gives them that shape, "cut" takes them down, "heal" brings them up and ends what the scenario cuts.
    """

    action: str
    source: str
    target: str
    shape: LinkShape = LinkShape()


class LinkFigures(Message, frozen=True):
    """One emulated link as its subscriber measured it since its shape was last set.

    delay: without the wait for the queue; rate_bps: 0 where nothing waited for the queue; outside: sentences, what lies
    outside its tolerance.
    """

    source: str
    target: str
    shape: LinkShape
    down: bool
    messages: int
    lost: int
    blocked: int
    late: int
    duplicated: int
    reordered: int
    delay_s: float
    delay_sd_s: float
    rate_bps: float
    outside: tuple[str, ...]


class LinksFigures(Message, frozen=True):
    """All emulated links that end in one process and carried something."""

    process: str
    links: tuple[LinkFigures, ...]


class LinkChange(Message, frozen=True):
    """Rules to be added to the links of a run."""

    rules: tuple[LinkRule, ...]


class LinkChanged(Message, frozen=True):
    """The slot from which on the rules hold, and how many directed links they touch."""

    slot: int
    links: int


# -- control: time, membership of a slot, the end ----------------------------------------------------------------------


class Tick(Message, frozen=True):
    """The hub starts a slot (and commits the one before); roster is the number of the one that holds."""

    slot: int
    frame: int
    roster: int


class Member(Message, frozen=True):
    """A node that takes part in a slot, and the instance of its process."""

    node: str
    instance: int


class Binding(Message, frozen=True):
    """Whom an edge server obeys: the process instance that decides for it, and how often that changed."""

    edge: int
    role: str
    instance: int
    epoch: int


class Roster(Message, frozen=True):
    """Who takes part from this (slot, attempt) on, and what was done to links by hand."""

    number: int
    members: tuple[Member, ...]
    bindings: tuple[Binding, ...] = ()
    links: tuple[LinkRule, ...] = ()


class Done(Message, frozen=True):
    """A process finished its part of a slot.

    digests: (topic, round, digest of the payload, 16 to 32 bytes) of what it published; timings: wall seconds of work
    by stage.
    """

    process: str
    slot: int
    digests: tuple[tuple[str, int, bytes], ...] = ()
    timings: dict[str, float] = {}


class Shutdown(Message, frozen=True):
    """The run ends; code is the exit code that the processes shall use."""

    reason: str
    code: int = 0


# -- registry: names, endpoints, leases --------------------------------------------------------------------------------


class TopicRecord(Message, frozen=True):
    """One end of a topic as a process promises or asks it."""

    topic: str
    type_id: int
    reliable: bool
    transient_local: bool
    deadline_s: float = 0.0
    lease_s: float = 0.0


class NodeRecord(Message, frozen=True):
    """What a node publishes and subscribes."""

    name: str
    publishes: tuple[TopicRecord, ...] = ()
    subscribes: tuple[TopicRecord, ...] = ()


class Peer(Message, frozen=True):
    """A process on the bus: where it publishes (endpoint), where it answers calls, and the nodes it hosts.

    guest: its nodes have names of their own, outside the run's; nobody waits for it. public_key: of this instance, Z85,
    when keys are in use. operator: it has shown the launcher's key, so it may change things.
    """

    process: str
    instance: int
    pid: int
    host: str
    endpoint: str
    call_endpoint: str
    metrics_url: str = ""
    nodes: tuple[NodeRecord, ...] = ()
    guest: bool = False
    public_key: str = ""
    operator: bool = False


class Graph(Message, frozen=True):
    """Every live process; version grows with each change."""

    version: int
    peers: tuple[Peer, ...]


class Lease(Message, frozen=True):
    """A process asks for names: count of a role from index on, or the next free ones (index None).

    instance: 0 for a process that has none yet; a process that asks again for another role repeats its own. names:
    those that a guest wants; its role is "guest". public_key: of this very instance, when keys are in use.
    """

    process: str
    role: str
    index: int | None = None
    count: int = 1
    instance: int = 0
    names: tuple[str, ...] = ()
    public_key: str = ""


class Leased(Message, frozen=True):
    """The names a process now holds, its instance, and the time after which silence costs it both (wall seconds)."""

    names: tuple[str, ...]
    instance: int
    liveliness_s: float


class SeatQuery(Message, frozen=True):
    """An edge server asks whether the hub has accepted a foreign agent that shows this instance.

    public_key: With keys, an edge server's gate asks whose key that is; then edge and instance are not known yet.
    """

    edge: int
    instance: int
    public_key: str = ""


class Seat(Message, frozen=True):
    """A foreign agent that the hub has accepted for an edge server, as it calls itself.

    state_format: Of the state that it gives and takes; empty: none. needs_state: it does not take over without.
    """

    edge: int
    instance: int
    name: str
    version: str
    capabilities: tuple[str, ...] = ()
    state_format: str = ""
    needs_state: bool = False


class Seated(Message, frozen=True):
    """An edge server tells that a foreign agent's warm-up is over; reason: why it failed or ended, if it did."""

    edge: int
    instance: int
    reason: str = ""


class TypeRecord(Message, frozen=True):
    """A message type: schema is its JSON schema, see bus/schemas.py."""

    name: str
    type_id: int
    schema: str


class MethodRecord(Message, frozen=True):
    """A method that a node serves, by the type ids of request and reply (0: not told), and where to call it."""

    node: str
    method: str
    request: int
    reply: int
    endpoint: str


class Register(Message, frozen=True):
    """A process tells (again, whenever that changes) where it is and what its nodes publish and subscribe.

    types: those that the registry was not told by this process before; methods: all that its nodes serve.
    """

    peer: Peer
    types: tuple[TypeRecord, ...] = ()
    methods: tuple[MethodRecord, ...] = ()


class TypeQuery(Message, frozen=True):
    """Ask for types by name or by id; for all when neither is given."""

    names: tuple[str, ...] = ()
    ids: tuple[int, ...] = ()


class Types(Message, frozen=True):
    """Message types that somebody in the graph has."""

    types: tuple[TypeRecord, ...]


class MethodQuery(Message, frozen=True):
    """Ask what a node serves; what all serve when it is empty."""

    node: str = ""


class Methods(Message, frozen=True):
    """What can be called, with the types that requests and replies are of."""

    methods: tuple[MethodRecord, ...]
    types: tuple[TypeRecord, ...]


class Registered(Message, frozen=True):
    """Where the hub publishes the graph."""

    hub: Peer


class NodeState(Message, frozen=True):
    """The lifecycle state of a node: unconfigured, inactive, active, finalized or error.

    managed: it can be set (``lifecycle_set``); all others follow what their process does. reason: why it is not
    further, or how it ended. unsent: messages that it did not publish since it was not active.
    """

    node: str
    state: str
    process: str = ""
    managed: bool = False
    reason: str = ""
    unsent: int = 0


class NodeStates(Message, frozen=True):
    """The states of all nodes that a hub knows, knew, or waits for."""

    nodes: tuple[NodeState, ...]


class SetState(Message, frozen=True):
    """Lead a managed node on: configure, activate, deactivate, cleanup or shutdown."""

    transition: str


class Beat(Message, frozen=True):
    """A sign of life from the main loop.

    waiting: sentences, whom it waits for; busy_s: wall seconds from now during which no further beat may come;
    messages, wire_bytes: copies sent to other processes so far; memory_bytes: resident; processor_s: used so far;
    states: of its managed nodes.
    """

    instance: int
    slot: int = 0
    attempt: int = 0
    waiting: tuple[str, ...] = ()
    busy_s: float = 0.0
    messages: int = 0
    wire_bytes: int = 0
    memory_bytes: int = 0
    processor_s: float = 0.0
    states: tuple[NodeState, ...] = ()


class Vital(Message, frozen=True):
    """What a process last said of itself, and how long ago; state: joining, ready, busy, silent or hub.

    lifecycle: the states of its nodes, in their order.
    """

    process: str
    nodes: tuple[str, ...]
    pid: int
    instance: int
    state: str
    quiet_s: float
    beat: Beat
    lifecycle: tuple[str, ...] = ()


class Vitals(Message, frozen=True):
    """All processes of a hub at one moment; clock_s: of the hub, to make rates of."""

    clock_s: float
    processes: tuple[Vital, ...]


class BeatAck(Message, frozen=True):
    """known is False when the lease is lost."""

    known: bool


class Ready(Message, frozen=True):
    """All links of a process are matched as this version of the graph wants them."""

    instance: int
    graph: int


class Leave(Message, frozen=True):
    """A process goes, by its own will."""

    instance: int
    reason: str = ""


class ReportExit(Message, frozen=True):
    """The launcher saw a child end."""

    process: str
    pid: int
    code: int


class Revoke(Message, frozen=True):
    """The process that holds a name loses it, its key and its links."""

    name: str


class Query(Message, frozen=True):
    """Ask for everything there is; the method says of what."""


class Peers(Message, frozen=True):
    """The registered processes."""

    peers: tuple[Peer, ...]


class Status(Message, frozen=True):
    """How far a run's start (or a stalled slot) is: missing and waiting are sentences."""

    graph: int
    ready: tuple[str, ...]
    missing: tuple[str, ...]
    waiting: tuple[str, ...] = ()


class ProcessState(Message, frozen=True):
    """What a process does right now, told by its loop: so whoever answers is not stuck.

    slot, attempt: where it is; waits_for: topics whose messages its open gathers still miss; unmatched: links that the
    graph wants and that do not stand yet, as sentences.
    """

    process: str
    slot: int
    attempt: int
    waits_for: tuple[str, ...] = ()
    unmatched: tuple[str, ...] = ()


class Holder(Message, frozen=True):
    """A process that a slot waits for.

    state: silent (does not answer), busy (as it announced), at work (its loop turns, it waits for nobody), waits, or
    sent (it has done its part, but somebody misses its message). waits_for: topics; behind: processes that wait for
    this one; cause: whether the wait ends here; quiet_s: wall seconds since its last beat; busy_s: announced still.
    """

    process: str
    state: str
    cause: bool
    waits_for: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()
    quiet_s: float = 0.0
    busy_s: float = 0.0


class ClockStatus(Message, frozen=True):
    """Where the hub's time stands, and who holds it. age_s: wall seconds since the slot began.

    clock: lockstep or wall; stage: of the stall diagnosis, "" while all is well, held where time waits for somebody on
    purpose; late_slots: slots of the wall clock that were closed before everyone was done.
    """

    phase: str
    clock: str
    slot: int
    slots: int
    frame: int
    attempt: int
    age_s: float
    stage: str = ""
    unacknowledged: tuple[str, ...] = ()
    holders: tuple[Holder, ...] = ()
    late_slots: int = 0


# -- a run, as the launcher and tools see it ---------------------------------------------------------------------------


class ToStart(Message, frozen=True):
    """A process that the launcher shall start: its name, the edge server, and whom (as in ``Swap.agent``)."""

    process: str
    edge: int
    agent: str


class RunStatus(Message, frozen=True):
    """How far a run is. delay_s, all_cloud_delay_s: means so far, seconds per task; tasks: by target."""

    phase: str
    slot: int
    slots: int
    frame: int
    delay_s: float
    all_cloud_delay_s: float
    reward_s: float
    tasks: dict[str, float]
    messages: int
    late: int
    refused: int
    members: tuple[str, ...]
    notes: tuple[str, ...] = ()
    to_start: tuple[ToStart, ...] = ()


class Stop(Message, frozen=True):
    """End the run now."""

    reason: str
    code: int = 0


class Stopped(Message, frozen=True):
    """The hub is on its way to end the run."""

    slot: int


class LinkTraffic(Message, frozen=True):
    """What one process sent another on a topic, for one purpose (kind); wire_bytes is 0 within a process.

    topic: ``call:/node/method`` and ``reply:/node/method`` for calls, ``(link)`` for what it takes to set a link up.
    subscriber: "" where the bus does not know. wire_bytes: payload, headers and framing.
    """

    publisher: str
    topic: str
    plane: str
    kind: str
    subscriber: str
    messages: int
    payload_bytes: int
    wire_bytes: int
    phase: str = ""
    header_bytes: int = 0


class LinkReport(Message, frozen=True):
    """A process's traffic at the end of a run, its counters by name, and the last sequence of each of its topics."""

    process: str
    links: tuple[LinkTraffic, ...]
    counters: dict[str, float]
    instance: int = 0
    published: dict[str, int] = {}


class Published(Message, frozen=True):
    """The last sequence of each topic that a process published."""

    instance: int
    topics: dict[str, int]


class Reset(Message, frozen=True):
    """Start the scenario again at slot 0 in the same processes; a seed of -1 is the next one."""

    seed: int = -1


class ResetStatus(Message, frozen=True):
    """How far the resets of a run are.

    Attributes:
        asked, done: Numbers of the reset asked for last and of the last one that is over; 0 before the first.
        seed: Of the episode that runs.
        slots: Slots of the episode that ended last; -1 if the last reset was refused.
        took_s: Wall seconds from its last slot to the first one of the next.
        waiting: Who keeps a reset waiting, as sentences.
        problem: Why the last reset was refused.
    """

    asked: int
    done: int
    seed: int
    slots: int
    took_s: float
    waiting: tuple[str, ...] = ()
    problem: str = ""


class BeginAgain(Message, frozen=True):
    """Go back to the initial state, once everything that was published up to the fence is here."""

    number: int
    seed: int
    fence: tuple[Published, ...]


class BegunAgain(Message, frozen=True):
    """Whether a process is back at its initial state; behind: what it waits for. counters: as they stand by then."""

    number: int
    done: bool
    behind: tuple[str, ...] = ()
    counters: dict[str, float] = {}


class Books(Message, frozen=True):
    """What a hub closes a run with; until everyone has reported, ``closed`` is False and the rest is empty.

    published: of every process that reported, so that a recorder can prove that it has all.
    """

    closed: bool
    digest: str = ""
    published: tuple[Published, ...] = ()


class Setup(Message, frozen=True):
    """What a process needs: the resolved scenario as TOML, and the wall seconds of a slot (0: lockstep)."""

    scenario: str
    slot_wall_s: float


# -- what nodes say of themselves --------------------------------------------------------------------------------------

Value = bool | int | float | str
"""What a parameter can be."""


class ParameterRecord(Message, frozen=True):
    """A setting of a node: its type in a word, value, bounds, and why it cannot be set, if it cannot."""

    name: str
    type: str
    value: Value
    default: Value
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[Value, ...] = ()
    description: str = ""
    read_only: str = ""


class ParameterQuery(Message, frozen=True):
    """Ask for parameters by name, or for all."""

    names: tuple[str, ...] = ()


class SetParameters(Message, frozen=True):
    """Change parameters of a node: all of these, or none."""

    values: dict[str, Value]


class Parameters(Message, frozen=True):
    """Parameters of a node as they are now."""

    node: str
    parameters: tuple[ParameterRecord, ...]


class ParameterEvent(Message, frozen=True):
    """What one call changed in one node."""

    node: str
    values: dict[str, Value]


class LogEntry(Message, frozen=True):
    """A log record. level is Python's (10 debug to 50 critical); sim_s: simulated seconds, 0 before the first slot."""

    level: int
    node: str
    logger: str
    text: str
    file: str
    line: int
    wall_ns: int
    sim_s: float = 0.0


# -- calls: request and reply ------------------------------------------------------------------------------------------


class Call(Message, frozen=True, tag="call"):
    """A request; body is the msgpack of the method's request message."""

    number: int
    node: str
    method: str
    body: bytes


class Reply(Message, frozen=True, tag="reply"):
    """An answer; body is the msgpack of the method's reply message."""

    number: int
    body: bytes


class Failure(Message, frozen=True, tag="failure"):
    """A refusal or an error: exceptions never travel. kind is a word that callers branch on, text is for people."""

    number: int
    kind: str
    text: str
