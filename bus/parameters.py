"""Settings of a node that can be read and changed while it runs: typed, bounded, several at once or none.

Each node serves ``param_list`` and ``param_set``; each call that changes something is one event on
``/parameter_events``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from bus.errors import BusError
from bus.messages import ParameterEvent, ParameterQuery, ParameterRecord, Parameters, SetParameters, Value

if TYPE_CHECKING:
    from bus.node import Node

EVENTS: Final = "/parameter_events"
_WORDS: Final = {bool: "bool", int: "int", float: "float", str: "str"}


class ParameterRefused(BusError, ValueError):
    """A parameter cannot have a value; nothing was changed."""

    def __init__(self, node: str, name: str, reason: str) -> None:
        super().__init__(f"{node} {name}: {reason}; nothing was changed")
        self.node = node
        self.name = name
        self.reason = reason


class Parameter:
    """One setting; read ``value`` where it is used. Made by ``Node.parameter``."""

    __slots__ = ("choices", "default", "description", "maximum", "minimum", "name", "on_change", "read_only", "value")

    def __init__(
        self,
        name: str,
        default: Value,
        minimum: float | None,
        maximum: float | None,
        choices: tuple[Value, ...],
        description: str,
        on_change: Callable[[Any], None] | None,
        read_only: str,
    ) -> None:
        self.name = name
        self.default = self.value = default
        self.minimum = minimum
        self.maximum = maximum
        self.choices = choices
        self.description = description
        self.on_change = on_change
        self.read_only = read_only

    def checked(self, value: Any) -> Value:
        """The value as this parameter's type.

        Raises: ValueError: it is of another type, out of bounds, or none of the choices; says which.
        """
        kind = type(self.default)
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            raise ValueError(f"is a {_WORDS[kind]}, not {value!r}")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"must be finite, not {value}")
        if self.choices and value not in self.choices:
            raise ValueError(f"is one of {', '.join(map(str, self.choices))}, not {value}")
        if isinstance(value, int | float):
            if self.minimum is not None and value < self.minimum:
                raise ValueError(f"must be at least {self.minimum:g}, not {value}")
            if self.maximum is not None and value > self.maximum:
                raise ValueError(f"must be at most {self.maximum:g}, not {value}")
        found: Value = value
        return found

    def record(self) -> ParameterRecord:
        """For those who ask."""
        return ParameterRecord(
            self.name,
            _WORDS[type(self.default)],
            self.value,
            self.default,
            self.minimum,
            self.maximum,
            self.choices,
            self.description,
            self.read_only,
        )


class ParameterSet:
    """The parameters of one node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._parameters: dict[str, Parameter] = {}
        self._rules: list[Callable[[Mapping[str, Any]], None]] = []

    def declare(self, parameter: Parameter) -> Parameter:
        """See ``Node.parameter``."""
        if parameter.name in self._parameters:
            raise ValueError(f"{self._node.name} has a parameter {parameter.name} already")
        if type(parameter.default) not in _WORDS:
            raise ValueError(f"{self._node.name} {parameter.name}: must be bool, int, float or str")
        parameter.value = parameter.default = parameter.checked(parameter.default)
        if not self._parameters:
            self._node.serve("param_list", ParameterQuery, lambda query: self.listed(query.names), Parameters)
            self._open()
            self._node.serve("param_set", SetParameters, lambda request: self.set(request.values), Parameters)
        self._parameters[parameter.name] = parameter
        return parameter

    def require(self, rule: Callable[[Mapping[str, Any]], None]) -> None:
        """Check values together: a rule gets all as they would be, and refuses them with a ValueError."""
        self._rules.append(rule)

    def listed(self, names: tuple[str, ...] = ()) -> Parameters:
        """Those of that name, or all.

        Raises: ParameterRefused: there is none of that name.
        """
        return Parameters(self._node.name, tuple(p.record() for p in self._found(names or tuple(self._parameters))))

    def set(self, values: Mapping[str, Value]) -> Parameters:
        """Change several at once, or none; returns those that were given.

        Raises: ParameterRefused: one of them cannot have that value, or whoever uses it does not take it.
        """
        found = self._found(tuple(values))
        wanted: list[tuple[Parameter, Value]] = []
        for parameter in found:
            try:
                value = parameter.checked(values[parameter.name])
            except ValueError as error:
                raise ParameterRefused(self._node.name, parameter.name, str(error)) from None
            if parameter.read_only and value != parameter.value:
                raise ParameterRefused(self._node.name, parameter.name, f"cannot be set: {parameter.read_only}")
            if value != parameter.value:
                wanted.append((parameter, value))
        if wanted:
            self._hold_to_rules(wanted)
        self._apply(wanted)
        if wanted:
            self._tell({parameter.name: value for parameter, value in wanted})
        return Parameters(self._node.name, tuple(parameter.record() for parameter in found))

    def _found(self, names: tuple[str, ...]) -> list[Parameter]:
        for name in names:
            if name not in self._parameters:
                known = ", ".join(self._parameters)
                raise ParameterRefused(self._node.name, name, f"there is no such parameter (there are {known})")
        return [self._parameters[name] for name in names]

    def _hold_to_rules(self, wanted: list[tuple[Parameter, Value]]) -> None:
        values = {p.name: p.value for p in self._parameters.values()} | {p.name: value for p, value in wanted}
        for rule in self._rules:
            try:
                rule(values)
            except ValueError as error:
                raise ParameterRefused(self._node.name, ", ".join(p.name for p, _ in wanted), str(error)) from None

    def _apply(self, wanted: list[tuple[Parameter, Value]]) -> None:
        """Set them and tell who uses them; if one of these objects, all go back."""
        done: list[tuple[Parameter, Value]] = []
        for parameter, value in wanted:
            done.append((parameter, parameter.value))
            parameter.value = value
            try:
                if parameter.on_change is not None:
                    parameter.on_change(value)
            except (BusError, ValueError, LookupError, OSError) as error:
                for undone, before in reversed(done):
                    undone.value = before
                    if undone is not parameter and undone.on_change is not None:
                        undone.on_change(before)
                raise ParameterRefused(self._node.name, parameter.name, str(error)) from None

    def _open(self) -> None:
        # One publisher for all nodes of a process: the event says which node it is about.
        if EVENTS not in self._node.process.publishers:
            self._node.publisher(EVENTS)

    def _tell(self, values: dict[str, Value]) -> None:
        self._node.process.publishers[EVENTS].publish(ParameterEvent(self._node.name, values), slot=0)
