"""Who decided in a run, as its summary tells it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from agents.manifest import load as load_manifest
from emulator import identities
from emulator.scenario import Scenario
from emulator.scenario_file import load

ROOT = Path(__file__).parents[3]


def told(policy: str, name: str = "quickstart") -> list[dict[str, object]]:
    found: Scenario = load(name)
    return identities.agents_of(
        msgspec.structs.replace(found, agent=msgspec.structs.replace(found.agent, policy=policy))
    )


def test_each_spec_has_its_edge_servers() -> None:
    one, two = told("3=random,popularity")
    assert (one["name"], one["edges"], one["sha256"]) == ("popularity", [0, 1, 2, 4], None)
    assert (two["name"], two["edges"]) == ("random", [3])


def test_a_program_has_the_name_version_and_digest_of_its_manifest() -> None:
    manifest = ROOT / "examples" / "agent-python" / "agent.toml"
    (known,) = told(f"exec:{manifest}")
    found = load_manifest(manifest)
    assert (known["name"], known["version"]) == (found.manifest.name, found.manifest.version)
    assert known["sha256"] == found.sha256
    assert found.sha256


def test_networks_have_the_digest_of_their_files(tmp_path: Path) -> None:
    (shipped,) = told("onnx")
    folder = ROOT / "agents" / "shipped_actors" / "quickstart"
    assert shipped["sha256"] == identities.digest_of(folder)
    (named,) = told(f"onnx:{folder}")
    assert named["sha256"] == shipped["sha256"]
    (rental,) = told("onnx", "quickstart-rental")
    assert rental["sha256"] == identities.digest_of(ROOT / "agents" / "shipped_rental" / "quickstart-rental" / "actors")
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        (tmp_path / place / f"{place}.onnx").write_bytes(b"the same bytes")
    assert identities.digest_of(tmp_path / "a") != identities.digest_of(tmp_path / "b")


def test_what_is_gone_has_no_digest_and_is_no_trouble() -> None:
    (known,) = told("onnx:/nowhere/at/all")
    assert (known["name"], known["sha256"]) == ("onnx", None)


def test_the_machine_has_no_name() -> None:
    host = identities.host()
    assert set(host) == {"system", "machine", "processor", "processors", "memory_bytes"}
    assert host["memory_bytes"] > 2**20
