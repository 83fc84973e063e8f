"""Links that are set, cut and healed by hand in a running system: from the next slot on, put down in links.csv."""

from __future__ import annotations

from collections.abc import Callable

from bus.link_table import LinkTable
from bus.messages import LinkChange, LinkChanged, LinkRule, LinkShape
from bus.registry import Registry
from emulator.folder import Writer
from emulator.linking import NodeNames, hand_problems
from emulator.nodes.events import Events
from emulator.scenario import Scenario

MOST_RULES = 64
"""Each roster carries them all."""

TABLE = "links.csv"
FIELDS = ("slot", "action", "from", "to", *LinkShape.__struct_fields__)


class HandLinks:
    """The rules made by hand; ``take_effect`` at each slot's first attempt."""

    def __init__(
        self,
        registry: Registry,
        scenario: Scenario,
        writer: Writer,
        next_slot: Callable[[], int],
        note: Events,
    ) -> None:
        self.rules: tuple[LinkRule, ...] = ()
        self._scenario = scenario
        self._names = NodeNames(scenario)
        self._writer = writer
        self._next_slot = next_slot
        self._note = note
        self._coming: list[LinkRule] = []
        registry.serve("link_change", LinkChange, self._on_change, LinkChanged)

    def begin_again(self) -> None:
        """The scenario starts again, and with it its links as it has them."""
        self.rules, self._coming = (), []

    def take_effect(self, slot: int) -> bool:
        """What was asked for since the last slot holds from this one on; returns whether anything was."""
        if not self._coming:
            return False
        for rule in self._coming:
            kept = [known for known in self.rules if not _replaces(rule, known)]
            self.rules = (*kept, rule)
            text = f"link {rule.action} {rule.source} > {rule.target} from slot {slot} on: {shown(rule.shape)}"
            self._note.tell("link", text, [rule.source, rule.target], slot, action=rule.action)
            values = [getattr(rule.shape, name) for name in LinkShape.__struct_fields__]
            cells = [" ".join(map(str, value)) if isinstance(value, tuple) else value for value in values]
            self._writer.row(TABLE, FIELDS, [slot, rule.action, rule.source, rule.target, *cells])
        self._coming = []
        return True

    def _on_change(self, change: LinkChange) -> LinkChanged:
        """A tool asks; what is wrong with it travels back."""
        for rule in change.rules:
            problems = hand_problems(rule, self._scenario, self._names)
            if problems:
                raise ValueError("; ".join(problems))
        if len(self.rules) + len(self._coming) + len(change.rules) > MOST_RULES:
            raise ValueError(f"links: more than {MOST_RULES} rules made by hand; heal or set what is there by its name")
        self._coming += change.rules
        return LinkChanged(self._next_slot(), sum(self._touched(rule) for rule in change.rules))

    def _touched(self, rule: LinkRule) -> int:
        """How many directed links a rule means."""
        table = LinkTable((), self._scenario.tags)
        sources, targets = (
            {node for node in self._names.all() if table.matches(wanted, node)} for wanted in (rule.source, rule.target)
        )
        return len(sources) * len(targets) - len(sources & targets)


def _replaces(rule: LinkRule, known: LinkRule) -> bool:
    """Whether a rule leaves nothing of an earlier one."""
    same = (rule.source, rule.target) == (known.source, known.target)
    return same and (rule.action == "set") == (known.action == "set")


def shown(shape: LinkShape) -> str:
    """A shape in words, what it does not do left out."""
    plain = LinkShape()
    words = []
    for name in LinkShape.__struct_fields__:
        value = getattr(shape, name)
        if value != getattr(plain, name):
            words.append(f"{name} of {len(value)}" if name == "trace_s" else f"{name} {value}")
    return ", ".join(words) or "no effect"
