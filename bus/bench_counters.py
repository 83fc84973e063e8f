"""What counting costs a message: the hot path as it is, and with its counting statements cut out of the source.

Both run in one thread, in turns, as a pair of processes on real sockets; the time is that thread's CPU time.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType, ModuleType
from typing import Any, Final

import zmq

from bus import live, publisher
from bus.bench_rates import Figures, quantile
from bus.bench_sample import STALL_S, TABLE, TOPIC, nap, sample
from bus.codec import Header
from bus.process import Process

BLOCK: Final = 200
"""Messages between two looks at the clock."""
ARRIVAL_S: Final = 0.002
HOT: Final = ((publisher, "Publisher"), (live, "Live"))
COUNTED: Final = frozenset({"messages", "frame_bytes", "long_frames"})
"""Of a loop that counts in names of its own and adds them up at its end."""

Functions = dict[str, FunctionType]
_instances = itertools.count(1)


class _Cut(ast.NodeTransformer):
    """Takes ``self.NAME += ...`` and ``COUNTED += ...`` away, and what was there for it only."""

    def __init__(self) -> None:
        self.cuts = 0

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST | None:
        target = node.target
        own = isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self"
        if own or (isinstance(target, ast.Name) and target.id in COUNTED):
            self.cuts += 1
            return None
        return node

    def visit_Try(self, node: ast.Try) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        return node if node.handlers or node.finalbody else node.body

    def visit_If(self, node: ast.If) -> ast.AST | None:
        self.generic_visit(node)
        if node.body:
            return node
        return None if not node.orelse else ast.If(ast.UnaryOp(ast.Not(), node.test), node.orelse, [])

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        read = {name.id for name in ast.walk(node) if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Load)}
        node = _Unread(read).visit(node)
        node.body = node.body or [ast.Pass()]
        return node


class _Unread(ast.NodeTransformer):
    """Takes away what sets a name that nobody reads any more."""

    def __init__(self, read: set[str]) -> None:
        self._read = read

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        return None if _sets_only(node, self._read) else node


def _sets_only(statement: ast.Assign, read: set[str]) -> bool:
    """Whether a statement sets one plain name, from a length, that nobody reads any more."""
    if not isinstance(statement.value, ast.Call):
        return False
    target, called = statement.targets[0], statement.value.func
    is_length = isinstance(called, ast.Name) and called.id == "len"
    return is_length and isinstance(target, ast.Name) and target.id not in read


def uncounted(module: ModuleType, name: str) -> tuple[Functions, int]:
    """The functions of a class of the hot path without their counting, and how many statements that took away."""
    tree = ast.parse(inspect.getsource(module))
    cut = _Cut()
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            cut.visit(node)
    space = {"__name__": module.__name__}
    code = compile(ast.fix_missing_locations(tree), str(module.__file__), "exec")
    exec(code, space)  # noqa: S102 -- our own source, less the counting
    made = {
        key: FunctionType(value.__code__, vars(module), key, value.__defaults__, value.__closure__)
        for key, value in vars(space[name]).items()
        if isinstance(value, FunctionType) and not key.startswith("__")
    }
    for key, function in made.items():
        function.__kwdefaults__ = vars(space[name])[key].__kwdefaults__
    return made, cut.cuts


@contextmanager
def _counting(on: bool, cut: dict[type, Functions], whole: dict[type, Functions]) -> Iterator[None]:
    """Let the hot path count, or not, for as long as the block lasts."""
    for kind, functions in (whole if on else cut).items():
        for key, function in functions.items():
            setattr(kind, key, function)
    try:
        yield
    finally:
        for kind, functions in whole.items():
            for key, function in functions.items():
                setattr(kind, key, function)


class _Pair:
    """A process that publishes and one that subscribes, in this thread."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        options: dict[str, Any] = {"table": TABLE, "context": context}
        self.came = 0
        self.sender = Process("sender", instance=next(_instances), **options)
        self.receiver = Process("receiver", instance=next(_instances), **options)
        self.publisher = self.sender.publisher(TOPIC)
        self.subscription = self.receiver.subscribe(TOPIC, self._on_sample)
        self.receiver.connect(self.sender.instance, self.sender.endpoint)
        self._until(lambda: bool(self.publisher.matched) and bool(self.subscription.matched))

    def _on_sample(self, _message: Any, _header: Header) -> None:
        self.came += 1

    def _until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + 10.0
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError("the pair of the counters' bench does not match")
            self.sender.spin_once(0.0)
            self.receiver.spin_once(0.001)

    def block(self) -> float:
        """CPU seconds of publishing and receiving ``BLOCK`` messages."""
        publish, target = self.publisher.publish, self.came + BLOCK
        start = time.thread_time()
        for index in range(BLOCK):
            publish(sample(index), slot=0)
        sent = time.thread_time() - start
        nap(ARRIVAL_S)  # so that the receiver finds them all; libzmq does not tell how many have come
        give_up, start = time.monotonic() + STALL_S, time.thread_time()
        while self.came < target:
            if time.monotonic() > give_up:
                raise TimeoutError(f"{target - self.came} of {BLOCK} messages did not come within {STALL_S:g} s")
            self.receiver.spin_once(0.01)
        received = time.thread_time() - start
        self.sender.spin_once(0.0)
        return sent + received

    def counted(self) -> tuple[int, int]:
        """Bytes that the ends say they have sent and received."""
        return self.publisher.traffic.wire_bytes, self.subscription.wire_bytes

    def close(self) -> None:
        """Close both."""
        self.receiver.close()
        self.sender.close()


def measure(blocks: int, step: Callable[[str], None]) -> Figures:
    """Time the hot path with and without its counting, in turns.

    Returns: ``us_per_message`` (publish and receive, CPU), ``us_per_message_counters`` of it: median of the turns'
        differences, and their quartiles.
    Raises: RuntimeError: nothing was found to cut, or what was cut still counts.
    """
    kinds = {getattr(module, name): uncounted(module, name) for module, name in HOT}
    if not all(cuts for _, cuts in kinds.values()):
        raise RuntimeError("the hot path has no counting statements of the form self.NAME += ...")
    cut = {kind: functions for kind, (functions, _) in kinds.items()}
    whole = {kind: {key: vars(kind)[key] for key in functions} for kind, functions in cut.items()}
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    pairs: dict[bool, _Pair] = {}
    try:
        for on in (True, False):
            with _counting(on, cut, whole):
                pairs[on] = _Pair(context)
        with_us, difference_us = _turns(blocks, pairs, cut, whole)
        counted, silent = (pairs[on].counted() for on in (True, False))
        if any(less >= more for less, more in zip(silent, counted, strict=True)):
            raise RuntimeError("without its counting statements the hot path still counts")
    finally:
        for pair in pairs.values():
            pair.close()
        context.destroy(linger=0)
    step(f"counters: {statistics.median(difference_us):.2f} of {statistics.median(with_us):.2f} us a message")
    return {
        "us_per_message": statistics.median(with_us),
        "us_per_message_counters": statistics.median(difference_us),
        "us_per_message_counters_quartile_1": quantile(difference_us, 0.25),
        "us_per_message_counters_quartile_3": quantile(difference_us, 0.75),
    }


def _turns(
    blocks: int, pairs: dict[bool, _Pair], cut: dict[type, Functions], whole: dict[type, Functions]
) -> tuple[list[float], list[float]]:
    """Microseconds a message with counting, and what counting is of it; sorted."""
    with_us, difference_us = [], []
    for k in range(2 + blocks):
        times = {}
        for on in (True, False) if k % 2 else (False, True):
            with _counting(on, cut, whole):
                times[on] = 1e6 * pairs[on].block() / BLOCK
        if k >= 2:
            with_us.append(times[True])
            difference_us.append(times[True] - times[False])
    return sorted(with_us), sorted(difference_us)
