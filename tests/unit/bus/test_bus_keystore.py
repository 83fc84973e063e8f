"""A keystore: what it holds, who may read it, what is said when it is not as it must be."""

from __future__ import annotations

from pathlib import Path

import pytest

from bus.credentials import KEYED_ROLES, Keys
from bus.errors import KeystoreError
from bus.keystore import Enrolled, Keystore


@pytest.fixture
def store(tmp_path: Path) -> Keystore:
    return Keystore.create(tmp_path / "keys")


def test_every_file_is_its_owners_only(store: Keystore) -> None:
    assert store.folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in store.folder.iterdir()} == {0o600}
    assert len(list(store.folder.iterdir())) == 2 * len(KEYED_ROLES)


def test_an_existing_keystore_is_never_written_over(store: Keystore) -> None:
    with pytest.raises(KeystoreError, match="holds keys already"):
        Keystore.create(store.folder)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_secret_that_others_may_read_is_refused(store: Keystore, mode: int) -> None:
    path = store.folder / "agent.key"
    path.chmod(mode)
    with pytest.raises(KeystoreError, match="chmod 600"):
        store.keys("agent")


@pytest.mark.parametrize("text", ["", "public = 3", 'public = "short"', "not toml", "\0"])
def test_a_damaged_key_is_named(store: Keystore, text: str) -> None:
    (store.folder / "agent.key").write_text(text)
    with pytest.raises(KeystoreError, match=r"agent\.key"):
        store.pair("agent")


def test_a_process_holds_its_roles_key_and_no_other(store: Keystore) -> None:
    keys = store.keys("agent")
    assert set(keys.enrolment) == {"agent"}
    assert keys.own.public != store.public("agent")
    assert keys.hub == store.public("hub")
    with pytest.raises(LookupError):
        keys.credential("cell")


def test_no_repr_tells_a_secret(store: Keystore) -> None:
    keys = store.keys("agent")
    text = repr(keys) + repr(Keys.fresh()) + repr(store.credential("observer"))
    assert keys.own.secret not in text
    assert store.pair("agent").secret not in text


def test_the_hub_follows_rotation_and_revocation(store: Keystore) -> None:
    enrolled = Enrolled(store)
    before = store.public("agent")
    assert enrolled.role(before) == "agent"
    assert enrolled.role(store.public("hub")) == ""
    store.rotate(["agent"])
    assert enrolled.refresh()
    assert enrolled.role(before) == ""
    assert enrolled.role(store.public("agent")) == "agent"
    gone = store.revoke("agent")
    assert enrolled.refresh()
    assert enrolled.role(gone) == ""
    assert gone in enrolled.revoked
    assert not enrolled.refresh()
