"""Traces of every kind become the tasks one expects, and the manifest accounts for the rest."""

from __future__ import annotations

import gzip
import math
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emulator import traces_write
from emulator.traces import Demand, TraceError, load_demand
from emulator.traces_convert import Options
from emulator.traces_import import Request, import_traces
from emulator.traces_round import round_nearest, round_poisson
from emulator.traces_space import EARTH_RADIUS_M, nearest_site
from emulator.traces_table import Entities

WIDE_CELLS = "minute,c0,c1\n0,1,2\n1,3,4\n2,5,6\n3,7,8\n"


@pytest.fixture
def bring(tmp_path: Path) -> Any:
    """Write files, import them, load what came out."""

    def bring_files(files: dict[str, str], *, out: str = "out", **request: Any) -> Demand:
        paths = []
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(gzip.compress(content.encode()) if name.endswith(".gz") else content.encode())
            paths.append(path)
        import_traces(Request(tuple(paths), tmp_path / out, **request))
        return load_demand(tmp_path / out)

    return bring_files


def test_wide_counts_by_cell_have_one_service(bring: Any) -> None:
    demand = bring({"trace.csv": WIDE_CELLS})
    assert (demand.cells, demand.services, demand.slot_s) == (("c0", "c1"), ("all",), 60.0)
    assert demand.tasks[:, :, 0].tolist() == [[1, 2], [3, 4], [5, 6], [7, 8]]


def test_wide_counts_by_service_have_one_cell(bring: Any) -> None:
    demand = bring({"trace.csv": "hour,f0,f1\n0,1,2\n"})
    assert (demand.cells, demand.services, demand.slot_s) == (("all",), ("f0", "f1"), 3600.0)


def test_gzipped_and_plain_files_give_the_same(bring: Any) -> None:
    plain = bring({"a/trace.csv": WIDE_CELLS}, out="plain")
    packed = bring({"b/trace.csv.gz": WIDE_CELLS}, out="packed")
    assert np.array_equal(plain.tasks, packed.tasks)


def test_names_that_say_nothing_need_the_kind(bring: Any) -> None:
    content = "minute,north,south\n0,1,2\n"
    assert bring({"trace.csv": content}, kinds={"": "wide-cells"}, out="a").cells == ("north", "south")
    assert bring({"trace.csv": content}, kinds={"trace": "wide-services"}, out="b").services == ("north", "south")


def test_names_in_a_table_beside_tell_the_kind(tmp_path: Path) -> None:
    files = {"data/trace.csv": "minute,north,south\n0,1,2\n", "data/what.csv": "service,colour\nnorth,1\nsouth,2\n"}
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    import_traces(Request((tmp_path / "data",), tmp_path / "out"))
    assert load_demand(tmp_path / "out").services == ("north", "south")


def test_long_counts_sort_names_as_people_do_and_leave_gaps_empty(bring: Any) -> None:
    demand = bring({"trace.csv": "minute,cell,service,count\n2,c10,b,4\n0,c2,a,1\n"})
    assert (demand.cells, demand.services, demand.slots) == (("c2", "c10"), ("a", "b"), 3)
    assert demand.tasks.sum() == 5
    assert demand.counts(2, 1).tolist() == [0.0, 4.0]


@pytest.mark.parametrize("axes", ["", "cell", "service"])
def test_long_counts_may_lack_axes(bring: Any, axes: str) -> None:
    middle = f"{axes}," if axes else ""
    value = "x," if axes else ""
    demand = bring({"trace.csv": f"minute,{middle}count\n0,{value}3\n1,{value}4\n"})
    assert demand.tasks.ravel().tolist() == [3, 4]


def test_events_are_counted_into_slots(bring: Any) -> None:
    content = "t_s,service,cell\n0,a,c0\n59.999999,a,c0\n60,a,c0\n119,b,c1\n"
    demand = bring({"trace.csv": content}, options=Options(slot_s=60.0))
    assert demand.tasks.tolist() == [[[2, 0], [0, 0]], [[1, 0], [0, 1]]]


def test_minutes_are_summed_into_slots_and_an_incomplete_last_slot_is_dropped(bring: Any) -> None:
    content = WIDE_CELLS + "4,100,0\n"
    demand = bring({"trace.csv": content}, options=Options(slot_s=120.0))
    assert demand.tasks[:, :, 0].tolist() == [[4, 6], [12, 14]]
    assert demand.manifest["mass"]["dropped"] == {"incomplete_slot": 100.0}


def test_a_window_in_time_and_in_slots_is_the_same(bring: Any) -> None:
    by_slot = bring({"trace.csv": WIDE_CELLS}, options=Options(slots=(1, 3)), out="a")
    by_time = bring({"trace.csv": WIDE_CELLS}, options=Options(start_s=60.0, end_s=180.0), out="b")
    assert np.array_equal(by_slot.tasks, by_time.tasks)
    assert by_slot.tasks[:, :, 0].tolist() == [[3, 4], [5, 6]]
    assert by_slot.manifest["mass"]["dropped"] == {"outside_window": 18.0}
    assert by_slot.manifest["first_slot"] == 1


def test_a_cell_trace_and_a_service_trace_multiply(bring: Any) -> None:
    files = {"a.csv": "minute,c0,c1\n0,10,20\n1,30,40\n", "b.csv": "minute,f0,f1\n0,1,4\n1,0,7\n"}
    demand = bring(files)
    assert demand.tasks.tolist() == [[[2, 8], [4, 16]], [[0, 30], [0, 40]]]
    assert demand.manifest["mass"]["in"] == 100.0


def test_a_slot_without_invocations_takes_the_days_shares(bring: Any) -> None:
    demand = bring({"a.csv": "minute,c0\n0,10\n1,10\n", "b.csv": "minute,f0,f1\n0,1,4\n1,0,0\n"})
    assert demand.tasks[:, 0].tolist() == [[2, 8], [2, 8]]
    assert any("nothing asked for in 1 of 2 slots" in note for note in demand.manifest["notes"])


def test_the_shorter_trace_is_tiled_over_the_longer_and_it_is_said(bring: Any) -> None:
    cells = "hour,c0\n" + "".join(f"{hour},10\n" for hour in range(72))
    services = "hour,f0,f1\n" + "".join(f"{hour},{hour % 2},{1 - hour % 2}\n" for hour in range(24))
    demand = bring({"cells_trace.csv": cells, "functions.csv": services})
    assert demand.slots == 72
    assert np.array_equal(demand.tasks[:24], demand.tasks[48:])
    assert "functions: 1 day tiled over 3 days" in demand.manifest["notes"]


def test_a_window_within_the_shorter_trace_needs_no_tiling(bring: Any) -> None:
    files = {"a.csv": WIDE_CELLS, "b.csv": "minute,f0,f1\n0,1,0\n1,0,1\n"}
    demand = bring(files, options=Options(slots=(0, 2)))
    assert demand.manifest["notes"] == [f"{name}: licence unknown; say --licence TEXT" for name in ("a", "b")]


def test_a_service_trace_longer_than_the_cell_trace_tiles_the_cells(bring: Any) -> None:
    files = {"a.csv": "minute,c0\n0,1\n1,2\n", "b.csv": "minute,f0\n0,1\n1,1\n2,1\n"}
    demand = bring(files)
    assert demand.tasks.ravel().tolist() == [1, 2, 1]
    assert demand.manifest["mass"]["in"] == 4.0


def test_days_in_files_of_their_own_are_one_trace(bring: Any) -> None:
    demand = bring({"day1.csv": "hour,c0,c1\n0,1,2\n1,3,4\n", "day2.csv": "hour,c0,c1\n2,5,6\n"})
    assert demand.tasks[:, :, 0].tolist() == [[1, 2], [3, 4], [5, 6]]


def test_cells_in_files_of_their_own_are_one_trace(bring: Any) -> None:
    demand = bring({"west.csv": "hour,c2\n0,1\n1,3\n", "east.csv": "hour,c10\n0,2\n1,4\n"})
    assert demand.cells == ("c2", "c10")
    assert demand.tasks[:, :, 0].tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("rest", "services", "dropped"), [("other", ("s1", "s2", "other"), {}), ("drop", ("s1", "s2"), {"rest": 3.0})]
)
def test_the_most_asked_services_are_kept_and_the_rest_is_folded_or_dropped(
    bring: Any, rest: Any, services: tuple[str, ...], dropped: dict[str, float]
) -> None:
    content = "minute,s0,s1,s2,s3\n0,1,9,5,2\n"
    demand = bring({"trace.csv": content}, options=Options(top=2, rest=rest))
    assert demand.services == services
    assert demand.tasks.ravel().tolist() == [9, 5, 3][: len(services)]
    assert demand.manifest["mass"]["dropped"] == dropped


def test_shares_of_dropped_services_are_dropped_from_a_product(bring: Any) -> None:
    files = {"a.csv": "minute,c0\n0,100\n", "b.csv": "minute,f0,f1,f2\n0,70,20,10\n"}
    demand = bring(files, options=Options(top=1, rest="drop"))
    assert demand.tasks.ravel().tolist() == [70]
    assert demand.manifest["mass"]["dropped"]["rest"] == pytest.approx(30.0)


def test_events_go_to_the_nearest_site_and_far_ones_are_dropped(bring: Any) -> None:
    files = {
        "trace.csv": "t_s,lat,lon\n0,45.0001,9.0\n1,45.0,9.0099\n2,46.0,9.0\n",
        "sites.csv": "cell,lat,lon,owner\nwest,45,9,x\neast,45,9.01,y\n",
    }
    options = Options(slot_s=60.0, max_distance_m=50.0)
    demand = bring(files, options=options)
    assert demand.cells == ("west", "east")
    assert demand.tasks.ravel().tolist() == [1, 1]
    assert demand.manifest["mass"]["dropped"] == {"too_far": 1.0}
    assert demand.positions["lon"].tolist() == [9.0, 9.01]


def test_distances_are_metres_on_the_sphere() -> None:
    sites = Entities(("a", "b"), {"lat": np.array([60.0, 60.0]), "lon": np.array([10.0, 10.02])})
    index, distance = nearest_site(np.array([60.001, 60.0]), np.array([10.0, 10.019]), sites)
    assert index.tolist() == [0, 1]
    north = EARTH_RADIUS_M * math.radians(0.001)
    assert distance[0] == pytest.approx(north, rel=1e-9)
    assert distance[1] == pytest.approx(north * math.cos(math.radians(60.0)), rel=1e-9)


def test_equally_near_sites_give_the_first() -> None:
    sites = Entities(("a", "b"), {"lat": np.array([0.0, 0.0]), "lon": np.array([-1.0, 1.0])})
    assert nearest_site(np.array([0.0]), np.array([0.0]), sites)[0].tolist() == [0]


def test_the_date_line_cuts_no_city() -> None:
    sites = Entities(("a", "b"), {"lat": np.array([0.0, 0.0]), "lon": np.array([179.99, -179.99])})
    index, distance = nearest_site(np.array([0.0]), np.array([-179.995]), sites)
    assert index.tolist() == [1]
    assert distance[0] == pytest.approx(EARTH_RADIUS_M * math.radians(0.005), rel=1e-6)


def test_whole_counts_stay_as_they_are_when_rounded_to_nearest() -> None:
    mass = np.arange(24.0).reshape(4, 3, 2)
    assert np.array_equal(round_nearest(mass), mass)


def test_small_demand_is_carried_on_and_not_rounded_away() -> None:
    tasks = round_nearest(np.full((30, 1, 1), 0.1))
    assert tasks.sum() == 3
    assert tasks.max() == 1


def test_a_poisson_draw_depends_on_its_own_slot_and_cell_only() -> None:
    mass = np.full((6, 3, 4), 2.5)
    whole = round_poisson(mass, 0, seed=3)
    changed = mass.copy()
    changed[:, 1] = 40.0
    changed[4] = 0.0
    other = round_poisson(changed, 0, seed=3)
    assert np.array_equal(whole[:4, [0, 2]], other[:4, [0, 2]])
    assert np.array_equal(whole[2:5], round_poisson(mass[2:5], 2, seed=3))
    assert not np.array_equal(whole, round_poisson(mass, 0, seed=4))


def test_poisson_draws_have_the_mean_and_variance_of_their_mass() -> None:
    tasks = round_poisson(np.full((400, 5, 4), 3.0), 0, seed=1).astype(float)
    assert abs(tasks.sum() - 24000.0) < 5.0 * math.sqrt(24000.0)
    assert tasks.var() == pytest.approx(3.0, rel=0.1)


def test_the_same_import_gives_the_same_bytes(bring: Any, tmp_path: Path) -> None:
    for out in ("a", "b"):
        bring({"trace.csv": WIDE_CELLS}, out=out, options=Options(rounding="poisson", scale=2.0))
    for name in ("manifest.toml", "demand.csv.gz", "cells.csv", "services.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_manifest_tells_origin_terms_and_hashes(tmp_path: Path) -> None:
    folder = tmp_path / "town"
    folder.mkdir()
    (folder / "traffic.csv").write_text(WIDE_CELLS)
    (folder / "README.md").write_text(
        "# town\n\n**Origin.** The town hall.\n\n**Facts.** None.\n\n**Licence.** CC0.\nFree.\n"
    )
    import_traces(Request((folder,), tmp_path / "out"))
    manifest = tomllib.loads((tmp_path / "out" / "manifest.toml").read_text())
    origin = {"name": "town", "source": "**Origin.** The town hall.", "licence": "**Licence.** CC0.\nFree."}
    assert manifest["sources"] == [origin]
    assert {(entry["name"], entry["file"]) for entry in manifest["inputs"]} == {
        ("town", "traffic.csv"),
        ("town", "README.md"),
    }
    assert all(len(entry["sha256"]) == 64 for entry in manifest["inputs"])
    assert str(tmp_path) not in (tmp_path / "out" / "manifest.toml").read_text()


def test_source_and_licence_are_taken_from_the_user_where_no_readme_tells_them(bring: Any) -> None:
    demand = bring({"trace.csv": WIDE_CELLS}, source="our lab", licence="CC0")
    assert demand.manifest["sources"] == [{"name": "trace", "source": "our lab", "licence": "CC0"}]


def test_figures_of_services_come_from_their_table(bring: Any, tmp_path: Path) -> None:
    (tmp_path / "figures.csv").write_text("service,size_bytes,task_bytes\ns1,2e8,\ns0,1e8,5e6\nunused,1,1\n")
    demand = bring({"trace.csv": "minute,s0,s1\n0,1,2\n"}, services=tmp_path / "figures.csv")
    assert demand.profile["size_bytes"].tolist() == [1e8, 2e8]
    assert demand.profile["task_bytes"][0] == 5e6
    assert math.isnan(demand.profile["task_bytes"][1])


def test_columns_may_be_passed_over(bring: Any) -> None:
    demand = bring({"t.csv": "t_s,service,size\n0,a,7\n"}, ignored=frozenset({"size"}), options=Options(slot_s=1.0))
    assert demand.tasks.sum() == 1


def test_an_existing_folder_is_refused_and_left_alone(bring: Any, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("keep")
    with pytest.raises(TraceError, match="exists"):
        bring({"trace.csv": WIDE_CELLS})
    assert (tmp_path / "out" / "mine").read_text() == "keep"


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_an_import_that_is_cut_short_leaves_nothing_behind(
    bring: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    def fail(*_: object) -> bytes:
        raise fault

    monkeypatch.setattr(traces_write, "_csv", fail)
    with pytest.raises(KeyboardInterrupt if isinstance(fault, KeyboardInterrupt) else TraceError):
        bring({"trace.csv": WIDE_CELLS}, out="deep/below/out")
    assert [path.name for path in tmp_path.iterdir()] == ["trace.csv"]


def test_demand_that_was_changed_is_refused(bring: Any, tmp_path: Path) -> None:
    bring({"trace.csv": WIDE_CELLS})
    (tmp_path / "out" / "cells.csv").write_text("cell\nc0\nc9\n")
    with pytest.raises(TraceError, match=r"cells\.csv: changed since the import"):
        load_demand(tmp_path / "out")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("format = 'x'", "expected 'edgerig-demand-1'"),
        ("format = 'edgerig-demand-1'\nslots = 0", "slots: "),
        ("format = 'edgerig-demand-1'\nslots = 1\nslot_s = 0", "slot_s: "),
        ("format = 'edgerig-demand-1'\nslots = 1\nslot_s = 1.0", "files: "),
        ("format = 'edgerig-demand-1'\nslots = 1\nslot_s = 1.0\n[files]", "no SHA-256"),
        ("format =", "not TOML"),
    ],
)
def test_a_manifest_that_is_wrong_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "manifest.toml").write_text(text)
    with pytest.raises(TraceError, match=r"manifest\.toml") as caught:
        load_demand(tmp_path)
    assert said in str(caught.value)


def test_a_folder_that_is_no_demand_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="no such folder"):
        load_demand(tmp_path / "nowhere")
    with pytest.raises(TraceError, match=r"no manifest\.toml in it"):
        load_demand(tmp_path)


def test_demand_is_read_only_and_knows_its_bounds(bring: Any) -> None:
    demand = bring({"trace.csv": WIDE_CELLS})
    with pytest.raises(ValueError, match="read-only"):
        demand.tasks[0, 0, 0] = 1
    with pytest.raises(IndexError):
        demand.counts(4, 0)
    with pytest.raises(IndexError):
        demand.counts(0, -1)
