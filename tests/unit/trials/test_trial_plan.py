"""What is wrong with a TRIAL.toml is said in a line each, with its place and a remedy."""

from pathlib import Path

import pytest

from emulator.errors import ScenarioError
from emulator.trials.plan import load

GOOD = """
name = "t"
scenario = "quickstart"
baseline = "popularity"
candidate = "onnx"

[[stage]]
kind = "canary"
edges = [0]
frames = 5

[[stage]]
kind = "all"
frames = 5
"""


def problems(tmp_path: Path, text: str) -> str:
    path = tmp_path / "TRIAL.toml"
    path.write_text(text)
    with pytest.raises(ScenarioError) as raised:
        load(path)
    return "\n".join(raised.value.problems)


def test_a_plan_is_read(tmp_path: Path) -> None:
    path = tmp_path / "TRIAL.toml"
    path.write_text(GOOD + '[rule]\nmetric = "reward"\n')
    plan = load(path)
    assert plan.seed_list == list(range(1, 21))
    assert plan.seeds_of(plan.stage[0]) == plan.seed_list
    assert plan.rule.metric == "reward"


def test_paths_start_from_the_plans_folder(tmp_path: Path) -> None:
    path = tmp_path / "TRIAL.toml"
    path.write_text(GOOD.replace('"onnx"', '"mine/agent.toml"').replace('"quickstart"', '"my.toml"'))
    plan = load(path)
    assert plan.candidate == f"exec:{tmp_path.resolve() / 'mine/agent.toml'}"
    assert plan.scenario == str(tmp_path.resolve() / "my.toml")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "t"', "", "name: missing; it must be given"),
        ('"canary"', '"canari"', "TRIAL.toml:8: stage[0].kind: must be one of shadow, canary, all"),
        ("edges = [0]", "edge = [0]", "TRIAL.toml:9: stage[0].edge: unknown key; did you mean edges?"),
        ("edges = [0]", "", "TRIAL.toml:7: stage[0].edges: a canary needs either edges or a share"),
        ("edges = [0]", "edges = [0]\nshare = 0.5", "a canary needs either edges or a share"),
        ("edges = [0]", "edges = [0, 0]", "names an edge server twice"),
        ("frames = 5", "frames = 0", "stage[0].frames: must be int >= 1"),
        ('candidate = "onnx"', 'candidate = "0=onnx,popularity"', "candidate: must be one policy or manifest"),
        ('candidate = "onnx"', 'candidate = "onnx"\nseeds = "1-10"', "a verdict needs pairs of at least 20 seeds"),
        (
            'candidate = "onnx"',
            'candidate = "onnx"\nlearning = true',
            "learning: agents do not learn in a trial",
        ),
        ('candidate = "onnx"', 'candidate = "onnx"\nseeds = "1-20,4"', "seeds: names one twice"),
        ('candidate = "onnx"', 'candidate = "onnx"\nseeds = "9-1"', "seeds: are 0, but a verdict needs pairs"),
        ('kind = "all"\n', 'kind = "all"\nedges = [1]\n', "edges and share are of canary stages"),
        ('kind = "all"\n', 'kind = "all"\nruns = 5\n', "stage[1].runs: a verdict needs pairs of at least 20 seeds"),
        ('kind = "all"\n', 'kind = "shadow"\n', "exactly one must be of kind all"),
        ('kind = "all"\n', 'kind = "shadow"\n', "in the order shadow, canary, all"),
        ("\n[[stage]]", "= 3\n[[stage]]", "not TOML"),
    ],
)
def test_each_mistake_has_its_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    found = problems(tmp_path, GOOD.replace(old, new, 1))
    if "int >= 1" in said:
        assert "stage[0].frames: must be a whole number >= 1" in found
    else:
        assert said in found
    assert "Traceback" not in found


def test_a_plan_that_is_not_there_is_a_line(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"cannot be read .*; give the path of a TRIAL.toml"):
        load(tmp_path / "nothing.toml")
