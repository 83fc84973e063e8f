"""Who takes part in the slots of a run, and what follows from that once for each roster."""

from __future__ import annotations

from bus.link_table import role_of
from bus.messages import LinkRule, Member, Peer, Roster
from emulator.nodes.bindings import Bindings
from emulator.nodes.roles import ACTING, IN_ROSTERS


class Members:
    """Nodes that take part, by name; whoever changes them publishes a roster."""

    def __init__(self) -> None:
        self.by_name: dict[str, tuple[int, str]] = {}
        """Node to instance and process."""
        self.bindings = Bindings()
        self.stale = False
        """Whether a roster is due."""
        self.names: frozenset[str] = frozenset()
        self.owners: frozenset[tuple[int, str]] = frozenset()
        self.acting: frozenset[str] = frozenset()
        """Processes that must acknowledge a slot."""
        self._roster = 0

    def admit(self, peer: Peer) -> None:
        """Let a process take part from the coming slot on."""
        for record in peer.nodes:
            role, _, index = record.name.lstrip("/").partition("/")
            if role not in IN_ROSTERS:
                continue
            self.by_name[record.name] = (peer.instance, peer.process)
            if role == "agent":
                self.bindings.bind(int(index), peer.instance)
        self._changed()

    def lose(self, peer: Peer) -> list[str]:
        """A process is no more; returns those of its nodes that took part."""
        lost = [node.name for node in peer.nodes if self.by_name.get(node.name, (0, ""))[0] == peer.instance]
        for name in lost:
            del self.by_name[name]
        if lost:
            self._changed()
        return lost

    def bind(self, edge: int, instance: int, process: str, held: int) -> int:
        """Let an instance decide for an edge server while another (0: nobody) stands by; returns the epoch."""
        self.by_name[f"/agent/{edge}"] = (instance, process)
        self.bindings.hold(edge, held)
        self._changed()
        return self.bindings.bind(edge, instance)

    def hold(self, edge: int, held: int) -> None:
        """Let an instance stand by for an edge server; 0: nobody."""
        self.bindings.hold(edge, held)
        self.stale = True

    def shadow(self, edge: int, instance: int) -> None:
        """Let an instance be asked beside the one that is bound."""
        self.bindings.shadow(edge, instance)
        self.stale = True

    def unshadow(self, edge: int, instance: int) -> None:
        """Ask it no longer."""
        self.stale = self.bindings.unshadow(edge, instance) or self.stale

    def bound(self, edge: int) -> int:
        """Who decides for an edge server; 0: nobody."""
        return self.by_name.get(f"/agent/{edge}", (0, ""))[0]

    def instances(self) -> set[int]:
        """Of all processes that take part."""
        return {instance for instance, _ in self.by_name.values()}

    def processes(self) -> set[str]:
        """Names of all processes that take part."""
        return {process for _, process in self.by_name.values()}

    def roster(self, links: tuple[LinkRule, ...]) -> Roster:
        """The next roster."""
        self._roster += 1
        self.stale = False
        members = tuple(Member(name, instance) for name, (instance, _) in sorted(self.by_name.items()))
        return Roster(self._roster, members, self.bindings.among(self.by_name), links)

    @property
    def roster_number(self) -> int:
        """Of the last roster."""
        return self._roster

    def _changed(self) -> None:
        self.stale = True
        self.names = frozenset(self.by_name)
        self.owners = frozenset(self.by_name.values())
        self.acting = frozenset(process for name, (_, process) in self.by_name.items() if role_of(name) in ACTING)
