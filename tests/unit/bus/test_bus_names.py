from __future__ import annotations

import pytest

from bus import topics
from bus.errors import BadName, LeaseRefused, UnknownTopic
from bus.messages import Message
from bus.names import Remap, checked, resolve
from bus.testing import Cluster, cluster
from bus.topics import TopicSpec


class Word(Message, frozen=True):
    text: str


class Sum(Message, frozen=True):
    total: float


MINE = topics.TABLE.extended([TopicSpec("chatter", Word), TopicSpec("~/sum", Sum), TopicSpec("/weather", Word)])


@pytest.mark.parametrize(
    ("name", "absolute"),
    [
        ("/edge/3", "/edge/3"),
        ("chatter", "/lab/chatter"),
        ("a/b", "/lab/a/b"),
        ("~/sum", "/lab/talker/sum"),
        ("/edge/**", "/edge/**"),
        ("**", None),
        ("/**", "/**"),
    ],
)
def test_a_name_is_absolute_or_in_the_namespace_or_below_the_node(name: str, absolute: str | None) -> None:
    if absolute is None:
        with pytest.raises(BadName):
            resolve(name, "/lab", "/lab/talker")
    else:
        assert resolve(name, "/lab", "/lab/talker") == absolute


@pytest.mark.parametrize(
    ("name", "at"),
    [
        ("/edge//3", 6),
        ("/edge/3/", 7),
        ("/edge 3", 5),
        ("/edge/*/x", 6),
        ("/a~b", 2),
        ("~x", 1),
        ("edge", 0),
        ("", 0),
        ("/", 0),
        ("/edge/{m}", 6),
        ("/ü", 1),
    ],
)
def test_a_caret_stands_below_what_is_wrong(name: str, at: int) -> None:
    with pytest.raises(BadName) as raised:
        checked(name) if not name.startswith("~") else resolve(name, "/", "/node")
    assert raised.value.at == at
    _, shown, caret = str(raised.value).split("\n")
    assert shown == f"  {name}"
    assert caret == f"  {' ' * at}^"


def test_rules_move_exact_names_subtrees_and_the_namespace() -> None:
    remap = Remap(["chatter:=/news", "/edge/**:=/lab/edge/**", "/edge/3/outcome:=~/shown", "__ns:=/lab"])
    assert remap.namespace == "/lab"

    def moved(name: str) -> str:
        return remap.apply(resolve(name, "/lab", "/lab/t"), "/lab", "/lab/t")

    assert moved("chatter") == "/news"
    assert moved("/chatter") == "/chatter"
    assert moved("/edge/2/outcome") == "/lab/edge/2/outcome"
    assert moved("/edge/3/outcome") == "/lab/t/shown"
    assert moved("/edgeless") == "/edgeless"


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (["chatter"], "FROM:=TO"),
        (["a:="], "FROM:=TO"),
        (["/a/**:=/b"], "both sides"),
        (["a:=/b", "a:=/c"], "becomes /b already"),
        (["__ns:=lab"], "begins with /"),
    ],
)
def test_a_rule_that_is_none_is_refused(rules: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Remap(rules)


def test_two_rules_for_one_name_written_differently_are_refused() -> None:
    with pytest.raises(ValueError, match="becomes both /b and /c"):
        Remap(["a:=/b", "/a:=/c"]).apply("/a", "/", "/node")


def test_rows_of_ones_own_fit_in_any_namespace_and_the_shipped_ones_stay() -> None:
    assert MINE.match("/chatter").message is Word
    assert MINE.match("/lab/west/chatter").message is Word
    assert MINE.match("/lab/talker/sum").message is Sum
    assert MINE.match("/weather").message is Word
    assert MINE.match("/edge/3/outcome") is topics.match("/edge/3/outcome")
    with pytest.raises(UnknownTopic):
        MINE.match("/lab/weather")
    with pytest.raises(UnknownTopic, match="extended"):
        MINE.match("/wuthering/heights")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (TopicSpec("/edge/{m}/outcome", Word), "in the topic table already"),
        (TopicSpec("/a//b", Word), "two slashes"),
        (TopicSpec("/a", int), "derived from"),  # type: ignore[arg-type]
    ],
)
def test_a_row_that_cannot_be_is_refused(row: TopicSpec, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        topics.TABLE.extended([row])


def test_guests_talk_under_relative_private_and_remapped_names() -> None:
    with cluster(MINE) as bus:
        bus.hub({"edge": 1})
        bus.processes[0].register()
        talker = bus.guest("talker", "talker", namespace="/lab", remap=["chatter:=/lab/news"])
        listener = bus.guest("listener", "/listener")
        assert list(talker.nodes) == ["/lab/talker"]
        node = talker.nodes["/lab/talker"]
        publisher, private = node.publisher("chatter"), node.publisher("~/sum")
        assert (publisher.topic, private.topic) == ("/lab/news", "/lab/talker/sum")
        heard: list[object] = []
        remapped = listener.nodes["/listener"]
        listener.remap = Remap(["chatter:=lab/news"])
        remapped.subscribe("chatter", lambda message, _: heard.append(message))
        remapped.subscribe("/lab/talker/sum", lambda message, _: heard.append(message))
        for process in (talker, listener):
            process.register()
        bus.until(lambda: len(publisher.matched) == len(private.matched) == 1)
        publisher.publish(Word("hello"), slot=0)
        private.publish(Sum(2.5), slot=0)
        bus.until(lambda: len(heard) == 2)
        assert sorted(map(str, heard)) == ["Sum(total=2.5)", "Word(text='hello')"]


def test_two_names_of_different_messages_sent_to_one_topic_are_refused() -> None:
    with cluster(MINE) as bus:
        node = bus.process("p", remap=["chatter:=/x", "~/sum:=/x"]).node("n")
        node.subscribe("chatter", lambda message, _: None)
        with pytest.raises(ValueError, match="/x carries Word for this process already, not Sum"):
            node.subscribe("~/sum", lambda message, _: None)
        node.publisher("chatter")
        with pytest.raises(ValueError, match="publishes /x already"):
            node.publisher("~/sum")


def test_nobody_waits_for_a_guest_and_a_guest_takes_no_name_of_the_run(bus: Cluster) -> None:
    registry = bus.hub({"edge": 1})
    bus.processes[0].register()
    guest = bus.guest("mine", "/mine/a", "/mine/b")
    assert not any("mine" in sentence for sentence in registry.missing())
    guest.register()
    for name, said in [("/edge/7", "names of the run"), ("/hub", "names of the run"), ("/mine/a", "held by mine")]:
        with pytest.raises(LeaseRefused, match=said):
            bus.guest("thief", name)
    with pytest.raises(LeaseRefused, match="each once"):
        bus.guest("double", "/x", "/x")
    edge = bus.member("edge-0", "edge", 0)
    edge.nodes["/edge/0"].publisher("/edge/0/frame_observation")
    guest.nodes["/mine/a"].subscribe("/edge/0/frame_observation", lambda message, _: None)
    edge.register()
    bus.until(lambda: guest.uid in edge.publishers["/edge/0/frame_observation"].matched)
    bus.until(lambda: guest.uid in edge.membership.observers)
