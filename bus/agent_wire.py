"""What a foreign agent and we say to each other: frames, header and payloads of ``docs/agent-protocol.md``.

One ZeroMQ frame is one message: 24 bytes of header, then one msgpack map. Nothing here is shared with messages of the
bus: those may change with us, these may not.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

import msgspec

from bus.errors import DecodeError

MAGIC: Final = 0xC1
"""The one byte that begins no msgpack value, so these frames and calls may meet on one socket."""
PROTOCOL: Final = 1
HEADER: Final = struct.Struct("<BBHIIIII")
HEADER_BYTES: Final = HEADER.size
ANY_EDGE: Final = 0xFFFFFFFF
"""As the edge of a Hello: the next one that is free."""
MOST_BYTES: Final = 2**20
"""Of one frame of an agent."""
MOST_FRAMES_PER_S: Final = 2000
"""Of one agent; who sends more is not listened to any more."""

REASONS: Final = {
    "version": "the header's version is not ours",
    "role": "no such role here; only deployment and rental agents may be foreign",
    "world": "the run is of the other world",
    "keys": "the run uses keys, and what was shown grants nothing",
    "held": "another process decides for that edge server",
    "surplus": "every edge server has its agent",
    "unknown_edge": "there is no such edge server",
    "no_edge_server": "the edge server itself is not there (yet)",
    "unknown_instance": "nobody has a lease under that instance (any more): say Hello again",
    "too_large": "a frame is larger than 1 MiB",
    "malformed": "not what the kind of message must be",
    "unasked": "nobody asked for that now",
    "stale_epoch": "edge, instance or epoch are not those of the binding that holds",
    "stale_frame": "a decision for another frame than the one asked for",
    "out_of_range": "an index or a number that does not exist in this run",
    "infeasible": "more than fits the edge server",
    "late": "later than the deadline",
    "link": "an emulated link has lost it",
    "warm_up": "a decision of the warm-up was refused, so the agent is not bound",
    "flood": "more frames than anyone needs; nothing more is read",
}


class Header(NamedTuple):
    """In front of every message. instance: of the lease, 0 before it; epoch, frame: 0 where they mean nothing."""

    magic: int
    version: int
    kind: int
    edge: int
    instance: int
    epoch: int
    frame: int
    sequence: int


class Said(msgspec.Struct, frozen=True):
    """A payload: a msgpack map by field names. Keys that the reader does not know are passed over."""


class Hello(Said, frozen=True):
    """Agent to hub: who it is. process, pid: if a launcher started it, what that one calls it.

    public_key: With keys, of a pair that was made for this lease; the frame itself comes under the role's key.
    standby: it wants to stand by for an edge server that has its agent, until somebody swaps them.
    state_format: With capability ``state``, of what it remembers and can give and take; needs_state: it does not take
    over without the state of the one before.
    """

    role: str
    world: str
    name: str
    version: str = ""
    capabilities: tuple[str, ...] = ()
    digest: str = ""
    process: str = ""
    pid: int = 0
    public_key: str = ""
    standby: bool = False
    state_format: str = ""
    needs_state: bool = False


class Accepted(Said, frozen=True):
    """Hub to agent: it has the lease of the header's edge and instance; where its edge server is, and its key."""

    node: str
    edge_address: str
    beat_s: float
    liveliness_s: float
    edge_key: str = ""


class Refused(Said, frozen=True):
    """To the agent: what it said is not taken. about: its sequence; retry_s: when to try again, 0 for never."""

    reason: str
    text: str
    about: int = 0
    retry_s: float = 0.0


class Beat(Said, frozen=True):
    """Agent to hub: its loop runs. busy_s: for how long from now there may be no other."""

    busy_s: float = 0.0


class BeatAck(Said, frozen=True):
    """Hub to agent: known is false when the lease is lost."""

    known: bool


class Goodbye(Said, frozen=True):
    """Either way, on either socket: the end. again: whether a new Hello makes sense."""

    reason: str = ""
    again: bool = False


class Join(Said, frozen=True):
    """Agent to edge server: here is whom the hub has accepted."""


class Setup(Said, frozen=True):
    """Edge server to agent: what it decides in. Sizes in bytes; units: most that can be rented.

    edges: how many there are. cloud_s: seconds that a task takes in the cloud. world_digest: of the offloading world.
    neighbours: the edge servers whose rentals Outcome tells.
    """

    world: str
    clock: str
    slots_per_frame: int
    slot_s: float
    slot_wall_s: float
    decision_budget_s: float
    warmup_frames: int
    storage_bytes: float = 0.0
    service_bytes: tuple[float, ...] = ()
    units: int = 0
    edges: int = 0
    compute_hz: float = 0.0
    link_bps: float = 0.0
    task_bytes: tuple[float, ...] = ()
    task_cycles: tuple[float, ...] = ()
    cloud_s: tuple[float, ...] = ()
    world_digest: str = ""
    neighbours: tuple[int, ...] = ()


class State(Said, frozen=True):
    """Edge server to agent: warm-up, ready, active (the header's epoch is its binding's), standby or draining."""

    state: str


class Observation(Said, frozen=True):
    """Edge server to agent, offloading world: tasks of the frame before, float64 little-endian, slot by slot."""

    slots: int
    services: int
    counts: bytes
    warm_up: bool = False


class RentalObservation(Said, frozen=True):
    """Edge server to agent, rental world: the five numbers that are observed before a slot."""

    delay_s: float
    users: float
    bandwidth_mhz: float
    price: float
    hour: float
    warm_up: bool = False


class Deployment(Said, frozen=True):
    """Agent to edge server: services by index, ascending."""

    services: tuple[int, ...]


class Rental(Said, frozen=True):
    """Agent to edge server: units of compute."""

    units: int


class Reward(Said, frozen=True):
    """Edge server to agent: what the header's frame was worth, once it is committed."""

    reward_s: float
    delay_s: float
    all_cloud_s: float


class Outcome(Said, frozen=True):
    """Edge server to agent, rental world: what the header's slot came to, once it is committed.

    neighbours: what each neighbour of Setup rented, -1 where nothing was heard.
    """

    units: int
    tasks: float
    compute_s: float
    wait_s: float
    reward: float
    neighbours: tuple[int, ...] = ()


class Reset(Said, frozen=True):
    """Edge server to agent: time begins again at frame 0; what was learned is to be forgotten."""

    seed: int


class StateQuery(Said, frozen=True):
    """Edge server to agent: give what you remember after the header's frame; pieces must be there in deadline_s."""

    format: str
    deadline_s: float


class StatePiece(Said, frozen=True):
    """Either way: bytes of a state from an offset on. size_bytes, sha256 (hex): of the whole."""

    format: str
    size_bytes: int
    sha256: str
    offset: int
    data: bytes


class StateResult(Said, frozen=True):
    """Agent to edge server: done: the state that came is in place; if not, why none is given, or taken."""

    done: bool
    reason: str = ""


KINDS: Final[dict[int, type[Said]]] = {
    1: Hello,
    2: Accepted,
    3: Refused,
    4: Beat,
    5: BeatAck,
    6: Goodbye,
    16: Join,
    17: Setup,
    18: State,
    19: Observation,
    20: RentalObservation,
    21: Deployment,
    22: Rental,
    23: Reward,
    24: Outcome,
    25: Reset,
    26: StateQuery,
    27: StatePiece,
    28: StateResult,
}
NUMBERS: Final = {kind: number for number, kind in KINDS.items()}
OF_AGENTS: Final = (Hello, Beat, Goodbye, Join, Deployment, Rental, StatePiece, StateResult)
"""What agents may say; all else is ours."""

_encode: Final = msgspec.msgpack.Encoder().encode
_decoders: Final = {number: msgspec.msgpack.Decoder(kind) for number, kind in KINDS.items()}


def name_of(kind: int) -> str:
    """The name of a kind of message."""
    return KINDS[kind].__name__ if kind in KINDS else "unknown"


def is_foreign(frame: bytes) -> bool:
    """Whether a frame is one of this protocol, and no call."""
    return frame[:1] == b"\xc1"


def encode(said: Said, *, edge: int, instance: int = 0, epoch: int = 0, frame: int = 0, sequence: int = 0) -> bytes:
    """A whole frame."""
    header = HEADER.pack(MAGIC, PROTOCOL, NUMBERS[type(said)], edge, instance, epoch, frame, sequence)
    return header + _encode(said)


def header_of(frame: bytes) -> Header:
    """The header of a frame.

    Raises: DecodeError: it has none. What version it is of is the caller's to judge.
    """
    if len(frame) < HEADER_BYTES:
        raise DecodeError("frame", f"{len(frame)} bytes hold no header of {HEADER_BYTES}")
    header = Header._make(HEADER.unpack_from(frame))
    if header.magic != MAGIC:
        raise DecodeError("frame", f"begins with {header.magic:#x}, not {MAGIC:#x}")
    return header


def said_in(frame: bytes, header: Header) -> Said:
    """The payload of a frame.

    Raises: DecodeError: an unknown kind, or not what that kind must be.
    """
    decoder = _decoders.get(header.kind)
    if decoder is None:
        raise DecodeError("frame", f"kind {header.kind} is unknown")
    try:
        return decoder.decode(frame[HEADER_BYTES:])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError(KINDS[header.kind].__name__, str(error)) from None
