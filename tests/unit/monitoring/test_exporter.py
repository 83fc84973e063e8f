"""What a process answers to a scrape."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bus.measure import Measurements
from bus.messages import NodeRecord, Peer
from bus.process import Process
from monitoring.collector import Collector, cumulative, whole
from monitoring.exporter import Exporter
from monitoring.metric import Metric
from monitoring.scrape import Site, targets

URL = "http://127.0.0.1:9101/metrics"


@pytest.fixture
def process() -> Iterator[Process]:
    process = Process("edge-0")
    yield process
    process.close()


@pytest.fixture
def exporter(process: Process) -> Iterator[Exporter]:
    exporter = Exporter(process, "127.0.0.1", 0, lambda: [peer("edge-0", URL, "/edge/0")], run="quick-1-1")
    yield exporter
    exporter.close()


def peer(process: str, url: str, *nodes: str) -> Peer:
    return Peer(process, 1, 1, "h", "tcp://h:1", "tcp://h:2", url, tuple(NodeRecord(name) for name in nodes))


def get(url: str, **headers: str) -> tuple[str, str]:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=5.0) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


def scrape(exporter: Exporter) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(get(exporter.url)[1])
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def collected(process: Any, *metrics: Metric) -> dict[str, float]:
    families = Collector(process, metrics).collect()
    return {sample.name: sample.value for family in families for sample in family.samples}


def test_a_counter_is_shown_with_its_labels(process: Process, exporter: Exporter) -> None:
    process.measurements.counter("tasks", target="peer").value = 3
    assert scrape(exporter)["edgerig_tasks_total", (("target", "peer"),)] == 3.0


def test_histogram_buckets_are_cumulative(process: Process, exporter: Exporter) -> None:
    delays = process.measurements.histogram("task_delay_seconds", [0.1, 1.0])
    for value in (0.05, 0.5, 0.6, 7.0):
        delays.observe(value)
    found = scrape(exporter)
    buckets = [found["edgerig_task_delay_seconds_bucket", (("le", le),)] for le in ("0.1", "1.0", "+Inf")]
    assert buckets == [1.0, 3.0, 4.0]
    assert found["edgerig_task_delay_seconds_count", ()] == 4.0
    assert found["edgerig_task_delay_seconds_sum", ()] == pytest.approx(8.15)


def test_an_empty_histogram_has_all_its_buckets() -> None:
    assert cumulative([1.0], [0.0, 0.0]) == [("1.0", 0.0), ("+Inf", 0.0)]


def test_counters_are_summed_over_labels_that_are_not_shown(process: Process, exporter: Exporter) -> None:
    for topic, count in (("/a", 2.0), ("/b", 3.0)):
        measurement = process.measurements.counter(
            "bus_messages_published", direction="sent", topic=topic, plane="data"
        )
        measurement.value = count
    assert scrape(exporter)["edgerig_bus_messages_published_total", ()] == 5.0


def test_an_undeclared_measurement_is_said_once(
    process: Process, exporter: Exporter, caplog: pytest.LogCaptureFixture
) -> None:
    process.measurements.gauge("novelty", edge="3").value = 1.0
    for _ in range(3):
        found = scrape(exporter)
    assert found["edgerig_measurements_undeclared", ()] == 1.0
    said = [record.getMessage() for record in caplog.records if record.name == "metrics"]
    assert said == ["no metric shows the gauge novelty(edge); declare it in monitoring.metrics"]


def test_a_gauge_is_never_summed(process: Process) -> None:
    process.measurements.gauge("depth", edge="0").value = 1.0
    assert "depth_x" not in collected(process, Metric("depth_x", "gauge", "", "depth"))


def test_a_counter_never_goes_back(process: Process) -> None:
    child = process.measurements.counter("n")
    collector = Collector(process, [Metric("n_total", "counter", "", "n")])
    for count, shown in ((5.0, 5.0), (4.0, 5.0), (6.0, 6.0)):
        child.value = count
        (family,) = collector.collect()
        assert [sample.value for sample in family.samples] == [shown]


def test_it_shows_nodes_by_role_processor_time_and_memory(process: Process, exporter: Exporter) -> None:
    process.node("/edge/0")
    process.node("/edge/1")
    found = {name: value for (name, _), value in scrape(exporter).items()}
    assert found["edgerig_process_nodes"] == 2.0
    assert found["edgerig_process_memory_bytes"] > 1e6
    assert found["edgerig_process_cpu_seconds_total"] > 0.0


def test_openmetrics_is_served_to_those_who_ask(exporter: Exporter) -> None:
    content_type, page = get(exporter.url, Accept="application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert page.endswith("# EOF\n")


def test_service_discovery_names_node_and_run(exporter: Exporter) -> None:
    content_type, page = get(exporter.url.replace("/metrics", "/sd"))
    assert content_type.startswith("application/json")
    assert json.loads(page) == [{"targets": ["127.0.0.1:9101"], "labels": {"instance": "/edge/0", "run": "quick-1-1"}}]


def test_a_process_with_several_nodes_goes_by_its_own_name() -> None:
    (found,) = targets([peer("hub", URL, "/hub", "/ledger")], "r")
    assert found["labels"]["instance"] == "hub"


@pytest.mark.parametrize("url", ["", "ftp://h:1/metrics", "http://h/metrics", "http://h:no/metrics", "http://[h:1"])
def test_a_process_that_tells_no_usable_url_is_left_out(url: str) -> None:
    assert targets([peer("agent-3", url, "/agent/3")], "r") == []


def test_the_hub_says_that_it_is_well(exporter: Exporter) -> None:
    assert get(exporter.url.replace("/metrics", "/healthz"))[1] == "ok\n"


def test_others_know_only_their_metrics(process: Process) -> None:
    exporter = Exporter(process, "127.0.0.1", 0)
    with pytest.raises(urllib.error.HTTPError) as error:
        get(exporter.url.replace("/metrics", "/sd"))
    assert error.value.code == 404
    assert error.value.read() == b"edge-0 serves /metrics\n"
    error.value.close()
    exporter.close()


def test_a_port_in_use_is_named(process: Process, exporter: Exporter) -> None:
    port = int(exporter.url.rpartition(":")[2].removesuffix("/metrics"))
    with pytest.raises(OSError, match=rf"cannot serve metrics on port {port} of 127.0.0.1 \(Address already in use\)"):
        Exporter(process, "127.0.0.1", port)


def test_the_url_has_the_name_that_others_know_the_host_by() -> None:
    process = Process("edge-0", host="localhost")
    exporter = Exporter(process, "127.0.0.1", 0)
    assert exporter.url.startswith("http://localhost:")
    exporter.close()
    process.close()


def test_one_who_says_nothing_keeps_nobody_waiting(exporter: Exporter) -> None:
    port = int(exporter.url.rpartition(":")[2].removesuffix("/metrics"))
    with socket.create_connection(("127.0.0.1", port)):
        assert "edgerig_process_memory_bytes" in get(exporter.url)[1]


def test_a_scrape_of_100_series_takes_at_most_5_ms_of_processor(process: Process) -> None:
    for k in range(45):  # what is received is shown by plane only
        for name, way in (("bus_messages", "sent"), ("bus_wire_bytes", "sent"), ("bus_messages", "received")):
            child = process.measurements.counter(name, direction=way, topic=f"/topic/{k}", plane="data")
            child.value = 12345.0
    site = Site(process, None, "")
    took_s = []
    for _ in range(20):
        start_s = time.thread_time()
        _, _, page = site.answer("/metrics", "")
        took_s.append(time.thread_time() - start_s)
    assert page.count(b"topic=") == 90
    assert min(took_s) < 0.005


def test_reading_while_dictionaries_grow_is_tried_again() -> None:
    measurements = Measurements()
    for k in range(500):
        measurements.counter(f"first_{k}")
    stop = threading.Event()

    def grow() -> None:
        k = 0
        while not stop.is_set() and k < 20_000:
            measurements.counter(f"then_{k}")
            k += 1

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        for _ in range(20):
            assert len(whole(measurements.snapshot)) >= 500
    finally:
        stop.set()
        thread.join()


def test_a_process_imports_no_metrics_library_before_the_first_scrape() -> None:
    program = """
import sys
from bus.process import Process
from monitoring.exporter import serve_metrics

process = Process("edge-0")
before = set(sys.modules)
url = serve_metrics(process, "127.0.0.1", 0)
heavy = {"prometheus_client", "http.server", "monitoring.collector", "urllib.request"} & (set(sys.modules) - before)
assert not heavy, heavy
import urllib.request
urllib.request.urlopen(url).read()
assert "prometheus_client" in sys.modules
process.close()
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30.0)
