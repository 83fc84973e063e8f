"""From a process's measurements to the metrics that are declared, as Prometheus writes them.

Imported on a process's first scrape only: it brings in prometheus_client.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Final, TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from bus.measure import Labels, Sample
from bus.process import Process
from bus.vitals import memory_bytes, started_s
from monitoring.metric import Metric
from monitoring.metrics import METRICS

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily
Buckets = tuple[list[float], list[float], float]
Key = tuple[str, ...]
Result = TypeVar("Result")

MOST_TRIES: Final = 50

_log = logging.getLogger("metrics")


class Collector:
    """Shows one process's measurements; ``collect`` is what prometheus_client asks for at each scrape."""

    def __init__(self, process: Process, metrics: Iterable[Metric] = METRICS) -> None:
        self._process = process
        self._metrics: dict[str, list[Metric]] = {}
        for metric in metrics:
            self._metrics.setdefault(metric.reads, []).append(metric)
        self._undeclared: set[str] = set()
        self._places: dict[tuple[str, str, Labels], tuple[str, Key]] = {}  # which metric and series shows a sample
        self._highest: dict[tuple[str, Key], float] = {}
        self._lock = threading.Lock()  # between scrapes; the loop never takes it
        self._version = _version()

    def collect(self) -> list[Family]:
        """All metrics of the process that have a value, in the order of their declaration."""
        with self._lock:
            return list(self._collect())

    def _collect(self) -> Iterator[Family]:
        samples = whole(self._process.measurements.snapshot)
        shown: dict[str, dict[Key, float | Buckets]] = {}
        for sample in [*samples, *self._own()]:
            self._add(sample, shown)
        shown["edgerig_measurements_undeclared"] = {(): float(len(self._undeclared))}
        for metrics in self._metrics.values():
            for metric in metrics:
                if metric.name in shown:
                    yield self._family(metric, shown[metric.name])

    def _own(self) -> list[Sample]:
        """What the operating system and the process itself know of it."""
        own = [
            Sample("process_cpu_seconds", "counter", (), time.process_time()),
            Sample("process_memory_bytes", "gauge", (), float(memory_bytes())),
            Sample("process_start_seconds", "gauge", (), started_s()),
        ]
        names = whole(lambda: list(self._process.nodes))
        roles = Counter(name.lstrip("/").partition("/")[0] for name in names)
        for role, count in sorted(roles.items()):
            own.append(Sample("process_nodes", "gauge", (("role", role), ("version", self._version)), float(count)))
        return own

    def _add(self, sample: Sample, shown: dict[str, dict[Key, float | Buckets]]) -> None:
        name = (sample.name, sample.kind, sample.labels)
        place = self._places.get(name)
        if place is None:
            labels = dict(sample.labels)
            metric = next((m for m in self._metrics.get(sample.name, ()) if _shows(m, sample, labels)), None)
            if metric is None:
                self._miss(sample)
                return
            place = self._places[name] = metric.name, tuple(labels[label] for label in metric.labels)
        series = shown.setdefault(place[0], {})
        key = place[1]
        if isinstance(sample.value, tuple):
            series[key] = sample.value
        else:
            before = series.get(key, 0.0)
            series[key] = float(sample.value) + (before if isinstance(before, float) else 0.0)

    def _miss(self, sample: Sample) -> None:
        """Say once that a measurement is not shown."""
        name = f"{sample.kind} {sample.name}({', '.join(label for label, _ in sample.labels)})"
        if name not in self._undeclared:
            self._undeclared.add(name)
            _log.warning("no metric shows the %s; declare it in monitoring.metrics", name)

    def _family(self, metric: Metric, series: dict[Key, float | Buckets]) -> Family:
        family = _FAMILIES[metric.kind](metric.name, metric.help, labels=metric.labels)
        for key, value in series.items():
            if isinstance(family, HistogramMetricFamily):
                if isinstance(value, tuple):
                    family.add_metric(key, cumulative(value[0], value[1]), sum_value=value[2])
            elif isinstance(value, float):
                family.add_metric(key, self._never_less(metric, key, value))
        return family

    def _never_less(self, metric: Metric, key: Key, value: float) -> float:
        """A counter read while the loop moves a subscriber's traffic from one book to another may seem to go back.

        Prometheus would take that for a restart and count everything twice.
        """
        if metric.kind == "counter":
            value = self._highest[metric.name, key] = max(value, self._highest.get((metric.name, key), 0.0))
        return value


_FAMILIES: Final[dict[str, type[Family]]] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
}


def _shows(metric: Metric, sample: Sample, labels: dict[str, str]) -> bool:
    """Whether a metric shows a sample; only counters may be summed over labels that the metric does not have."""
    if metric.kind != sample.kind or any(labels.get(label) != value for label, value in metric.where):
        return False
    hidden = labels.keys() - set(metric.labels) - dict(metric.where).keys()
    return labels.keys() >= set(metric.labels) and (metric.kind == "counter" or not hidden)


def cumulative(edges: list[float], counts: list[float]) -> list[tuple[str, float]]:
    """Counts by bucket as Prometheus wants them: tasks up to each edge, the last one up to infinity."""
    buckets = []
    total = 0.0
    for edge, count in zip([*map(str, map(float, edges)), "+Inf"], counts, strict=True):
        total += count
        buckets.append((edge, total))
    return buckets


def whole(read: Callable[[], Result]) -> Result:
    """Read dictionaries that the loop's thread may add to meanwhile.

    The hot path takes no lock: a float is replaced whole, so a scrape sees the value before or after; a dictionary that
    grows while somebody iterates raises RuntimeError, and then it is read again. They stop growing once all links are
    matched, so that is rare.
    """
    for _ in range(MOST_TRIES):
        try:
            return read()
        except RuntimeError:
            continue
    return read()


def _version() -> str:
    try:
        return version("edgerig")
    except PackageNotFoundError:
        return ""
