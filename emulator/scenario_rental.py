"""The tables of the rental world: ``[rental]`` and below. Defaults are those of spec P; ``AUTHORS`` has those of A.

Spec P is the world as the second paper (N2O) describes it, spec A the one that its authors' published file computes;
docs/rental.md says how they differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta

from emulator.scenario_tables import Natural, NotNegative, Positive, Share, Table

Hourly = Annotated[tuple[NotNegative, ...], Meta(min_length=24, max_length=24)]
Five = Annotated[tuple[float, ...], Meta(min_length=5, max_length=5)]
Pair = Annotated[tuple[float, ...], Meta(min_length=2, max_length=2)]
Link = Annotated[tuple[Natural, ...], Meta(min_length=2, max_length=2)]

FARTHEST_M = 1e7
MOST_USERS = 1_000_000

RESIDENTIAL = (5, 4, 3, 2, 0.5, 0.5, 1.5, 3, 6, 5, 4.5, 2.5, 1.5, 0.5, 0.5, 1, 3, 6, 10, 15, 22.5, 20, 12, 8)
SCHOOL = (0, 0, 0, 0, 0.2, 1, 2.5, 4.5, 8, 8.5, 8.5, 7.5, 9, 8.5, 8, 8, 7.5, 7, 6, 2.5, 3.0, 0, 0, 0)
COMMERCIAL = (
    *(0.5, 0.5, 0.5, 1, 1.5, 3.5, 3.5, 4.5, 4.5, 4.5, 4.5, 4.5),
    *(4.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5, 10.5, 7.5, 3.5, 1.5, 0.5),
)
PUBLIC = (
    0.5,
    0.5,
    1.5,
    2.5,
    4.5,
    7.5,
    9.5,
    10.5,
    10.5,
    7.5,
    2.5,
    1,
    1,
    0.5,
    0.5,
    2.5,
    5.5,
    6.5,
    6.5,
    5.5,
    1,
    0.5,
    0,
    0,
)


class Sites(Table, frozen=True):
    """Where edge servers stand, how far their radios reach, and who is whose neighbour."""

    layout: Literal["grid", "map"] = "grid"
    rows: Annotated[int, Meta(ge=0, description="of the grid; 0: as square as edges.count allows")] = 0
    spacing_m: Annotated[float, Meta(gt=0, le=FARTHEST_M, description="of the grid, and the margin around it")] = 60.0
    path: Annotated[str, Meta(description="of a map: CSV with columns lat and lon, beside the scenario")] = ""
    apart_m: Annotated[
        float, Meta(ge=0, le=FARTHEST_M, description="of a map: sites nearer to one before are left out")
    ] = 100.0
    margin_m: Annotated[float, Meta(ge=0, le=FARTHEST_M, description="of a map: around the sites")] = 60.0
    positions_m: Annotated[tuple[Pair, ...] | None, Meta(description="x and y of each, instead of a grid or map")] = (
        None
    )
    range_m: Annotated[float, Meta(gt=0, le=FARTHEST_M, description="how far a radio reaches")] = 85.0
    neighbour_m: Annotated[
        float, Meta(ge=0, le=FARTHEST_M, description="edge servers no further apart are neighbours")
    ] = 60.0
    links: Annotated[tuple[Link, ...] | None, Meta(description="neighbours, pair by pair, instead")] = None


class Users(Table, frozen=True):
    """How many users there are, how they move, and how they choose an edge server."""

    cells: Annotated[int, Meta(ge=1, le=1000, description="nodes that look after users, each after a part of all")] = 2
    law: Annotated[
        Literal["pool", "poisson"],
        Meta(description="pool: each of so many is there or not; poisson: a new number each slot"),
    ] = "pool"
    in_range: Annotated[float, Meta(gt=0, description="users in range of an edge server, on average")] = 30.0
    per_edge: Annotated[float, Meta(ge=0, description="users in the area for each edge server; 0: by in_range")] = 0.0
    mean: Annotated[float, Meta(ge=0, description="users in the area; 0: by per_edge or in_range")] = 0.0
    pool: Annotated[int, Meta(ge=0, le=MOST_USERS, description="users there can be; 0: twice the mean")] = 0
    stay_share: Annotated[float, Meta(ge=0, le=1, description="probability of not being drawn anew in a slot")] = 0.85
    step_m: Annotated[float, Meta(ge=0, le=FARTHEST_M, description="deviation of a slot's walk on each axis")] = 20.0
    choose: Annotated[Literal["rented", "in-range"], Meta(description="among which edge servers in range")] = "rented"
    temperature_s: Annotated[float, Meta(gt=0, description="difference in delay that changes the odds by e")] = 0.25
    expect_transmission: Annotated[bool, Meta(description="add the transmission they expect to the delay")] = True
    cloud: Annotated[Literal["last", "choice"], Meta(description="when nothing else is left, or a choice too")] = "last"
    cloud_s: Annotated[float, Meta(ge=0, description="delay of a task in the cloud")] = 5.0


class Memory(Table, frozen=True):
    """What users remember of an edge server."""

    of: Annotated[Literal["compute", "total"], Meta(description="which delay they remember")] = "compute"
    share: Annotated[float, Meta(ge=0, le=1, description="weight of the last slot")] = 0.5
    forget_share: Annotated[float, Meta(ge=0, le=1, description="lost in a slot without a rental (compute)")] = 0.2
    users_share: Annotated[float, Meta(ge=0, le=1, description="weight of the last slot's number of users")] = 0.5


class Radio(Table, frozen=True):
    """Spectrum and channel."""

    channel: Annotated[Literal["rayleigh", "none"], Meta(description="none: 1 bit/s/Hz for everybody")] = "rayleigh"
    at_range: Annotated[float, Meta(gt=0, description="mean signal-to-noise at range_m, a factor")] = 10.0
    nearest_m: Annotated[float, Meta(gt=0, description="least distance to an antenna")] = 5.0
    least_efficiency: Annotated[float, Meta(gt=0, description="bit/s/Hz of the worst channel")] = 0.05
    task_mbit: Annotated[float, Meta(ge=0, description="to send for a task")] = 4.0
    bandwidth_mhz: Annotated[float, Meta(gt=0, description="mean spectrum of an edge server in a slot")] = 20.0
    bandwidth_deviation_mhz: NotNegative = 6.0
    bandwidth_least_mhz: Positive = 1.0


class RentalDemand(Table, frozen=True):
    """Tasks that a user asks for in a slot."""

    kind: Literal["patterns", "trace"] = "patterns"
    load: Annotated[float, Meta(ge=0, description="factor on patterns or trace")] = 0.15
    least_share: Annotated[float, Meta(ge=0, le=1, description="of demand at a server that is remembered as slow")] = (
        0.2
    )
    residential: Hourly = RESIDENTIAL
    school: Hourly = SCHOOL
    commercial: Hourly = COMMERCIAL
    public: Hourly = PUBLIC
    split_x: Annotated[tuple[Share, ...], Meta(min_length=2, max_length=2, description="school, residential")] = (
        0.5,
        0.5,
    )
    split_y: Share = 0.5
    path: Annotated[str, Meta(description="folder of canonical demand, beside the scenario")] = ""
    slots: Annotated[
        Link | None, Meta(description="of a trace: the first slot that is played, and the one after the last")
    ] = None
    trace_mean: Annotated[float, Meta(ge=0, description="tasks of a user and slot that a trace's mean stands for")] = (
        4.5
    )


class Delay(Table, frozen=True):
    """What a task waits at an edge server."""

    law: Annotated[Literal["mm1", "constant"], Meta(description="1/(a u - w), or 1/(a u)")] = "mm1"
    tasks_per_unit: Annotated[float, Meta(gt=0, description="u, tasks a slot that a unit of compute serves")] = 40.0
    most_s: Annotated[float, Meta(gt=0, description="longest delay, of compute and of transmission each")] = 5.0


class RentalReward(Table, frozen=True):
    """What a slot is worth: scale (worth tasks - delay_weight waiting - units price)."""

    worth: NotNegative = 5.0
    delay_weight: NotNegative = 0.7
    scale: Positive = 0.1
    price_low: NotNegative = 20.0
    price_high: NotNegative = 40.0


class Membership(Table, frozen=True):
    """Edge servers that are not there all the time; who joins before it ever left is not there at the start."""

    leave: Annotated[tuple[Link, ...], Meta(description="[slot, edge server]: from that slot on it is away")] = ()
    join: Annotated[tuple[Link, ...], Meta(description="[slot, edge server]: from that slot on it is there")] = ()


class Scaling(Table, frozen=True):
    """How networks scale [delay, users, bandwidth, price, hour]: less the centre, over the scale."""

    centre: Five = (1.0, 30.0, 20.0, 30.0, 11.5)
    scale: Annotated[tuple[Positive, ...], Meta(min_length=5, max_length=5)] = (2.0, 10.0, 8.0, 6.0, 7.0)


class Rental(Table, frozen=True):
    """The rental world."""

    spec: Annotated[Literal["P", "A"], Meta(description="whose defaults hold: the paper's, its authors' file's")] = "P"
    units: Annotated[int, Meta(ge=1, le=255, description="most units that can be rented on an edge server")] = 2
    episode_slots: Annotated[int, Meta(ge=0, description="slots until all is forgotten; 0: never")] = 0
    first_slot: Annotated[
        int, Meta(ge=0, description="slot of the day (of what is played of the trace) to start with")
    ] = 0
    random_start: Annotated[bool, Meta(description="each episode starts with a slot drawn at random")] = False
    zero_delay_bug: Annotated[
        Literal["off", "own", "authors"],
        Meta(description="no delay where edge 0 rents nothing (authors: everywhere), or where one rents nothing (own)"),
    ] = "off"
    sites: Sites = Sites()
    users: Users = Users()
    memory: Memory = Memory()
    radio: Radio = Radio()
    demand: RentalDemand = RentalDemand()
    delay: Delay = Delay()
    reward: RentalReward = RentalReward()
    membership: Membership = Membership()
    observation: Scaling = Scaling()


PAPER: dict[str, Any] = {"slots_per_frame": 1, "slot_s": 600.0, "agent": {"policy": "greedy-rule"}, "rental": {}}
"""What else a scenario of the rental world starts from."""

AUTHORS: dict[str, Any] = {
    "slots_per_frame": 1,
    "slot_s": 3600.0,
    "agent": {"policy": "greedy-rule"},
    "rental": {
        "sites": {"spacing_m": 30.0, "range_m": 43.0, "neighbour_m": 30.0},
        "users": {
            "law": "poisson",
            "per_edge": 7.5,
            "stay_share": 0.0,
            "step_m": 0.0,
            "choose": "in-range",
            "temperature_s": 1.0,
            "expect_transmission": False,
        },
        "memory": {"of": "total", "share": 1.0},
        "radio": {"channel": "none", "task_mbit": 1.0},
        "demand": {
            "load": 1.0,
            "residential": [*RESIDENTIAL[:20], 22.0, *RESIDENTIAL[21:]],
            "school": [*SCHOOL[:20], 0.5, *SCHOOL[21:]],
            "split_x": [0.3, 0.5],
        },
        "reward": {"price_low": 0.0},
        "observation": {"centre": [2.0, 18.0, 20.0, 20.0, 11.5], "scale": [2.5, 8.0, 8.0, 11.5, 7.0]},
    },
}
"""What a scenario of spec A starts from where it says nothing."""


def with_defaults(raw: dict[str, Any]) -> dict[str, Any]:
    """A scenario's tables as read, with the defaults of its spec below them; of another world, as they are."""
    if raw.get("world") != "rental":
        return raw
    rental = raw.get("rental")
    spec = rental.get("spec", "P") if isinstance(rental, Mapping) else "P"
    return _over(AUTHORS if spec == "A" else PAPER, raw)


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        under = below.get(key)
        merged[key] = _over(under, value) if isinstance(under, Mapping) and isinstance(value, Mapping) else value
    return merged
