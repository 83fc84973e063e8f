"""HTML and SVG put together so that no text can become markup: whatever is not ``Markup`` is escaped."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import Final

VOID: Final = frozenset({"meta", "br", "hr", "line", "path", "rect", "circle", "polyline", "polygon"})
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff\ud800-\udfff]")
"""Characters that no document may hold."""


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


Child = str | Markup | None | Iterable["Child"]


def escaped(text: object) -> Markup:
    """Any text, harmless as content and as a value of an attribute."""
    return Markup(html.escape(_CONTROL.sub("\ufffd", str(text)), quote=True))


def joined(children: Iterable[Child]) -> Markup:
    """Children one after the other."""
    return Markup("".join(map(_shown, children)))


def _shown(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, str):
        return child if isinstance(child, Markup) else escaped(child)
    return joined(child)


def tag(name: str, /, *children: Child, **attributes: object) -> Markup:
    """An element. ``class_`` is class, other underscores are hyphens; None leaves an attribute out."""
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escaped(_value(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in VOID and not children:
        return Markup(f"<{name}{said}{'/' if name not in ('meta', 'br', 'hr') else ''}>")
    return Markup(f"<{name}{said}>{joined(children)}</{name}>")


def _value(value: object) -> object:
    """Coordinates with one digit after the point, which is less than a pixel."""
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else value
