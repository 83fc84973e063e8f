"""How far a run is, as the launcher and tools are told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bus.messages import RunStatus
from bus.registry import Registry
from emulator.nodes.books import Ledger
from emulator.scenario import Scenario


def run_status(
    phase: str,
    slot: int,
    scenario: Scenario,
    ledger: Ledger,
    registry: Registry,
    members: Iterable[str],
    notes: Sequence[str],
) -> RunStatus:
    """How far a run is; slot is -1 before the first."""
    standing = ledger.standing()
    beats = (registry.last_beat(peer.instance) for peer in registry.peers())
    sent = sum(beat.messages for beat in beats if beat is not None)
    return RunStatus(
        phase,
        slot,
        scenario.slots,
        max(slot, 0) // scenario.slots_per_frame,
        *standing,
        sent,
        ledger.late,
        ledger.refused,
        tuple(sorted(members)),
        tuple(notes),
    )
