"""Runs with keys, from the command line: the same numbers, and one clear line for whoever has the wrong ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from live_run import finished

pytestmark = pytest.mark.processes


def run(*arguments: str) -> dict[str, object]:
    done = finished("run", "quickstart", "--frames", "2", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    document: dict[str, object] = json.loads(done.stdout)
    return document


def test_a_run_with_keys_has_the_same_digest_and_no_secret_in_its_folder(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    assert finished("keys", "create", str(keys)).returncode == 0
    kept = run("--keys", str(keys), "--out", str(tmp_path / "kept"))
    plain = run("--out", str(tmp_path / "plain"))
    assert kept["digest"] == plain["digest"]
    assert json.loads((tmp_path / "kept" / "hub.json").read_text())["keys"] == str(keys)
    secrets = [line.split('"')[1] for path in keys.glob("*.key") for line in path.read_text().splitlines()[3:]]
    assert len(secrets) == 8
    written = [path.read_text(errors="replace") for path in (tmp_path / "kept").rglob("*") if path.is_file()]
    assert not any(secret in text for secret in secrets for text in written)


def test_listening_beyond_this_machine_without_keys_takes_a_word(tmp_path: Path) -> None:
    done = finished("node", "start", "hub", "--bind", "0.0.0.0", "--run", str(tmp_path))
    assert done.returncode == 2
    assert "--open-to-the-network-without-keys" in done.stderr


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    assert finished("keys", "create", str(keys)).returncode == 0
    (keys / "launcher.key").chmod(0o644)
    done = finished("run", "quickstart", "--frames", "1", "--keys", str(keys), "--out", str(tmp_path / "run"))
    assert done.returncode == 2
    assert "chmod 600" in done.stderr
