"""From a scenario to its emulated links, and what a scenario may not say of them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bus.link_channel import NS, Draw, draw_of
from bus.link_table import OUTSIDE, LinkTable, is_shaped, role_of
from bus.messages import LinkRule, LinksFigures, LinkShape, Query
from emulator.errors import ScenarioError
from emulator.scenario import Link, Scenario

if TYPE_CHECKING:
    import argparse

    from bus.links import LinkClock
    from bus.process import Process

MOST_SAMPLES = 10_000
"""Of a ping trace; every process gets them with the scenario."""

ENTITIES = ("cell", "edge", "agent")


def table_of(scenario: Scenario) -> LinkTable:
    """The scenario's links."""
    return LinkTable([rule for link in scenario.link for rule in rules_of(link)], scenario.tags)


def rules_of(link: Link) -> list[LinkRule]:
    """One table as rules, one for each direction."""
    shape = shape_of(link)
    rules = [LinkRule("set", link.source, link.target, shape)]
    return [*rules, LinkRule("set", link.target, link.source, shape)] if link.both else rules


def shape_of(link: Link) -> LinkShape:
    """What a table asks for."""
    names = set(LinkShape.__struct_fields__) - {"trace_s"}
    values = {name: getattr(link, name) for name in names}
    return LinkShape(**values, trace_s=tuple(sample / 1e3 for sample in link.trace_ms))


def clock_of(scenario: Scenario) -> LinkClock:
    """How simulated time goes in a run on the bus."""
    from bus.links import LinkClock

    return LinkClock(scenario.slot_s, scenario.rate if scenario.clock == "wall" else None)


Maker = Callable[["argparse.Namespace", "Process", Scenario, float | None], None]
"""Makes the nodes of a process: options, process, scenario, wall seconds of a slot."""


def behind_links(make: Maker) -> Maker:
    """A maker whose nodes stand at the end of the scenario's emulated links, and of those that come by hand."""

    def made(options: argparse.Namespace, process: Process, scenario: Scenario, slot_wall_s: float | None) -> None:
        from bus.links import Links  # here, because who only reads a scenario needs no sockets

        process.links = links = Links(process, table_of(scenario), scenario.seed, clock_of(scenario))
        make(options, process, scenario, slot_wall_s)
        next(iter(process.nodes.values())).serve("links", Query, lambda _: links.figures(), LinksFigures)

    return made


def faults_of(scenario: Scenario, process: str) -> Callable[[str, int], bool] | None:
    """What loses messages of a process on arrival, below QoS, and holds it up; None where nothing does.

    A process that is held up looks later at everything, so this is also how a busy machine is played.
    """
    network = scenario.network
    if not network.loss and not network.delay_s:
        return None
    draws: dict[str, Draw] = {}

    def lost(topic: str, sequence: int) -> bool:
        draw = draws.get(topic)
        if draw is None:
            draw = draws[topic] = draw_of(scenario.seed, "below QoS", process, topic)
        loss, pause, length, *_ = draw(sequence, 0, 0)
        if network.delay_s and pause < network.delay_share:
            time.sleep(length * network.delay_s)  # noqa: TID251 -- nothing is waited for: the pause is the fault
        return loss < network.loss

    return lost


def with_traces(scenario: Scenario) -> Scenario:
    """The scenario with the samples of its ping traces written out.

    Raises: ScenarioError: with every trace that cannot be read.
    """
    problems: list[str] = []
    links = []
    for k, link in enumerate(scenario.link):
        samples = link.trace_ms
        if link.trace:
            try:
                samples = read_ping_trace(Path(link.trace))
            except ValueError as error:
                problems.append(f"{scenario.name}: link[{k}].trace: {error}")
        links.append(msgspec.structs.replace(link, trace="", trace_ms=samples))
    if problems:
        raise ScenarioError(*problems)
    return msgspec.structs.replace(scenario, link=tuple(links)) if links else scenario


def read_ping_trace(path: Path) -> tuple[float, ...]:
    """Delays in milliseconds: the last column of a CSV, a heading is skipped.

    Raises: ValueError: it cannot be read, or a line is no delay.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8 text'})") from None
    samples: list[float] = []
    for number, line in enumerate(lines, start=1):
        text = line.rpartition(",")[2].strip()
        if not line.strip():
            continue
        try:
            sample = float(text)
        except ValueError:
            if number == 1:
                continue
            raise ValueError(f"{path}:{number}: {text[:40]!r} is no number of milliseconds") from None
        if not 0.0 <= sample < 1e9:
            raise ValueError(f"{path}:{number}: {text[:40]} is no delay in milliseconds; must be 0 or more")
        samples.append(sample)
    if not 1 <= len(samples) <= MOST_SAMPLES:
        raise ValueError(f"{path} has {len(samples)} delays; give 1 to {MOST_SAMPLES}")
    return tuple(samples)


# -- what a scenario may not say ---------------------------------------------------------------------------------------


def link_contradictions(scenario: Scenario) -> Iterator[str]:
    """Every contradiction in the scenario's links and tags."""
    names = NodeNames(scenario)
    for tag, patterns in scenario.tags.items():
        if not re.fullmatch(r"[a-z][a-z0-9_-]*", tag) or names.fitting(tag):
            yield f"tags.{tag}: must be lower case letters, digits, '_' and '-', and no node's name"
        for pattern in patterns or ("",):
            if not names.fitting(pattern):
                yield f"tags.{tag}: {pattern!r} is no node; {names.hint}"
    for k, link in enumerate(scenario.link):
        for key, wanted in (("from", link.source), ("to", link.target)):
            yield from (f"link[{k}].{key}: {problem}" for problem in names.problems(wanted, scenario.tags))
        yield from (f"link[{k}]{problem}" for problem in _shape_problems(link))


def _shape_problems(link: Link) -> Iterator[str]:
    trace = bool(link.trace or link.trace_ms)
    if link.trace and link.trace_ms:
        yield ".trace_ms: is not read when trace is given; leave one out"
    if trace and (link.latency_s or link.jitter_s):
        yield ".latency_s: is not read with a trace, nor is jitter_s; leave them out"
    if link.reorder and not (trace or link.latency_s or link.jitter_s):
        yield ".reorder: without a delay nothing can be overtaken; give latency_s or a trace"
    for first, end in link.cut:
        if first >= end:
            yield f".cut: [{first}, {end}] is empty; the end is the first slot in which messages pass again"
    if link.flap_up_share < 1.0 and not link.flap_period_s:
        yield ".flap_up_share: is not read without flap_period_s; give the period"
    if link.flap_period_s and link.flap_up_share == 1.0:
        yield ".flap_period_s: does nothing while flap_up_share is 1; give the share of the period that it is up"
    if not link.trace and not is_shaped(shape_of(link)):
        yield ": does nothing; give latency_s, rate_bps, loss or another effect, or leave the table out"


def hand_problems(rule: LinkRule, scenario: Scenario, names: NodeNames) -> list[str]:
    """What is wrong with a rule made by hand while a run goes on."""
    problems = []
    if scenario.tasks == "queued" and not scenario.link:
        problems.append(
            'tasks = "queued": links by hand need a run whose scenario has a [[link]], '
            "for it keeps other books of tasks that outlive their slot"
        )
    if rule.action not in ("set", "cut", "heal"):
        problems.append(f"{rule.action!r} is no action; set, cut or heal")
    for key, wanted in (("from", rule.source), ("to", rule.target)):
        problems += [f"{key}: {problem}" for problem in names.problems(wanted, scenario.tags)]
    shape = rule.shape
    shares = (shape.loss, shape.duplicate, shape.reorder, shape.flap_up_share)
    times = (shape.latency_s, shape.jitter_s, shape.rate_bps, shape.flap_period_s, *shape.trace_s)
    if not all(0.0 <= share <= 1.0 for share in shares):
        problems.append("loss, duplicate, reorder and flap_up_share must be between 0 and 1")
    if not all(0.0 <= value < 1e15 for value in times):
        problems.append("latency, jitter, rate, flap period and trace must be 0 or more, and finite")
    if len(shape.trace_s) > MOST_SAMPLES:
        problems.append(f"the trace has {len(shape.trace_s)} delays; give at most {MOST_SAMPLES}")
    return problems


class NodeNames:
    """The names of a scenario's nodes, and what patterns mean among them."""

    def __init__(self, scenario: Scenario) -> None:
        self._count = scenario.edges.count
        self._single = {"cloud", *(("scheduler",) if scenario.scheduler.at == "cloud" else ())}
        self.hint = f"nodes are cell/N, edge/N, agent/N (N below {self._count}) and {', '.join(sorted(self._single))}"

    def all(self) -> Iterable[str]:
        """Every name."""
        return [*(f"/{name}" for name in sorted(self._single)), *self._indexed()]

    def _indexed(self) -> Iterator[str]:
        return (f"/{role}/{m}" for role in ENTITIES for m in range(self._count))

    def fitting(self, pattern: str) -> bool:
        """Whether some node has that name or fits the pattern."""
        name = pattern.lstrip("/")
        role, _, index = name.partition("/")
        if name in self._single:
            return True
        if role in ENTITIES and index.isdigit():
            return int(index) < self._count and index == str(int(index))
        if not set(pattern) & set("*?["):
            return False
        table = LinkTable(())
        return any(table.matches(pattern, node) for node in self.all())

    def problems(self, wanted: str, tags: dict[str, tuple[str, ...]]) -> Iterator[str]:
        """What is wrong with one end of a link."""
        if wanted in tags or self.fitting(wanted):
            return
        if role_of(wanted) in OUTSIDE:
            yield f"{wanted} takes part in time, names or the run's books, which pass no emulated link"
        else:
            known = f"; tags are {', '.join(sorted(tags))}" if tags else ""
            yield f"{wanted!r} is no node, pattern or tag; {self.hint}{known}"


def slot_ns(scenario: Scenario) -> int:
    """The length of a slot in nanoseconds."""
    return round(scenario.slot_s * NS)
