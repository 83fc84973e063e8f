"""THE topic table: every topic of the bus, what travels on it, and how.

In a pattern ``{m}`` and ``{n}`` are indices, ``{origin}`` is edge or cell, ``{to}`` an index or ``cloud``, ``{name}`` a
process name. A topic that fits no row cannot be published or subscribed. Whoever writes nodes of their own declares
their topics after these, ``TABLE.extended([TopicSpec("chatter", Word)])``: a relative pattern fits in any namespace, a
private one (``~/state``) below any node.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from bus import messages, swap_messages
from bus.errors import UnknownTopic
from bus.messages import Message
from bus.names import resolve
from bus.qos import LATCHED, PAIRWISE, RELIABLE, ROUNDS, STREAM, Qos
from bus.tally import Kind

DEPLOYMENT, SCHEDULING, EXECUTION, SETTLEMENT = "deployment", "scheduling", "execution", "settlement"
RENTAL, ORCHESTRATION, LEARNING = "rental", "orchestration", "learning"
CLOCK, MEMBERSHIP, OTHER = "clock", "membership", "other"
_DECIDING: Final = (DEPLOYMENT, SCHEDULING, RENTAL, ORCHESTRATION, EXECUTION, SETTLEMENT, LEARNING)
PHASES: Final = (*_DECIDING, CLOCK, MEMBERSHIP, OTHER)
"""Steps of the algorithms, to which every byte of a run is put down; a new kind of decision adds its own."""

_PLACEHOLDERS: Final = {"origin": "(?:edge|cell)", "to": "(?:[0-9]+|cloud)", "name": "[A-Za-z0-9_.-]+"}
_PLACEHOLDER: Final = re.compile(r"\{[a-z]+\}")


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """One row: plane "control" is never shaped by emulated links; digest marks what the run's digest covers.

    phase: The step of the algorithms that the topic's messages belong to, one of ``PHASES``.
    """

    pattern: str
    message: type[Message]
    qos: Qos = RELIABLE
    plane: Literal["control", "data"] = "data"
    recorded: bool = True
    digest: bool = False
    phase: str = OTHER

    @property
    def kind(self) -> Kind:
        """What the topic's first copies are for; see bus.tally."""
        if self.phase == CLOCK:
            return "clock"
        return "control" if self.plane == "control" else "data"


class TopicTable:
    """Rows, and the way from a concrete topic to its row."""

    def __init__(self, rows: Iterable[TopicSpec]) -> None:
        self.rows = tuple(rows)
        self._expressions = [(re.compile(_expression(row.pattern)), row) for row in self.rows]
        self._known: dict[str, TopicSpec] = {}

    def match(self, topic: str) -> TopicSpec:
        """The row of a concrete topic.

        Raises: UnknownTopic: no row fits; it carries the nearest topic that would.
        """
        spec = self._known.get(topic)
        if spec is None:
            spec = self._find(topic)
            if spec is None:
                raise UnknownTopic(topic, self._nearest(topic))
            self._known[topic] = spec
        return spec

    def _find(self, topic: str) -> TopicSpec | None:
        return next((row for expression, row in self._expressions if expression.fullmatch(topic)), None)

    def has(self, topic: str) -> bool:
        """Whether a row fits."""
        return topic in self._known or self._find(topic) is not None

    def extended(self, rows: Iterable[TopicSpec]) -> TopicTable:
        """A table with rows of one's own after these.

        Raises: ValueError: a pattern is no name or is declared already, or what it carries is no message.
        """
        table = TopicTable(self.rows)
        for row in rows:
            # A placeholder is a part of a name like any other, so what is left of the pattern must be a name.
            sample = resolve(_PLACEHOLDER.sub("0", row.pattern.replace("{origin}", "edge")), "/", "/node")
            known = table._find(sample)
            if known is not None:
                raise ValueError(f"{row.pattern}: {known.pattern} is in the topic table already; choose another name")
            if not (isinstance(row.message, type) and issubclass(row.message, Message)):
                raise ValueError(f"{row.pattern} must carry a class derived from bus.messages.Message")
            table = TopicTable((*table.rows, row))
        return table

    def _nearest(self, topic: str) -> str:
        # Compare shapes, so that "/edge/12/outcom" finds "/edge/{m}/outcome" and not whatever has a 12 in it.
        shape = re.sub("[0-9]+", "0", topic)
        shapes: dict[str, str] = {}
        for row in self.rows:
            for origin in ("edge", "cell"):
                pattern = row.pattern.replace("{origin}", origin)
                shapes[re.sub(r"\{[a-z]+\}", "0", pattern)] = pattern
        near = difflib.get_close_matches(shape, shapes, n=1)
        return shapes[near[0]] if near else ""


def _expression(pattern: str) -> str:
    if not pattern.startswith("/"):
        return "(?:/[A-Za-z0-9_.-]+)*/" + _expression(f"/{pattern.removeprefix('~/')}")[1:]
    parts = re.split(r"\{([a-z]+)\}", pattern)
    return "".join(_PLACEHOLDERS.get(part, "[0-9]+") if i % 2 else re.escape(part) for i, part in enumerate(parts))


TABLE: Final = TopicTable(
    [
        # the offloading world
        TopicSpec("/cell/{m}/arrivals", messages.Arrivals, LATCHED, digest=True, phase=SCHEDULING),
        TopicSpec("/edge/{m}/frame_observation", messages.FrameObservation, phase=DEPLOYMENT),
        TopicSpec("/agent/{m}/deployment", messages.Deployment, phase=DEPLOYMENT),
        TopicSpec("/edge/{m}/deployment_in_force", messages.DeploymentInForce, LATCHED, digest=True, phase=DEPLOYMENT),
        TopicSpec("/scheduler/schedule", messages.Schedule, digest=True, phase=SCHEDULING),
        TopicSpec("/{origin}/{m}/offload/{to}", messages.Offload, PAIRWISE, phase=EXECUTION),
        TopicSpec("/edge/{n}/completed/{m}", messages.Completed, PAIRWISE, phase=EXECUTION),
        TopicSpec("/cloud/completed/{m}", messages.Completed, PAIRWISE, phase=EXECUTION),
        TopicSpec("/cloud/completed/cell/{m}", messages.Completed, PAIRWISE, phase=EXECUTION),
        TopicSpec("/{origin}/{m}/outcome", messages.Outcome, digest=True, phase=SETTLEMENT),
        TopicSpec("/ledger/frame_reward", messages.FrameReward, LATCHED, digest=True, phase=SETTLEMENT),
        # told to agents that want it for learning; nothing is sent to others
        TopicSpec("/ledger/marginal_gains/{m}", messages.MarginalGains, phase=LEARNING),
        # the rental world
        TopicSpec("/cell/{m}/presence", messages.Presence, phase=RENTAL),
        TopicSpec("/edge/{m}/observation", messages.Observation, digest=True, phase=RENTAL),
        TopicSpec("/agent/{m}/rental", messages.Rental, phase=RENTAL),
        TopicSpec("/agent/{m}/orchestration/{n}", messages.Orchestration, ROUNDS, phase=ORCHESTRATION),
        TopicSpec("/edge/{m}/rental_in_force", messages.RentalInForce, digest=True, phase=RENTAL),
        TopicSpec("/cell/{m}/requests/{n}", messages.Requests, PAIRWISE, phase=EXECUTION),
        TopicSpec("/cell/{m}/asked", messages.Asked, digest=True, phase=SETTLEMENT),
        TopicSpec("/edge/{m}/rental_outcome", messages.RentalOutcome, digest=True, phase=SETTLEMENT),
        # control
        TopicSpec("/hub/frame", messages.Tick, plane="control", phase=CLOCK),
        TopicSpec("/hub/tick", messages.Tick, plane="control", phase=CLOCK),
        TopicSpec("/hub/roster", messages.Roster, LATCHED, plane="control", phase=CLOCK),
        TopicSpec("/hub/graph", messages.Graph, LATCHED, plane="control", phase=MEMBERSHIP),
        TopicSpec("/hub/swap/{m}", swap_messages.Swapped, LATCHED, digest=True, phase=MEMBERSHIP),
        TopicSpec("/hub/shutdown", messages.Shutdown, plane="control", phase=MEMBERSHIP),
        TopicSpec("/process/{name}/done", messages.Done, plane="control", phase=CLOCK),
        # what every process says of itself
        TopicSpec("/log", messages.LogEntry, STREAM, plane="control", recorded=False),
        TopicSpec("/parameter_events", messages.ParameterEvent, plane="control", recorded=False),
    ]
)


def match(topic: str) -> TopicSpec:
    """The row of a concrete topic in the shipped table.

    Raises: UnknownTopic: no row fits.
    """
    return TABLE.match(topic)
