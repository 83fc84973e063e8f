"""The Tab key offers commands always, and names of the live run where there is one."""

from __future__ import annotations

from typing import Self

import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner

from bus.messages import NodeRecord, Peer, TopicRecord
from emulator.cli import finding, root
from emulator.cli.completion import SHELLS


def offered(words: list[str], incomplete: str) -> list[str]:
    made = BashComplete(root, {}, "edgerig", "_EDGERIG_COMPLETE")
    return [item.value for item in made.get_completions(words, incomplete)]


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_has_its_script(shell: str) -> None:
    result = CliRunner().invoke(root, ["completion", shell])
    assert result.exit_code == 0
    assert f"_EDGERIG_COMPLETE={shell}_complete" in result.output


def test_commands_and_their_options_are_offered() -> None:
    assert offered([], "to") == ["topic", "top"]
    assert "info" in offered(["topic"], "")
    assert "--csv" in offered(["topic", "echo"], "--c")


def test_topics_and_nodes_of_the_live_run_are_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    records = tuple(TopicRecord(f"/edge/0/{name}", 1, True, False) for name in ("outcome", "offload/1"))
    peer = Peer("edge-0", 1, 1, "h", "e", "c", nodes=(NodeRecord("/edge/0", records),))

    class Hub:
        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None: ...

        def peers(self) -> tuple[Peer, ...]:
            return (peer,)

    for words in (["topic", "echo"], ["node", "info"]):
        offered(words, "--")  # a command that is imported now must not keep what follows for good
    monkeypatch.setattr(finding, "find", lambda hub, folder: finding.Run("tcp://127.0.0.1:1"))
    monkeypatch.setattr(finding, "asking", lambda run, deadline_s: Hub())
    assert offered(["topic", "echo"], "/edge/0/o") == ["/edge/0/offload/1", "/edge/0/outcome"]
    assert offered(["node", "info"], "/e") == ["/edge/0"]


def test_without_a_run_the_tab_key_offers_no_names_and_says_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(str(tmp_path))
    monkeypatch.delenv("EDGERIG_HUB", raising=False)
    assert offered(["topic", "echo"], "/") == []
    assert capfd.readouterr().err == ""
