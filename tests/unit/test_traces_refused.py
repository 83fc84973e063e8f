"""Whatever is wrong with a trace is told in one line that names the file and, where there is one, the line."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import pytest

from emulator.errors import ScenarioError
from emulator.traces import TraceError
from emulator.traces_convert import Options
from emulator.traces_import import Request, import_traces

LONG = "minute,cell,service,count\n"
WIDE = "minute,c0,c1\n0,1,2\n1,3,4\n"


def refused(tmp_path: Path, content: str | bytes, *, name: str = "trace.csv", **request: Any) -> TraceError:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return refused_path(tmp_path, path, **request)


def refused_path(tmp_path: Path, *paths: Path, **request: Any) -> TraceError:
    with pytest.raises(TraceError) as caught:
        import_traces(Request(paths, tmp_path / "out", **request))
    assert not (tmp_path / "out").exists()
    assert [path for path in tmp_path.iterdir() if "partial" in path.name] == []
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("content", "line", "text"),
    [
        (LONG + "0,c0,s0,1\n0,c0,s1,-3\n", 3, "count -3 is below 0"),
        (LONG + "0,c0,s0,nan\n", 2, "count 'nan' is not finite"),
        (LONG + "0,c0,s0,inf\n", 2, "not finite"),
        (LONG + "0,c0,s0,many\n", 2, "count 'many' is not a number"),
        (LONG + "0,c0,s0,1_0\n", 2, "count '1_0' is not a number"),
        (LONG + "1_0,c0,s0,1\n", 2, "minute '1_0' is not a whole number"),
        ("minute,c0,c1\n0,1,2_0\n", 2, "count of c1 '2_0' is not a number"),
        (LONG + "0,c0,s0,\n", 2, "count '' is not a number"),
        (LONG + "0.5,c0,s0,1\n", 2, "minute '0.5' is not a whole number"),
        (LONG + "-1,c0,s0,1\n", 2, "minute -1 is negative"),
        (LONG + "0,c0.5,s0,1\n", 2, "cell 'c0.5' is not a name"),
        (LONG + "0,,s0,1\n", 2, "cell '' is not a name"),
        (
            LONG + "0,c0,s0,1\n1,c0,s0,1\n0,c0,s0,2\n",
            4,
            "minute 0, cell c0, service s0 is given twice (first in line 2)",
        ),
        (LONG + "0,c0,s0\n", 2, "3 fields, the header has 4"),
        (LONG + '0,"c0,s0,1\n', 2, "not a CSV row"),
        (LONG, 1, "a header and no rows"),
        ("", None, "the file is empty"),
        ("minute,cell,service,count,colour\n0,c0,s0,1,red\n", 1, "unknown column 'colour'"),
        ("minute,cell,service\n0,c0,s0\n", 1, "no column 'count'"),
        ("minute,hour,count\n0,0,1\n", 1, "one time column is needed"),
        ("minute,cell,cell,count\n0,c0,c0,1\n", 1, "column 'cell' is given twice"),
        ("minute,,count\n0,c0,1\n", 1, "without a name"),
        ("cell,count\nc0,1\n", 1, "no time column"),
        ("minute,alpha,beta\n0,1,2\n", 1, "cells or services"),
        ("minute,c0,c1\n0,1,2\n1,3,x\n", 3, "count of c1 'x' is not a number"),
        ("minute,c0,c1\n0,1,2\n1,-3,4\n", 3, "count of c0 -3 is below 0"),
        ("minute,c0,c1\n0,1,2\n0,3,4\n", 3, "minute 0 is given twice (first in line 2)"),
        ("minute,c0,c1\n0,1,2\n2,3,4\n", 3, "no row for minute 1"),
        ("minute,c0,c1\n5,1,2\n6,3,4\n", None, "its first row is minute 5"),
        ("slot,c0,c1\n0,1,2\n", None, "how long is a slot"),
        ("t_s,service\n-1,a\n", 2, "t_s -1 is below 0"),
        ("t_s,service\n1e400,a\n", 2, "not finite"),
        ("t_s,lat\n1,45\n", 1, "lat and lon belong together"),
        ("t_s,cell,lat,lon\n1,c0,45,9\n", 1, "both cell and lat,lon"),
        ("t_s,lat,lon\n1,45,9\n", 1, "need sites"),
        ("t_s,lat,lon\n1,95,9\n", 2, "lat 95 is beyond 90 degrees"),
        ("t_s,service,tokens\n1,a,3\n", 1, "--ignore-column tokens"),
    ],
)
def test_a_broken_trace_is_refused_with_file_and_line(
    tmp_path: Path, content: str, line: int | None, text: str
) -> None:
    error = refused(tmp_path, content)
    assert text in str(error)
    assert error.file == tmp_path / "trace.csv"
    assert error.line == line
    assert str(error).startswith(f"{error.file}:{error.line}: " if error.line else f"{error.file}: ")


def test_a_trace_error_is_a_scenario_error_so_that_the_program_ends_with_exit_code_2() -> None:
    assert issubclass(TraceError, ScenarioError)
    assert TraceError("what", "a.csv", 3).problems == ("a.csv:3: what",)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "No such file" in str(refused_path(tmp_path, tmp_path / "nowhere.csv"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    (tmp_path / "trace.csv").write_text(WIDE)
    (tmp_path / "trace.csv").chmod(0)
    assert "Permission denied" in str(refused_path(tmp_path, tmp_path / "trace.csv"))


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    assert "cannot be read" in str(refused_path(tmp_path, tmp_path / "loop.csv"))


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    assert "not UTF-8 text" in str(refused(tmp_path, b"minute,c0\n0,\xff\xfe\n"))


def test_a_gzip_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    rows = "".join(f"{slot},{slot * 7919 % 1000},{slot * 104729 % 1000}\n" for slot in range(5000))
    packed = gzip.compress(("minute,c0,c1\n" + rows).encode())
    error = refused(tmp_path, packed[: len(packed) // 2], name="trace.csv.gz")
    assert "broken or cut off" in str(error)
    assert error.line is not None


def test_a_gz_file_that_is_no_gzip_is_refused(tmp_path: Path) -> None:
    assert "gzip is broken" in str(refused(tmp_path, WIDE, name="trace.csv.gz"))


def test_a_folder_without_traces_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    assert "no .csv or .csv.gz" in str(refused_path(tmp_path, folder))
    (folder / "sites.csv").write_text("cell,lat,lon\n0,1,2\n")
    assert "no trace in it" in str(refused_path(tmp_path, folder))


@pytest.mark.parametrize(
    ("content", "line", "text"),
    [
        ("cell,lat,lon\nc0,1,2\nc0,1,3\n", 3, "cell 'c0' is given twice (first in line 2)"),
        ("cell,lat,lon\nc0,99,2\n", 2, "lat 99 is beyond 90 degrees"),
        ("cell,lat,lon\nc0,north,2\n", 2, "lat 'north' is not a number"),
        ("cell,lat,lon\n", 1, "no rows"),
        ("name,lat,lon\nc0,1,2\n", 1, "no column 'cell'"),
    ],
)
def test_a_broken_table_of_cells_is_refused(tmp_path: Path, content: str, line: int, text: str) -> None:
    cells = tmp_path / "cells.csv"
    cells.write_text(content)
    error = refused(tmp_path, WIDE, cells=cells)
    assert text in str(error)
    assert (error.file, error.line) == (cells, line)


def test_a_cell_that_the_table_of_cells_does_not_know_is_refused(tmp_path: Path) -> None:
    cells = tmp_path / "cells.csv"
    cells.write_text("cell,row,col\nc0,0,0\n")
    assert "cell 'c1' is not in the table" in str(refused(tmp_path, WIDE, cells=cells))
    error = refused(tmp_path, LONG + "0,c0,s0,1\n0,c7,s0,1\n", cells=cells)
    assert error.line == 3


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("service,size_byte\ns0,1\n", "unknown column 'size_byte'"),
        ("service\ns0\n", "nothing is told"),
        ("service,size_bytes\ns1,1\n", "no row for service 's0'"),
        ("service,size_bytes\ns0,0\n", "size_bytes is 0"),
        ("service,size_bytes\ns0,-1\n", "below 0"),
    ],
)
def test_a_broken_table_of_services_is_refused(tmp_path: Path, content: str, text: str) -> None:
    services = tmp_path / "services.csv"
    services.write_text(content)
    assert text in str(refused(tmp_path, LONG + "0,c0,s0,1\n", services=services))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (Options(slot_s=90.0), "a slot of 90 s is not a whole multiple of the trace's rows of 60 s"),
        (Options(slot_s=30.0), "a slot of 30 s is not a whole multiple of the trace's rows of 60 s"),
        (Options(slot_s=600.0), "do not fill one slot"),
        (Options(slots=(0, 3)), "slots 0:3 are not in the trace, which has 2 slots"),
        (Options(start_s=30.0), "--from: 30 s is not a whole number of slots"),
        (Options(start_s=60.0, end_s=60.0), "slots 1:1 are not in the trace"),
        (Options(scale=1e12), "choose a smaller --scale"),
    ],
)
def test_slots_and_scales_that_do_not_fit_are_refused(tmp_path: Path, options: Options, text: str) -> None:
    assert text in str(refused(tmp_path, WIDE, options=options))


def test_a_trace_of_zeros_is_refused(tmp_path: Path) -> None:
    assert "no demand is left" in str(refused(tmp_path, "minute,c0\n0,0\n"))


def test_more_than_memory_holds_is_refused_before_it_is_taken(tmp_path: Path) -> None:
    error = refused(tmp_path, "t_s,cell,service\n0,a,x\n1e8,b,y\n", options=Options(slot_s=1.0))
    assert "more than 50,000,000 entries" in str(error)


def test_events_that_count_from_long_ago_are_refused_with_where_they_begin(tmp_path: Path) -> None:
    error = refused(tmp_path, "t_s,service\n1700000000,a\n1700000600,b\n", options=Options(slot_s=60.0))
    assert "--slots 28333333:" in str(error)


def test_traces_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(WIDE)
    (tmp_path / "b.csv").write_text(LONG + "0,c0,s0,1\n")
    assert "do not go together" in str(refused_path(tmp_path, tmp_path / "a.csv", tmp_path / "b.csv"))


def test_one_count_in_two_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(LONG + "0,c0,s0,1\n1,c0,s0,1\n")
    (tmp_path / "b.csv").write_text(LONG + "2,c0,s0,1\n1,c0,s0,1\n")
    error = refused_path(tmp_path, tmp_path / "a.csv", tmp_path / "b.csv")
    assert "minute 1, c0, s0 is also given in a.csv" in str(error)
    assert (error.file, error.line) == (tmp_path / "b.csv", 3)


def test_two_tables_of_cells_are_refused_until_one_is_chosen(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("trace.csv", "a.csv", "b.csv")]
    for path, content in zip(paths, (WIDE, *["cell,row,col\nc0,0,0\nc1,0,1\n"] * 2), strict=True):
        path.write_text(content)
    assert "choose one with --cells" in str(refused_path(tmp_path, *paths))
    import_traces(Request(tuple(paths), tmp_path / "out", cells=paths[2]))


def test_a_service_named_other_is_refused_when_the_rest_is_called_other(tmp_path: Path) -> None:
    content = LONG + "0,c0,other,5\n0,c0,s0,1\n0,c0,s1,1\n"
    assert "already named 'other'" in str(refused(tmp_path, content, options=Options(top=1)))
