"""Broken scenarios: one line for each problem, with its place and what to do, and never a traceback."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.errors import ScenarioError
from emulator.scenario_file import load, parse, shipped_names

HEAD = 'name = "x"\n'

BROKEN = [
    ("", "x.toml: name: missing; it must be given"),
    ("name = 1", "x.toml:1: name: must be a string, not a whole number, is 1"),
    ('name = "X Y"', "x.toml:1: name: must be a string of lower case letters"),
    (HEAD + 'clocks = "wall"', "x.toml:2: clocks: unknown key; did you mean clock?"),
    (HEAD + "[edges]\ncuont = 3", "x.toml:3: edges.cuont: unknown key; did you mean count?"),
    (HEAD + "frames = 1.5", "x.toml:2: frames: must be a whole number, without a decimal point, is 1.5"),
    (HEAD + "frames = 0", "x.toml:2: frames: must be a whole number >= 1, is 0"),
    (HEAD + f"frames = {10**30}", "x.toml:2: frames: 1000000000000000000000000000000 frames of 5 slots are more than"),
    (HEAD + f"seed = {2**63}", "x.toml:2: seed: must be a whole number <= 9223372036854775807"),
    (HEAD + "slot_s = 2026-01-02", "x.toml:2: slot_s: must be a number, not a date, is 2026-01-02"),
    (HEAD + "slot_s = inf", "x.toml:2: slot_s: must be finite, is inf"),
    (HEAD + "rate = nan", "x.toml:2: rate: must be a number > 0.0, is nan"),
    (HEAD + 'tasks = "expect"', "x.toml:2: tasks: must be one of expected, sampled, queued, is 'expect'"),
    (HEAD + "edges = 3", "x.toml:2: edges: must be a table, not a whole number; write [edges]"),
    (HEAD + "[[edges]]\ncount = 1", "x.toml:2: edges: must be a table, not a list; write [edges]"),
    (HEAD + "[edge]\nindex = 1", "x.toml:2: edge: must be a list of tables; write [[edge]]"),
    (HEAD + "edge = [1]", "x.toml:2: edge: must be a list of tables; write [[edge]]"),
    (HEAD + "[[edge]]\ncompute_hz = 1e9", "x.toml:2: edge[0].index: missing; it must be given"),
    (HEAD + "[[edge]]\nindex = 9", "x.toml:3: edge[0].index: is 9, but edges.count is 5; indices start at 0"),
    (HEAD + "[[edge]]\nindex = 1\n[[edge]]\nindex = 1", "x.toml:5: edge[1].index: edge server 1 is overridden twice"),
    (HEAD + "[[edge]]\nindex = 0\nlinkk_bps = 1", "x.toml:4: edge[0].linkk_bps: unknown key; did you mean link_bps?"),
    (
        HEAD + "[[edge]]\nindex = 0\nstorage_bytes = 1",
        "x.toml:4: edge[0].storage_bytes: 1 is smaller than every service",
    ),
    (HEAD + "[edges]\nstorage_bytes = 1.0", "x.toml:3: edges.storage_bytes: 1 is smaller than every service"),
    (HEAD + "[edges]\ncompute_hz = -1", "x.toml:3: edges.compute_hz: must be a number > 0.0, is -1"),
    (HEAD + "[edges]\ncloud_bps = inf", "x.toml:3: edges.cloud_bps: must be finite, is inf"),
    (
        HEAD + "[edges]\nmatrix_bps = [[1, 2, 3], [1, 2]]\ncount = 2",
        "x.toml:3: edges.matrix_bps: must have 2 rows of 2",
    ),
    (HEAD + "[edges]\nmatrix_bps = [[inf]]\ncount = 1", "x.toml:3: edges.matrix_bps: must be finite"),
    (HEAD + '[edges]\nmatrix_bps = [["a"]]\ncount = 1', "must be a number, not a string at [0][0]"),
    (HEAD + "[edges.count]\nx = 1", "x.toml:2: edges.count: must be a whole number, not a table"),
    (HEAD + "[edges]\ncount = 60000\n[services]\ncount = 60000", "x.toml:3: edges.count: 60000 edge servers and 60000"),
    (HEAD + "[services]\ncount = true", "x.toml:3: services.count: must be a whole number, not true or false, is true"),
    (HEAD + "[services]\nsize_bytes_choices = []", "services.size_bytes_choices: is empty; give at least one choice"),
    (HEAD + "[services]\nsize_bytes = [1]", "services.size_bytes: has 1 values, but services.count is 20"),
    (HEAD + "[services]\ntask_bytes_choices = [0.0]", "services.task_bytes_choices: must be a number > 0.0 at [0]"),
    (HEAD + '[demand]\nkind = "trace"', "demand.path: missing; a trace needs the folder"),
    (HEAD + '[demand]\npath = "there"', 'demand.path: is only read with kind = "trace"'),
    (HEAD + "[demand]\nusers_min = 60", "x.toml:3: demand.users_min: 60 is more than users_max (50)"),
    (HEAD + "[demand]\nactivity = 1.1", "x.toml:3: demand.activity: must be a number <= 1.0, is 1.1"),
    (HEAD + "[deadlines]\ngive_up_s = 1", "x.toml:3: deadlines.give_up_s: 1 is less than dump_s (10)"),
    (HEAD + "[agent]\nlost = [[5, 1, 2]]", "agent.lost[0]: edge 5: there are 0..4"),
    (HEAD + "[agent]\nlost = [[1, 2, 2]]", "agent.lost[0]: [1, 2, 2] is empty; the end is the first frame it is heard"),
    (HEAD + '"a\\nb" = 1', "x.toml: 'a\\nb': unknown key"),
    (HEAD + HEAD, "x.toml: not TOML: Cannot overwrite a value"),
    (HEAD + "x", "x.toml: not TOML: Expected '='"),
    (HEAD + "x = " + "[" * 5000, "x.toml: not TOML that can be read: nested too deeply"),
    (HEAD + "frames = " + "9" * 5000, "x.toml: not TOML: a number has thousands of digits"),
]


def problems(text: str, *overrides: str) -> tuple[str, ...]:
    with pytest.raises(ScenarioError) as caught:
        parse(text, origin="x.toml", overrides=overrides)
    return caught.value.problems


@pytest.mark.parametrize(("text", "expected"), BROKEN, ids=[expected[:60] for _, expected in BROKEN])
def test_a_broken_scenario_is_told_in_one_line(text: str, expected: str) -> None:
    told = problems(text)
    assert len(told) == 1
    assert expected in told[0]
    assert "\n" not in told[0]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("edges.count", "--set edges.count: must be key=value with a dotted key, e.g. edges.count=9"),
        ("=3", "--set =3: must be key=value"),
        ("edges..count=3", "must be key=value with a dotted key"),
        ("edges.count=", "--set edges.count=: edges.count: must be a whole number, not a string, is ''"),
        ("edges.cuont=3", "--set edges.cuont=3: edges.cuont: unknown key; did you mean count?"),
        ("edges.count=9\nframes=3", "edges.count: must be a whole number"),
        ("slot_s.x=3", "--set slot_s.x=3: slot_s is not a table"),
        ("edge.index=1", "--set edge.index=1: edge: must be a list of tables; write [[edge]]"),
        ("edge[1].index=1", "edge[1] is not a table, or comes after a row that is missing"),
        ("edge[0]=1", "--set edge[0]=1: a row is a table; name a key of it, e.g. edge[0].index=3"),
        ("edge[0].compute_hz=1e9", "--set edge[0].compute_hz=1e9: edge[0].index: missing"),
        ("edge=[{index=9}]", "--set edge=[{index=9}]: edge[0].index: is 9, but edges.count is 5"),
        ("a.b.c=1", "--set a.b.c=1: a: unknown key"),
        ("frames=" + "9" * 5000, "must be a whole number, not a string"),
    ],
)
def test_a_broken_override_is_told_in_one_line_that_names_it(override: str, expected: str) -> None:
    told = problems(HEAD + "slot_s = 60.0\n[edges]\ncount = 5\n", override)
    assert len(told) == 1
    assert expected in told[0]
    assert told[0].startswith("--set")
    assert "\n" not in told[0]


def test_overrides_reach_rows_of_tables() -> None:
    text = HEAD + "[[edge]]\nindex = 1\ncompute_hz = 1e9\n"
    scenario = parse(text, overrides=["edge[0].compute_hz=2e9", "edge[1].index=3", "edge[1].link_bps=1e6"])
    assert [(row.index, row.compute_hz, row.link_bps) for row in scenario.edge] == [(1, 2e9, None), (3, None, 1e6)]


def test_overrides_need_no_quotes_around_strings() -> None:
    assert parse(HEAD, overrides=["tasks=sampled", 'clock="wall"', "description=a b"]).tasks == "sampled"


def test_every_problem_is_told_at_once_in_the_order_of_the_file() -> None:
    text = HEAD + "zzz = 1\nframes = 0\n[edges]\ncount = -1\nlink_bps = 'fast'\n"
    told = problems(text)
    assert [line.split(": ")[1] for line in told] == ["zzz", "frames", "edges.count", "edges.link_bps"]
    assert [line.split(": ")[0] for line in told] == [f"x.toml:{n}" for n in (2, 3, 5, 6)]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("latin.toml", b'name = "\xe9"', "cannot be read (not UTF-8 text)"),
        ("missing.toml", None, "no such scenario"),
        (".", None, "is a folder without a scenario.toml; give a .toml file or the folder of a run"),
        ("a" * 5000, None, "cannot be read (File name too long)"),
        ("quickstart.toml", None, "did you mean quickstart?"),
    ],
)
def test_a_file_that_cannot_be_used_is_told(tmp_path: Path, name: str, content: bytes | None, expected: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    source = name if name == "quickstart.toml" else str(tmp_path / name)
    with pytest.raises(ScenarioError, match=re.escape(expected)):
        load(source)


@pytest.mark.parametrize(
    ("name", "expected"), [("quikstart", "did you mean quickstart?"), ("zzz", "shipped: "), ("", "no such scenario")]
)
def test_an_unknown_name_is_told_with_those_that_exist(name: str, expected: str) -> None:
    with pytest.raises(ScenarioError, match=re.escape(expected)):
        load(name)


def test_a_file_from_another_editor_is_read(tmp_path: Path) -> None:
    file = tmp_path / "bom.toml"
    file.write_bytes(b'\xef\xbb\xbfname = "x"\r\nframes = 3\r\n')
    assert load(str(file)).frames == 3
    (tmp_path / "scenario.toml").write_bytes(file.read_bytes())
    assert load(str(tmp_path)).frames == 3


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_value_anywhere_is_a_traceback(data: st.DataObject) -> None:
    odd = [
        "nan",
        "-inf",
        "inf",
        "1e400",
        "-1",
        "0",
        "''",
        "[]",
        "[[]]",
        "{}",
        "2026-01-01",
        "true",
        f"{10**25}",
        "[1.5]",
    ]
    keys = ["name", "frames", "seed", "slot_s", "edge", "edges", "services", "demand", "agent", "deadlines"]
    inner = ["count", "index", "storage_bytes", "matrix_bps", "size_bytes", "users_max", "path", "stall_s", "policy"]
    key = data.draw(
        st.sampled_from(keys + [f"{a}.{b}" for a in keys[4:] for b in inner] + [f"edge[0].{b}" for b in inner])
    )
    override = f"{key}={data.draw(st.sampled_from(odd))}"
    told: tuple[str, ...] = ("fine",)
    try:
        parse(HEAD, overrides=["edge[0].index=0", override])
    except ScenarioError as error:
        told = error.problems
    assert told
    assert all("\n" not in problem for problem in told)


def test_shipped_scenarios_are_told_by_name() -> None:
    assert {"quickstart", "paper-ttosc", "drift", "periodic", "small-trace", "quickstart-rental", "paper-n2o"} <= set(
        shipped_names()
    )


LINK = HEAD + '[[link]]\nfrom = "{}"\nto = "{}"\n{}\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LINK.format("edge/9", "cloud", "loss = 0.1"), "x.toml:3: link[0].from: 'edge/9' is no node"),
        (LINK.format("cloud", "ledger", "loss = 0.1"), "x.toml:4: link[0].to: ledger takes part in time"),
        (LINK.format("cloud", "edge/*", ""), "link[0]: does nothing"),
        (LINK.format("cloud", "edge/*", "loss = 1.5"), "x.toml:5: link[0].loss: must be"),
        (LINK.format("cloud", "edge/*", "reorder = 0.5"), "x.toml:5: link[0].reorder: without a delay"),
        (LINK.format("cloud", "edge/*", "cut = [[4, 4]]"), "x.toml:5: link[0].cut: [4, 4] is empty"),
        (
            LINK.format("cloud", "edge/*", "loss = 0.1\nflap_up_share = 0.5"),
            "x.toml:6: link[0].flap_up_share: is not read",
        ),
        (
            LINK.format("cloud", "edge/*", "latency_s = 1.0\ntrace_ms = [1.0]"),
            "x.toml:5: link[0].latency_s: is not read",
        ),
        (HEAD + '[tags]\nsite = ["edge/99"]', "x.toml:3: tags.site: 'edge/99' is no node"),
        (HEAD + "[network]\nloss = 0.9", "x.toml:3: network.loss: must be"),
    ],
)
def test_links_that_cannot_be_are_named_with_their_place(text: str, said: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse(text, origin="x.toml")
    assert any(problem.startswith(said) or said in problem for problem in str(caught.value).splitlines())
