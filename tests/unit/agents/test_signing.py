"""Signed agents: what is signed, by whom, and that nothing of it can change afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.errors import AgentError
from agents.manifest import load
from agents.signing import KEYRING, check_signed, make_key, read_keyring, sign_manifest
from bus.signatures import fresh_pair, is_signed, sign

GOOD = 'name = "toy"\nversion = "1"\nprotocol = 1\nworld = "offloading"\nkind = "exec"\nfile = "toy.sh"\n'


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    (tmp_path / "toy.sh").write_text("true\n")
    (tmp_path / "agent.toml").write_text(GOOD)
    return tmp_path / "agent.toml"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    make_key(tmp_path / "ada.key", "ada")
    return tmp_path / "ada.key"


def signed(manifest: Path, key: Path) -> None:
    sign_manifest(manifest, load(manifest, check=False).canonical(), key)


def test_it_is_ed25519() -> None:
    # RFC 8032, section 7.1, test 2
    seed = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
    public = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    made = sign(b"\x72", bytes.fromhex(seed + public))
    assert made.hex().startswith("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da")
    assert is_signed(b"\x72", made, bytes.fromhex(public))
    assert not is_signed(b"\x73", made, bytes.fromhex(public))
    assert not is_signed(b"\x72", made, fresh_pair()[0])
    assert not is_signed(b"\x72", made[:-1], bytes.fromhex(public))
    with pytest.raises(ValueError, match="64 bytes"):
        sign(b"", b"short")


def test_a_keyring_lets_in_what_its_keys_have_signed(
    manifest: Path, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = tmp_path / "trusted.keys"
    ring.write_text("# those we trust\n\n" + (tmp_path / "ada.key.pub").read_text())
    monkeypatch.setenv(KEYRING, str(ring))
    with pytest.raises(AgentError, match=r"agent\.toml: is not signed"):
        load(manifest)
    signed(manifest, key)
    assert load(manifest).manifest.name == "toy"
    assert check_signed(manifest, load(manifest).canonical(), ring) == "ada"
    manifest.write_text("# a remark\n" + "\n".join(reversed(GOOD.splitlines())))
    assert load(manifest).manifest.name == "toy"  # what it says is the same


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "toy.sh").write_text("false\n"),
        lambda folder: (folder / "agent.toml").write_text(GOOD + 'command = ["sh", "-x", "{file}"]\n'),
        lambda folder: (folder / "agent.toml").write_text(GOOD + "[resources]\nmemory_bytes = 9e9\n"),
    ],
)
def test_nothing_can_change_once_it_is_signed(
    manifest: Path, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: object
) -> None:
    signed(manifest, key)
    monkeypatch.setenv(KEYRING, str(tmp_path / "ada.key.pub"))
    load(manifest)
    change(tmp_path)  # type: ignore[operator]
    with pytest.raises(AgentError, match="has changed since it was signed"):
        load(manifest)


def test_what_is_wrong_is_said_with_the_file_and_the_remedy(manifest: Path, key: Path, tmp_path: Path) -> None:
    signed(manifest, key)
    canonical = load(manifest).canonical()
    make_key(tmp_path / "eve.key", "eve")
    with pytest.raises(AgentError, match=r"signed by a key that is not in .*eve\.key\.pub"):
        check_signed(manifest, canonical, tmp_path / "eve.key.pub")
    with pytest.raises(AgentError, match="No such file"):
        read_keyring(tmp_path / "gone")
    (tmp_path / "odd").write_text("no key at all\n")
    with pytest.raises(AgentError, match="has a line that is not PUBLIC NAME"):
        read_keyring(tmp_path / "odd")
    (tmp_path / "agent.toml.sig").write_text("key = 3\n")
    with pytest.raises(AgentError, match="is no signature"):
        check_signed(manifest, canonical, tmp_path / "ada.key.pub")
    with pytest.raises(AgentError, match="File exists"):
        make_key(key, "ada")
    (tmp_path / "bad.key").touch(mode=0o600)
    (tmp_path / "bad.key").write_text("zz")
    with pytest.raises(AgentError, match="holds no secret key"):
        sign_manifest(manifest, canonical, tmp_path / "bad.key")
    key.chmod(0o644)
    with pytest.raises(AgentError, match="chmod 600"):
        sign_manifest(manifest, canonical, key)
