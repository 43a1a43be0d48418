"""The ``bench`` command: what it prints, and what it refuses."""

from dglmeta.bench.__main__ import groups, table
from dglmeta.cli import main


def row(group, engine, seconds, **extra):
    return {
        "group": group,
        "name": f"bench[{engine}]",
        "params": {"engine": engine},
        "stats": {"median": seconds},
        "extra_info": extra,
    }


def test_the_table_tells_our_share_of_the_quickest_rival():
    rows = [
        row("case", "scipy", 0.004, peak_mib=8.0),
        row("case", "dglmeta", 0.001, peak_mib=2.0),
        row("case", "mkl", 0.002),
    ]
    lines = table(rows).splitlines()
    assert [line.split()[0] for line in lines] == ["case", "dglmeta", "mkl", "scipy", "->"]
    assert "1.000 ms" in lines[1]
    assert "2 MiB" in lines[1]
    assert "0.50 of the quickest rival's time" in lines[4]


def test_without_a_rival_there_is_no_share():
    assert "->" not in table([row("case", "dglmeta", 0.001)])


def test_a_group_that_does_not_exist_is_refused_in_one_line(capsys):
    assert main(["bench", "no-such-benchmark"]) == 2
    line = capsys.readouterr().err
    assert line.startswith("dglmeta: bench: expected part of")
    assert line.count("\n") == 1
    assert all(name in line for name in groups())
