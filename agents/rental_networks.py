"""Rental policies that were learned, by onnxruntime: each alone (``madql``, ``actor``), or a team that is orchestrated.

``NAME`` takes the networks that come with edgerig for the scenario, ``NAME:DIR`` those of a folder.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

import numpy as np

from agents.errors import AgentError
from agents.n2o.dual_averaging import Slopes
from agents.n2o.files import ActorNetwork, Kind, QNetwork, check_world, read_manifest
from agents.n2o.network import Course, nothing_lost
from agents.n2o.orchestrators import recipe
from agents.n2o.rental_agent import Orchestrated
from agents.n2o.tables import LocalTable, lacking
from agents.n2o.team import ALIASES, EXACT, QTeam
from agents.rental_policy import LostIn, RentalObservation, RentalOutcome, RentalPolicy, RentalSetting, register
from emulator.model.graph import Floats, Graph
from emulator.model.rental import Ints

SHIPPED: Final = Path(__file__).with_name("shipped_rental")
FOLDERS: Final[dict[Kind, str]] = {"q": "q", "actor": "actors"}
TEAMS: Final = ("owner", "maxsum", "n2o", "n2o-average", "n2o-secant", "consensus", "polish")
"""How agents negotiate; what each name stands for is in ``agents.n2o.team.ALIASES``."""

ALONE: Final = "madql"


class Alone:
    """One edge server's network says what to rent; nobody is asked."""

    observes: Literal["local"] = "local"

    def __init__(self, rented: Callable[[Floats, int], int]) -> None:
        """Observations (1, field) and a slot to units."""
        self._rented = rented

    def decide(self, observation: RentalObservation) -> int:
        """Units to rent."""
        return self._rented(observation.values[None], observation.slot)

    def after_slot(self, observation: RentalObservation, outcome: RentalOutcome) -> None:
        """Learns nothing."""


class Together:
    """Networks of all edge servers and an orchestrator, whose letters travel in this process."""

    observes: Literal["network"] = "network"

    def __init__(self, team: QTeam, spec: str, graph_at: Callable[[int], Graph], lost: LostIn | None = None) -> None:
        """Let a team decide; ``graph_at`` says who is linked in a slot, ``lost`` which letters do not come."""
        made = None if spec == EXACT else recipe(ALIASES.get(spec, spec))
        self.team = team
        self.rounds = 0 if made is None else made.rounds
        self.course: Course | None = None
        """What came of the rounds of the last decision; None where nobody writes letters."""
        self._exact = team.decider(EXACT)
        self._negotiate = None if made is None else team.negotiator(made)
        self._graph_at = graph_at
        self._lost = lost

    def decide(self, observation: RentalObservation) -> Ints:
        """Units that each rents, shape (edge,)."""
        lost = nothing_lost if self._lost is None else self._lost(observation.slot)
        seen, graph = observation.values[None], self._graph_at(observation.slot)
        if self._negotiate is None:
            return self._exact(seen, lost, graph)[0]
        self.course = self._negotiate(seen, lost, graph)
        return self.course.last[0]

    def after_slot(self, observation: RentalObservation, outcome: RentalOutcome) -> None:
        """Learns nothing."""


def valued(setting: RentalSetting, argument: str) -> Callable[[Floats], tuple[LocalTable, Slopes]]:
    """What an orchestrator on the bus takes: observations (state, field) to an edge server's table and slopes.

    Args:
        setting: The world, and the edge server.
        argument: A folder; nothing for the networks that come with edgerig.
    Raises: AgentError: there are none, or for another world only.
    """
    network = QNetwork(folder_for(setting, argument, "q"), own_edge(setting))
    actions = setting.plan.rental.units + 1
    return lambda observations: network.valued(observations, actions)


def folder_for(setting: RentalSetting, argument: str, kind: Kind) -> Path:
    """The folder that is asked for, or the one that comes with edgerig: of the scenario's name, else any that fits.

    Raises: AgentError: there is none, or it is for another world.
    """
    graph, actions = setting.plan.graph, setting.plan.rental.units + 1
    if argument:
        folder = Path(argument)
        check_world(folder, read_manifest(folder, kind), graph, actions)
        return folder
    refused = []
    folders = sorted(path.parent for path in SHIPPED.glob(f"*/{FOLDERS[kind]}/manifest.toml"))
    for folder in sorted(folders, key=lambda folder: folder.parent.name != setting.scenario):
        try:
            check_world(folder, read_manifest(folder, kind), graph, actions)
        except AgentError:
            refused.append(folder.parent.name)
        else:
            return folder
    raise AgentError(
        f"no shipped rental networks fit this world (there are some for {', '.join(refused) or 'none'}); "
        "train and export some, then name their folder: NAME:DIR"
    )


def networks_behind(spec: str, setting: RentalSetting) -> QTeam | None:
    """The local Q-networks that agents of a spec decide by; None where there are none.

    Raises: AgentError: they are not there, or for another world only.
    """
    name, _, argument = spec.partition(":")
    if name not in (*TEAMS, EXACT, ALONE):
        return None
    return QTeam(folder_for(setting, argument, "q"), setting.plan.graph, setting.plan.rental.units + 1)


def talks(spec: str) -> bool:
    """Whether agents of that spec write to each other on the bus."""
    return spec.partition(":")[0] in TEAMS


def negotiator(spec: str, setting: RentalSetting) -> Orchestrated:
    """What an agent on the bus decides by that writes to its neighbours.

    Raises: AgentError: its networks are not there, or for another world only.
    """
    name, _, argument = spec.partition(":")
    plan = setting.plan
    made = recipe(ALIASES.get(name, name))
    own = own_edge(setting), made, plan.rental.units + 1, valued(setting, argument)
    return Orchestrated(plan.graph, *own, plan.graph_at)


def own_edge(setting: RentalSetting) -> int:
    """The edge server that a local policy decides for.

    Raises: AgentError: none was given.
    """
    if setting.edge is None:
        raise AgentError("a local network decides for one edge server and was given none")
    return setting.edge


@register(ALONE, "local")
def _madql(setting: RentalSetting, argument: str) -> RentalPolicy:
    """The own entry of the best row of the own table."""
    plan, edge, actions = setting.plan, own_edge(setting), setting.plan.rental.units + 1
    network = QNetwork(folder_for(setting, argument, "q"), edge)
    neighbours = plan.graph.neighbours[edge]

    def rented(values: Floats, slot: int) -> int:
        table = network.table(values)
        if not plan.away(slot):
            return int(np.argmax(table[0])) // actions ** len(neighbours)
        away = lacking(neighbours, plan.graph_at(slot).neighbours[edge])
        return int(LocalTable(table, actions).without(away).best()[0, 0])

    return Alone(rented)


@register("onnx", "local")
@register("actor", "local")
def _actor(setting: RentalSetting, argument: str) -> RentalPolicy:
    """A distilled actor."""
    network = ActorNetwork(folder_for(setting, argument, "actor"), own_edge(setting))
    return Alone(lambda values, _slot: int(network.rented(values)[0]))


def _register_teams() -> None:
    for name in (*TEAMS, EXACT):

        @register(name, "network")
        def _team(setting: RentalSetting, argument: str, name: str = name) -> RentalPolicy:
            team = networks_behind(f"{name}:{argument}", setting)
            if team is None:
                raise AgentError(f"agent {name}: decides by no network")
            return Together(team, name, setting.plan.graph_at, setting.lost)


_register_teams()
