"""What the hub shows of programs that decide or stand by. Agents of ours show themselves (``emulator.introduced``)."""

from __future__ import annotations

from bus.measure import Measurements
from bus.standbys import Standbys
from emulator.nodes.members import Members

Shown = tuple[str, str, str, str]  # edge, agent, version, role


class Deciders:
    """``agent_info`` of programs, as of the moment when somebody looks."""

    def __init__(self, measurements: Measurements, members: Members, standbys: Standbys) -> None:
        """Show them.

        Args:
            measurements: The hub's.
            members: Who decides.
            standbys: Who could, and what each is called.
        """
        self._measurements = measurements
        self._members = members
        self._standbys = standbys
        self._shown: set[Shown] = set()
        measurements.before_snapshot(self._show)

    def _show(self) -> None:
        now = {(str(found.edge), found.name, found.version, "standby") for found in self._standbys.all()}
        for name, (instance, _process) in list(self._members.by_name.items()):
            role, _, index = name.lstrip("/").partition("/")
            if role == "agent":
                now.add((index, *self._standbys.describe(instance), "active"))
        now = {shown for shown in now if shown[1]}
        for shown in self._shown | now:
            edge, agent, version, role = shown
            value = 1.0 if shown in now else float("nan")
            self._measurements.gauge("agent_info", edge=edge, agent=agent, version=version, role=role).value = value
        self._shown |= now
