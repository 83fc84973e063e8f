"""What a node costs besides its messages: memory, and the time of a scrape."""

from __future__ import annotations

import statistics
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from bus import bench_plain_node
from bus.bench_crew import Crew
from bus.process import Process
from monitoring.exporter import serve_metrics

MB: Final = 1e6
SCRAPE_S: Final = 10.0
SAMPLES_BEFORE: Final = 3
LONG_FRAMES: Final = 1000  # more than any bench waits for

Progress = Callable[[str], None]
Figures = dict[str, Any]


def memory(step: Progress) -> Figures:
    """Memory of a plain node: one publisher, one subscription, a lease, a metrics server that has been asked.

    Returns: ``node_uss_mb`` (what its end would free), ``node_rss_mb``, and both before the first scrape.
    """
    main = bench_plain_node.main
    with Crew(main, {"hub": (_serve, "")}) as hub, Crew(main, {"node": (_serve, hub.hear("hub"))}) as crew:
        url = crew.hear("node")
        pid = crew.pids()["node"]
        before = weights_of(pid)
        for _ in range(SAMPLES_BEFORE):
            scrape(url)
        after = weights_of(pid)
    step(f"plain node: {after['Private']:.1f} MB of its own, {after['Rss']:.1f} MB in all")
    return {
        "node_uss_mb": after["Private"],
        "node_rss_mb": after["Rss"],
        "node_uss_before_scrape_mb": before["Private"],
        "node_rss_before_scrape_mb": before["Rss"],
    }


def _serve(process: Process) -> str:
    return serve_metrics(process, "127.0.0.1", 0)


def weights_of(pid: int) -> dict[str, float]:
    """Resident and private memory of a process, MB."""
    weights = {"Private": 0.0, "Rss": 0.0}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        for kind in weights:
            if line.startswith(kind):
                weights[kind] += 1024 * int(line.split()[1]) / MB
    return weights


def scrape(url: str) -> tuple[float, int]:
    """Seconds from the request to the last byte, and how many samples came."""
    start = time.perf_counter()
    with urllib.request.urlopen(url, timeout=SCRAPE_S) as answer:  # noqa: S310 -- the URL is our own process's
        text = answer.read()
    samples = sum(1 for line in text.splitlines() if not line.startswith(b"#"))
    return time.perf_counter() - start, samples


def scrapes(times: int, seed: int, step: Progress) -> Figures:
    """Scrape the processes of a running quickstart, on the wall clock: what a Prometheus beside it would see.

    Args:
        times: How often each process is scraped; then the run is stopped. seed: Of its demand.
    Returns: ``scrape_ms`` of the slowest process (its median), ``scrape_p99_ms`` of all scrapes but the first of each,
        ``scrape_first_ms`` (the one that brings the server in) and ``scrape_samples`` of the largest answer.
    Raises: RuntimeError: the run failed.
    """
    from bus.messages import RunStatus
    from emulator import bench as emulation
    from emulator import run as runs
    from emulator.launch import Launcher
    from emulator.scenario_file import load

    found: dict[str, list[float]] = {}
    largest = unanswered = looks = 0
    launchers: list[Launcher] = []

    def look(status: RunStatus) -> None:
        nonlocal largest, unanswered, looks
        if status.slot < 0:
            return
        for peer in emulation.peers_of(launchers[0].address):
            if not peer.metrics_url:
                continue
            try:
                seconds, samples = scrape(peer.metrics_url)
            except OSError:  # the run's end came first
                unanswered += 1
                continue
            found.setdefault(peer.process, []).append(seconds)
            largest = max(largest, samples)
        looks += 1
        if looks > times:
            launchers[0].interrupt()

    scenario = load("quickstart", ("clock=wall", "rate=240"))
    scenario = runs.prepare(runs.with_changes(scenario, seed=seed, frames=LONG_FRAMES), on_bus=True)
    with tempfile.TemporaryDirectory(prefix="edgerig-bench-") as place:
        result = runs.on_bus(scenario, str(Path(place) / "run"), look, launchers.append)
    if result.code != runs.INTERRUPTED or not found:
        raise RuntimeError(f"a run of the bench ended with code {result.code}: {result.summary.get('exit')}")
    later = sorted(seconds for each in found.values() for seconds in each[1:])
    slowest = max(statistics.median(each[1:] or each) for each in found.values())
    step(f"scrapes: {len(later)} of {len(found)} processes, slowest process {1e3 * slowest:.1f} ms")
    return {
        "scrape_ms": 1e3 * slowest,
        "scrape_p99_ms": 1e3 * later[int(0.99 * len(later))],
        "scrape_first_ms": 1e3 * statistics.median(each[0] for each in found.values()),
        "scrape_samples": largest,
        "scrapes": len(later),
        "scrapes_unanswered": unanswered,
    }
