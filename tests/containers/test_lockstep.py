"""A whole run in containers: the numbers are those of the same run as processes of this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from container_stack import TAG, WITHOUT_GRAFANA, Stack, run
from live_run import ROOT, finished

pytestmark = pytest.mark.containers

MOST_BYTES = 330e6


@pytest.fixture
def stack(image: str) -> Iterator[Stack]:
    made = Stack("lockstep", EDGERIG_FRAMES="40", EDGERIG_SLOT_WALL_S="0")
    try:
        yield made
    finally:
        made.down()


def test_slots_csv_of_40_frames_equals_that_of_the_local_run_byte_for_byte(stack: Stack, tmp_path: Path) -> None:
    stack.compose("up", "-d")
    assert run("docker", "wait", *stack.containers("hub")).strip() == "0", stack.compose("logs", "hub")
    folder = stack.folder(tmp_path / "runs")
    there = json.loads((folder / "summary.json").read_text())
    done = finished(
        "run", "quickstart", "--set", f'scheduler.backend="{there["scheduler"].split("(")[1][:-1]}"', "--out", "local",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    here = json.loads((tmp_path / "local" / "summary.json").read_text())
    assert {name: here["versions"][name] for name in there["versions"]} == there["versions"]
    assert (folder / "slots.csv").read_bytes() == (tmp_path / "local" / "slots.csv").read_bytes()
    assert (folder / "frames.csv").read_bytes() == (tmp_path / "local" / "frames.csv").read_bytes()
    assert there["digest"] == here["digest"]
    members = [each for kind in ("demand", "edge", "agent", "cloud") for each in stack.containers(kind)]
    ended = run("docker", "wait", *members).split()
    assert ended == ["0"] * 12, "everyone ends with the run, and well"


def test_a_written_file_packs_a_scenario_of_ones_own_as_it_says(image: str, tmp_path: Path) -> None:
    scenario = tmp_path / "own.toml"
    scenario.write_text('name = "own"\nframes = 4\n[edges]\ncount = 4\n[processes]\nedge = 2\nagent = 1\n')
    scenario.chmod(0o644)
    tmp_path.chmod(0o755)
    file, base = tmp_path / "own.yaml", str(ROOT / "compose.yaml")
    done = finished("compose", str(scenario), "--set", 'scheduler.backend="numpy"', "--base", base, "-o", str(file))
    assert done.returncode == 0, done.stderr
    stack = Stack("written", file, EDGERIG_FRAMES="", EDGERIG_SLOT_WALL_S="0")
    try:
        stack.compose("up", "-d", "hub", "cloud", "cell-0-3", "edge-0-1", "edge-2-3", "agent-0-3")
        assert run("docker", "wait", *stack.containers("hub")).strip() == "0", stack.compose("logs", "hub")
        folder = stack.folder(tmp_path / "runs")
    finally:
        stack.down()
    done = finished("sim", str(scenario), "--set", 'scheduler.backend="numpy"', "--out", "sim", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (folder / "slots.csv").read_bytes() == (tmp_path / "sim" / "slots.csv").read_bytes()


def test_the_image_is_small_and_holds_nothing_to_build_with(image: str) -> None:
    assert int(run("docker", "image", "inspect", "-f", "{{.Size}}", image)) <= MOST_BYTES
    script = "id -u; command -v gcc cc make git; ls /opt/edgerig/bin; cat > /opt/x || echo sealed"
    done = run("docker", "run", "--rm", "--read-only", "--entrypoint", "sh", image, "-c", script, check=False)
    user, *tools = done.split()
    assert user != "0"
    assert {"edgerig", "sealed"} <= set(tools)
    assert not {"pip", "pip3"} & set(tools)
    assert not [tool for tool in tools if tool.startswith("/")]
    labels = json.loads(run("docker", "image", "inspect", "-f", "{{json .Config.Labels}}", image))
    assert labels["org.opencontainers.image.title"] == "edgerig"


def test_what_compose_yaml_promises(image: str) -> None:
    read = ("docker", "compose", "--profile", "*", "config", "--format", "json")
    services = json.loads(run(*read, EDGERIG_TAG=TAG))["services"]
    published = {name: each["ports"] for name, each in services.items() if each.get("ports")}
    assert set(published) == {"prometheus", "grafana"}
    assert all(port["host_ip"] == "127.0.0.1" for ports in published.values() for port in ports)
    agents = services["agent"]
    assert not agents.get("command")
    assert "healthcheck" not in agents
    assert not [name for name, each in services.items() if "agent" in each.get("depends_on", {})]
    assert not [name for name, each in services.items() if "grafana" in each.get("depends_on", {})]
    writable = {
        (name, volume["source"])
        for name, each in services.items()
        for volume in each.get("volumes", [])
        if volume["type"] == "volume" and not volume.get("read_only")
    }
    assert {pair for pair in writable if pair[1] in ("runs", "keys")} == {("hub", "runs"), ("keys", "keys")}
    assert services["hub"]["restart"] == "no"
    assert all(each["read_only"] and each["cap_drop"] == ["ALL"] for each in services.values())
    tags = [each["image"].partition(":")[2] for each in services.values()]
    assert "latest" not in tags
    assert all(tags)


@pytest.mark.parametrize("profile", ["", "alerts", "ttosc", "n2o", "learn", "swap", "*"])
def test_compose_has_no_warning(engine: None, profile: str) -> None:
    read = ("docker", "compose", "--profile", profile, "config", "-q")
    done = subprocess.run(read, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_dockerfiles_pass_the_linter() -> None:
    linter = Path(sys.executable).parent / "hadolint"
    if not linter.exists():
        assert not os.environ.get("CI"), "hadolint is missing; CI must have it (make setup)"
        pytest.skip("no hadolint here; make setup brings it where it can be had (Linux on x86_64)")
    files = [ROOT / "Dockerfile", *sorted((ROOT / "examples").glob("*/Dockerfile"))]
    assert len(files) > 1
    assert run(str(linter), *map(str, files)) == ""


def test_ci_takes_grafana_out_and_nothing_else(engine: None) -> None:
    read = ("docker", "compose", "--profile", "*", "-f", "compose.yaml")
    whole = json.loads(run(*read, "config", "--format", "json"))
    without = json.loads(run(*read, "-f", str(WITHOUT_GRAFANA), "config", "--format", "json"))
    assert whole["services"].pop("grafana")
    assert whole == without


def test_the_alert_rules_do_what_they_say(engine: None) -> None:
    promtool = ("docker", "run", "--rm", "-v", f"{ROOT}/monitoring/prometheus:/rules:ro", "--entrypoint", "promtool")
    image = "prom/prometheus:v3.5.0"
    assert "SUCCESS" in run(*promtool, image, "check", "config", "/rules/prometheus.yml")
    run(*promtool, image, "test", "rules", "/rules/alerts_test.yml")
