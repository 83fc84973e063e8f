"""What a person sees while a run goes on: a live table on a terminal, plain lines otherwise."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any, Self

from bus.messages import RunStatus

LINE_EVERY_S = 2.0
RATE_MEMORY = 0.7


def tell(text: str) -> None:
    """One line on stderr."""
    print(text, file=sys.stderr, flush=True)


class Progress:
    """Shows statuses on stderr; use as a context."""

    def __init__(self, title: str, *, quiet: bool = False, unit: str = " s") -> None:
        """Unit: of the reward, with a space before it."""
        self._title = title
        self._unit = unit
        self._quiet = quiet
        self._live: Any = None
        self._line_s = self._seen_s = time.monotonic()
        self._first_slot_s: float | None = None
        self._slot_then = self._messages_then = 0
        self._rate = self._messages_rate = 0.0

    def __enter__(self) -> Self:
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(stderr=True), refresh_per_second=8, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _value: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, status: RunStatus) -> None:
        """Show how far the run is."""
        now_s = time.monotonic()
        self._measure(status, now_s)
        if self._live is not None:
            self._live.update(self._table(status))
        elif not self._quiet and now_s - self._line_s >= LINE_EVERY_S:
            self._line_s = now_s
            print(self._line(status), file=sys.stderr, flush=True)

    def _measure(self, status: RunStatus, now_s: float) -> None:
        """Take the rates at a slot that is new; between slots nothing is learned of them, however slow a slot is."""
        passed_s = now_s - self._seen_s
        new = self._first_slot_s is None or status.slot != self._slot_then
        if status.slot < 0 or passed_s < 0.05 or not new:
            return
        if self._first_slot_s is None:
            self._first_slot_s = now_s
        else:
            keep = RATE_MEMORY if self._rate else 0.0
            self._rate = keep * self._rate + (1.0 - keep) * (status.slot - self._slot_then) / passed_s
            sent = max(0, status.messages - self._messages_then) / passed_s
            self._messages_rate = keep * self._messages_rate + (1.0 - keep) * sent
        self._seen_s, self._slot_then, self._messages_then = now_s, status.slot, status.messages

    def _eta(self, status: RunStatus) -> str:
        left = status.slots - status.slot - 1
        if self._rate <= 0.0:
            return "?"
        waited_s = time.monotonic() - self._seen_s
        return f"{max(left / self._rate - waited_s, 0.0):.0f} s"

    def _line(self, status: RunStatus) -> str:
        if status.slot < 0:
            waiting = "; ".join(status.notes[:2]) or "processes start"
            return f"{self._title}: starting: {waiting}"
        return (
            f"{self._title}: slot {status.slot + 1}/{status.slots}  delay {status.delay_s:.2f} s "
            f"(all-cloud {status.all_cloud_delay_s:.2f} s)  reward {status.reward_s:.0f}{self._unit}  "
            f"ETA {self._eta(status)}"
        )

    def _table(self, status: RunStatus) -> Any:
        from rich.table import Table

        table = Table.grid(padding=(0, 2))
        table.add_column(justify="right", style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        table.add_row("", f"[bold]{self._title}[/bold]  {status.phase}")
        if status.slot < 0:
            table.add_row("waiting for", "\n".join(status.notes[:5]) or "processes to start")
            return table
        done = (status.slot + 1) / max(status.slots, 1)
        bar = "█" * int(24 * done) + "░" * (24 - int(24 * done))
        total = max(sum(status.tasks.values()), 1e-300)
        parts = "  ".join(f"{name} {100 * count / total:.0f} %" for name, count in status.tasks.items())
        table.add_row("slot", f"{bar} {status.slot + 1}/{status.slots} (frame {status.frame})")
        table.add_row("delay", f"[bold]{status.delay_s:.3f} s[/bold]  all-cloud {status.all_cloud_delay_s:.3f} s")
        table.add_row("reward", f"{status.reward_s:.1f}{self._unit}")
        table.add_row("tasks", parts)
        table.add_row("rate", f"{self._rate:.0f} slots/s  {self._messages_rate:.0f} messages/s")
        table.add_row("ETA", self._eta(status))
        for note in status.notes[-3:]:
            table.add_row("note", f"[yellow]{note}[/yellow]")
        return table
