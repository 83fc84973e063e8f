"""From a scenario of the rental world to what it is made of: sites, graph, demand by zone and slot of the day.

Every process builds these from the same resolved scenario, so nothing of them crosses the bus.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from emulator.errors import ScenarioError
from emulator.layout import shares
from emulator.model.graph import (
    Floats,
    Graph,
    distances,
    grid_positions,
    grid_shape,
    linked,
    projected,
    thinned,
    within,
    without,
)
from emulator.model.mobility import Bools, coverage
from emulator.model.rental import MOST_MEAN, Ints, zone_of
from emulator.model.streams import Stream
from emulator.scenario import Scenario
from emulator.scenario_rental import MOST_USERS, Rental
from emulator.traces import load_demand

DAY_S = 86_400.0
HOUR_S = 3_600.0


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What the nodes of a rental world share.

    Attributes:
        rental: The scenario's keys, resolved.
        sites: x and y of the edge servers in metres, shape (edge, 2).
        sides_m: Extent of the area in x and y, shape (2,).
        graph: Who is whose neighbour.
        rates: Tasks that a user in a zone asks for, shape (slot of the day or trace, zone).
        slot_s: Length of a slot, seconds.
        seed: The run's seed.
    """

    rental: Rental
    sites: Floats
    sides_m: Floats
    graph: Graph
    rates: Floats
    slot_s: float
    seed: int

    @property
    def edges(self) -> int:
        """N, the number of edge servers."""
        return len(self.sites)

    @property
    def users(self) -> int:
        """How many users there can be at a time."""
        return self.rental.users.pool

    def cells(self) -> list[tuple[int, int]]:
        """The users of each cell node: the first, and how many; equal parts of all, by number."""
        return shares(self.users, self.rental.users.cells)

    def episode(self, slot: int) -> int:
        """The slot in which a slot's episode began."""
        length = self.rental.episode_slots
        return slot - slot % length if length else 0

    @property
    def played(self) -> range:
        """The rows of ``rates`` that are played; after the last one comes the first."""
        first, end = self.rental.demand.slots or (0, len(self.rates))
        return range(first, end)

    def start(self, seed: int, slot: int) -> int:
        """The row of ``rates`` that a slot's episode begins with, in a world with a seed."""
        if not self.rental.random_start:
            return self.played[self.rental.first_slot % len(self.played)]
        began = self.episode(slot)
        return self.played[int(Stream(seed, "/world", "clock", draws=1).uniforms(began)[0, 0] * len(self.played))]

    def row(self, start: int, slot: int) -> int:
        """The row of ``rates`` that holds in a slot whose episode began with row ``start``."""
        return self.played[(start - self.played.start + slot - self.episode(slot)) % len(self.played)]

    def hour(self, row: int) -> int:
        """The hour of the day, 0..23, of a row of ``rates``."""
        return int(row * self.slot_s // HOUR_S) % 24

    def away(self, slot: int) -> tuple[int, ...]:
        """The edge servers that are not there in a slot, ascending."""
        told: dict[int, list[tuple[int, bool]]] = {}
        for events, leaves in ((self.rental.membership.leave, True), (self.rental.membership.join, False)):
            for when, edge in events:
                told.setdefault(edge, []).append((when, leaves))
        gone = []
        for edge, its in sorted(told.items()):
            before = [leaves for when, leaves in sorted(its) if when <= slot]
            if before[-1] if before else not min(its)[1]:
                gone.append(edge)
        return tuple(gone)

    def there(self, slot: int) -> Bools:
        """Whether each edge server is there in a slot, shape (edge,)."""
        found = np.ones(self.edges, dtype=np.bool_)
        found[list(self.away(slot))] = False
        return found

    def graph_at(self, slot: int) -> Graph:
        """Who is whose neighbour in a slot; who is away has none."""
        away = self.away(slot)
        return without(self.graph, away) if away else self.graph

    def zones(self, positions: Floats) -> Ints:
        """Whose demand a user at a position has, shape (...): a type of zone, or with a trace the nearest cell."""
        demand = self.rental.demand
        if demand.kind == "trace":
            return np.argmin(distances(positions, self.sites), axis=-1)
        low, high = demand.split_x
        return zone_of(positions, self.sides_m, (low, high), demand.split_y)


def resolve_rental(scenario: Scenario) -> Scenario:
    """Fix what a scenario leaves to a file or to its geometry, so that every process reads the same.

    Raises: ScenarioError: the map or the trace does not fit the scenario.
    """
    rental = rental_of(scenario)
    sites = rental.sites
    if sites.layout == "map" and sites.positions_m is None:
        positions = _mapped(scenario, rental)
        sites = msgspec.structs.replace(sites, positions_m=tuple((float(x), float(y)) for x, y in positions))
        rental = msgspec.structs.replace(rental, sites=sites)
    users = rental.users
    mean = float(users.mean or users.per_edge * scenario.edges.count or _mean_users(scenario, rental))
    if mean > MOST_USERS / 2:
        raise ScenarioError(
            f"{scenario.name}: rental.users.in_range: takes {mean:.3g} users in all, at most {MOST_USERS // 2} are "
            f"possible; take fewer, a larger rental.sites.range_m, or set rental.users.mean"
        )
    pool = users.pool or _pool(users.law, mean)
    if users.law == "pool" and pool < mean:
        raise ScenarioError(f"{scenario.name}: rental.users.pool: {pool} is less than the mean of {mean:.1f} users")
    users = msgspec.structs.replace(users, mean=mean, pool=pool)
    resolved = msgspec.structs.replace(scenario, rental=msgspec.structs.replace(rental, users=users))
    most = float(build_plan(resolved).rates.max())
    if most > MOST_MEAN:
        raise ScenarioError(
            f"{scenario.name}: rental.demand.load: a user would ask for {most:.0f} tasks a slot, at most "
            f"{MOST_MEAN:.0f} are possible; take a smaller load"
        )
    return resolved


def build_plan(scenario: Scenario) -> Plan:
    """What the nodes share, of a resolved scenario.

    Raises: ScenarioError: the graph or the trace does not fit.
    """
    rental = rental_of(scenario)
    positions, sides = _sites(scenario, rental)
    return Plan(
        rental=rental,
        sites=positions,
        sides_m=sides,
        graph=_graph(scenario, rental, positions),
        rates=_rates(scenario, rental),
        slot_s=scenario.slot_s,
        seed=scenario.seed,
    )


def rental_of(scenario: Scenario) -> Rental:
    """The rental world's keys.

    Raises: ScenarioError: the scenario is of another world.
    """
    if scenario.rental is None:
        raise ScenarioError(f'{scenario.name}: world: is offloading; this needs world = "rental"')
    return scenario.rental


def _sites(scenario: Scenario, rental: Rental) -> tuple[Floats, Floats]:
    """Positions, and the sides of the area around them."""
    sites, count = rental.sites, scenario.edges.count
    if sites.positions_m is not None:
        positions = np.array(sites.positions_m, dtype=np.float64).reshape(-1, 2)
        return positions, positions.max(axis=0) + sites.margin_m
    rows = sites.rows or grid_shape(count)[0]
    columns = count // rows
    sides = np.array([columns + 1.0, rows + 1.0]) * sites.spacing_m
    return grid_positions(rows, columns, sites.spacing_m), sides


def _graph(scenario: Scenario, rental: Rental, positions: Floats) -> Graph:
    if rental.sites.links is None:
        return within(positions, rental.sites.neighbour_m)
    try:
        return linked(len(positions), rental.sites.links)
    except ValueError as error:
        raise ScenarioError(f"{scenario.name}: rental.sites.links: {error}") from None


def _mapped(scenario: Scenario, rental: Rental) -> Floats:
    """Sites of a map, thinned, those nearest to the middle, in the order of the file."""
    sites, count = rental.sites, scenario.edges.count
    latitude, longitude = _read_map(scenario.name, Path(sites.path))
    positions = projected(latitude, longitude, 0.0)
    kept = positions[thinned(positions, sites.apart_m)]
    if len(kept) < count:
        raise ScenarioError(
            f"{scenario.name}: edges.count: is {count}, but {sites.path} has {len(kept)} sites that are "
            f"{sites.apart_m:g} m apart (rental.sites.apart_m); take fewer"
        )
    middle = 0.5 * (kept.min(axis=0) + kept.max(axis=0))
    nearest = np.sort(np.argsort(distances(middle, kept), kind="stable")[:count])
    chosen = kept[nearest]
    return chosen - chosen.min(axis=0) + sites.margin_m


def _read_map(name: str, path: Path) -> tuple[Floats, Floats]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
        places = np.array([[float(row["lat"]), float(row["lon"])] for row in rows])
    except OSError as error:
        raise ScenarioError(f"{name}: rental.sites.path: {path}: {error.strerror}; give a CSV of sites") from None
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise ScenarioError(
            f"{name}: rental.sites.path: {path}: needs columns lat and lon of numbers ({error})"
        ) from None
    if not len(places) or not (np.abs(places) <= (90.0, 180.0)).all():
        raise ScenarioError(f"{name}: rental.sites.path: {path}: needs rows with lat and lon in degrees")
    return places[:, 0], places[:, 1]


def _mean_users(scenario: Scenario, rental: Rental) -> float:
    positions, sides = _sites(scenario, rental)
    covered = coverage(positions, sides, rental.sites.range_m)
    return rental.users.in_range / covered if covered else math.inf


def _pool(law: str, mean: float) -> int:
    """Half as many again, so that numbers vary; for a Poisson number so many that more never come."""
    return math.ceil(1.5 * mean) if law == "pool" else math.ceil(mean + 10.0 * math.sqrt(mean) + 10.0)


def _rates(scenario: Scenario, rental: Rental) -> Floats:
    demand = rental.demand
    if demand.kind == "trace":
        return demand.load * demand.trace_mean * _traced(scenario, rental)
    patterns = np.array([demand.residential, demand.school, demand.commercial, demand.public], dtype=np.float64)
    rows = round(DAY_S / scenario.slot_s)
    hours = (np.arange(rows) * scenario.slot_s // HOUR_S).astype(np.int64) % 24
    return demand.load * patterns.T[hours]


def _traced(scenario: Scenario, rental: Rental) -> Floats:
    """A trace's tasks over their mean, shape (slot, cell); over the whole trace's, whatever of it is played."""
    demand = load_demand(rental.demand.path)
    problems = []
    if rental.demand.slots is not None and rental.demand.slots[1] > demand.slots:
        problems.append(
            f"rental.demand.slots: end with {rental.demand.slots[1]}, but the trace has {demand.slots}; take fewer"
        )
    if len(demand.cells) != scenario.edges.count:
        problems.append(
            f"edges.count: is {scenario.edges.count}, but the trace has {len(demand.cells)} cells; set it so"
        )
    if demand.slot_s != scenario.slot_s:
        problems.append(f"slot_s: is {scenario.slot_s:g}, but the trace's slots last {demand.slot_s:g} s; set it so")
    asked = demand.tasks.sum(axis=2, dtype=np.float64)
    if not asked.any():
        problems.append("rental.demand.path: nobody asks for anything in it")
    if problems:
        raise ScenarioError(*(f"{scenario.name}: {problem}" for problem in problems))
    return asked / asked.mean()
