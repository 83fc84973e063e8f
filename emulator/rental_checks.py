"""What a scenario of the rental world may not say although every single value of it is fine."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import msgspec

from emulator.agent_checks import lost_contradictions
from emulator.linking import link_contradictions
from emulator.rental_plan import DAY_S
from emulator.scenario import Scenario
from emulator.scenario_rental import FARTHEST_M, Rental
from emulator.start_order import start_contradictions

MAX_SLOTS = 2**32 - 1
"""A message's header counts slots in 32 bits."""

NOT_READ = ("edge", "cloud", "services", "demand", "scheduler")
"""Tables of the offloading world."""


def rental_contradictions(scenario: Scenario) -> list[str]:
    """Every contradiction found, one line each: what, where, remedy."""
    rental = scenario.rental or Rental()
    problems = [*_of_the_other_world(scenario), *_time(scenario, rental), *_sites(scenario, rental)]
    problems += [*_demand(rental), *_users(rental), *_membership(scenario, rental), *lost_contradictions(scenario)]
    return [*problems, *link_contradictions(scenario), *start_contradictions(scenario)]


def _of_the_other_world(scenario: Scenario) -> Iterator[str]:
    plain = Scenario(name="plain")
    for name in NOT_READ:
        if getattr(scenario, name) != getattr(plain, name):
            yield f"{name}: is not read in the rental world; leave it out"
    for name, value in msgspec.structs.asdict(scenario.edges).items():
        if name != "count" and value != getattr(plain.edges, name):
            yield f"edges.{name}: is not read in the rental world; leave it out"
    if scenario.tasks != "expected":
        yield f'tasks: "{scenario.tasks}" is of the offloading world; leave it out'


def _time(scenario: Scenario, rental: Rental) -> Iterator[str]:
    if scenario.slots_per_frame != 1:
        yield f"slots_per_frame: is {scenario.slots_per_frame}, but in the rental world a slot is a frame; leave it out"
    if scenario.slots > MAX_SLOTS:
        yield f"frames: {scenario.frames} slots are more than {MAX_SLOTS}"
    if rental.demand.kind == "patterns" and round(DAY_S / scenario.slot_s) * scenario.slot_s != DAY_S:
        yield f"slot_s: {scenario.slot_s:g} does not divide a day; take a slot that does, e.g. 600"
    if rental.random_start and not rental.episode_slots:
        yield "rental.random_start: needs episodes that start; set rental.episode_slots"


def _sites(scenario: Scenario, rental: Rental) -> Iterator[str]:
    sites, count = rental.sites, scenario.edges.count
    if sites.positions_m is not None:
        if len(sites.positions_m) != count:
            yield f"rental.sites.positions_m: has {len(sites.positions_m)} places, but edges.count is {count}"
        if any(not 0.0 <= each <= FARTHEST_M for place in sites.positions_m for each in place):
            yield f"rental.sites.positions_m: metres from the area's corner are needed, 0..{FARTHEST_M:g}"
    elif sites.layout == "map" and not sites.path:
        yield "rental.sites.path: missing; a map is a CSV with columns lat and lon"
    if sites.layout == "grid":
        if sites.path:
            yield 'rental.sites.path: is only read with layout = "map"; set the layout or leave the path out'
        if sites.rows and count % sites.rows:
            yield f"rental.sites.rows: {sites.rows} rows do not divide edges.count ({count})"
    for k, (one, other) in enumerate(sites.links or ()):
        if one == other or max(one, other) >= count:
            yield f"rental.sites.links[{k}]: must name two different edge servers of 0..{count - 1}"


def _demand(rental: Rental) -> Iterator[str]:
    demand, reward = rental.demand, rental.reward
    if demand.kind == "trace" and not demand.path:
        yield "rental.demand.path: missing; a trace needs the folder that `edgerig import` made"
    if demand.kind == "patterns" and demand.path:
        yield 'rental.demand.path: is only read with kind = "trace"; set the kind or leave the path out'
    if demand.slots is not None:
        if demand.kind == "patterns":
            yield 'rental.demand.slots: is only read with kind = "trace"; set the kind or leave the slots out'
        elif demand.slots[0] >= demand.slots[1]:
            yield f"rental.demand.slots: {list(demand.slots)} is empty; give the first, and the one after the last"
    if reward.price_low > reward.price_high:
        yield f"rental.reward.price_low: {reward.price_low:g} is more than price_high ({reward.price_high:g})"


def _users(rental: Rental) -> Iterator[str]:
    users = rental.users
    if users.law == "pool" and 0 < users.pool < users.mean:
        yield f"rental.users.pool: {users.pool} is less than the mean of {users.mean:g} users"


def _membership(scenario: Scenario, rental: Rental) -> Iterator[str]:
    told: dict[int, list[tuple[int, str]]] = {}
    for word in ("leave", "join"):
        for k, (slot, edge) in enumerate(getattr(rental.membership, word)):
            if edge >= scenario.edges.count or slot < 1:
                yield (
                    f"rental.membership.{word}[{k}]: is [{slot}, {edge}]; give a slot from 1 on and an edge server of "
                    f"0..{scenario.edges.count - 1}"
                )
            told.setdefault(edge, []).append((slot, word))
    for edge, events in sorted(told.items()):
        words = [word for _, word in sorted(events)]
        slots = [slot for slot, _ in events]
        if any(one == other for one, other in pairwise(words)) or len(set(slots)) < len(slots):
            yield f"rental.membership: edge server {edge} must leave and join by turns, in slots of their own"
