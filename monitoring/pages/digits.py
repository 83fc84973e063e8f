"""Numbers as people read them, and axes with round ticks."""

from __future__ import annotations

import math
from typing import Final

MINUS: Final = "\u2212"
NOTHING: Final = "\u2013"
THIN: Final = "\u202f"


def shown(value: float | None, digits: int = 3, *, sign: bool = False) -> str:
    """A number with so many digits that count; a dash for none."""
    if value is None or math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "\u221e" if value > 0 else f"{MINUS}\u221e"
    if value == 0.0:
        return "0"
    size = math.floor(math.log10(abs(value))) if value else 0
    places = max(0, digits - 1 - size)
    text = f"{abs(value):,.{min(places, 9)}f}" if size >= -6 else f"{abs(value):.{digits - 1}e}"
    return f"{MINUS if value < 0 else '+' if sign else ''}{text}"


def whole(value: float | None) -> str:
    """A count."""
    return NOTHING if value is None else f"{value:,.0f}"


def percent(share: float | None, digits: int = 3, *, sign: bool = False) -> str:
    """A share of one as percents."""
    if share is None:
        return NOTHING
    places = max(0, digits - 2) if abs(share) < 1.0 else 0
    value = round(100.0 * share, places) + 0.0
    mark = MINUS if value < 0 else "+" if sign and value else ""
    return f"{mark}{abs(value):,.{places}f}{THIN}%"


def size(count: float | None) -> tuple[str, str]:
    """Bytes: number and unit."""
    if count is None:
        return NOTHING, ""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(count) >= scale:
            return shown(count / scale), unit
    return whole(count), "B"


def duration(seconds: float | None) -> tuple[str, str]:
    """Seconds: number and unit."""
    if seconds is None:
        return NOTHING, ""
    if seconds and abs(seconds) < 1e-3:
        return shown(seconds * 1e6), "\u00b5s"
    if seconds and abs(seconds) < 1.0:
        return shown(seconds * 1e3), "ms"
    return shown(seconds), "s"


def with_unit(pair: tuple[str, str]) -> str:
    """Number and unit as one text."""
    return THIN.join(part for part in pair if part)


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers from below ``low`` to above ``high`` that divide an axis."""
    if not high > low:
        high = low + (abs(low) or 1.0)
    step = _round_step((high - low) / max(most - 1, 1))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [k * step for k in range(first, last + 1)]


def _round_step(step: float) -> float:
    size = 10.0 ** math.floor(math.log10(step))
    return next(factor * size for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if factor * size >= step * (1.0 - 1e-9))


def tick_text(values: list[float]) -> list[str]:
    """Ticks with as many places as their step needs."""
    step = values[1] - values[0] if len(values) > 1 else 1.0
    places = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 0
    places += round(step * 10**places, 6) % 1 != 0
    return [f"{MINUS if value < -1e-12 else ''}{abs(value):,.{places}f}" for value in values]
