import pytest

from common.aot.collectives import Collectives
from common.aot.roofline import HOP, roofline
from common.chips import CHIPS
from tests.aot import toy

MEGABYTE = 10**6


@pytest.fixture(autouse=True)
def versions(monkeypatch):
    """A report names the compiler's version, which need not be installed."""
    monkeypatch.setattr("common.aot.report.version", lambda name: f"{name} 1.0")


def sent(kind, size=0, runs=1):
    return Collectives(kind, 1, size, size, float(runs), float(size))


def test_the_longer_of_arithmetic_and_memory():
    one = roofline("v5e:1x1", flops=197 * 10**9, traffic=819 * 10**5, collectives=())
    assert (one.compute, one.memory, one.network) == pytest.approx((1e-3, 1e-4, 0))
    assert one.seconds == one.work == one.compute and one.efficiency == 1
    assert one.intensity == pytest.approx(10 * one.ridge)
    other = roofline("v5e:1x1", flops=197 * 10**8, traffic=819 * 10**6, collectives=())
    assert other.seconds == other.memory == pytest.approx(1e-3)


@pytest.mark.parametrize(
    ("topology", "kind", "seconds"),
    [
        # Two links of 50 GB/s, four hops to the farthest chip; a reduction goes twice.
        ("v5e:2x4", "all-gather", 1e6 / 100e9 + 4 * HOP),
        ("v5e:2x4", "all-reduce", 2 * (1e6 / 100e9 + 4 * HOP)),
        ("v5e:16x16", "reduce-scatter", 1e6 / 100e9 + 30 * HOP),
        ("v6e:2x4", "all-gather", 1e6 / 200e9 + 4 * HOP),
        ("v5p:2x2x1", "all-gather", 1e6 / 200e9 + 2 * HOP),
        ("v5p:2x2x2", "all-gather", 1e6 / 300e9 + 3 * HOP),
    ],
)
def test_a_collective(topology, kind, seconds):
    found = roofline(topology, 10**9, 10**6, [sent(kind, MEGABYTE)])
    assert found.network == pytest.approx(seconds)


def test_each_run_waits_and_bytes_are_those_of_all_runs():
    found = roofline("v5e:2x4", 10**9, 10**6, [sent("all-gather", 3 * MEGABYTE, runs=3)])
    assert found.network == pytest.approx(3 * (1e6 / 100e9 + 4 * HOP))


def test_weak_scaling():
    found = roofline("v5e:2x4", 197 * 10**9, 0, [sent("all-gather", runs=250)])
    assert found.work == pytest.approx(1e-3) and found.network == pytest.approx(1e-3)
    assert found.efficiency == pytest.approx(0.5)


def test_an_unknown_generation():
    assert roofline("v4:2x2x1", 10**9, 10**6, ()) is None
    assert toy.report(topology="v4:2x2x1").to_dict()["roofline"] is None


def test_the_vendors_figures():
    links = {"v5e": 4, "v5p": 6, "v6e": 4}
    both_ways = {name: 2 * links[name] * chip.link for name, chip in CHIPS.items()}
    assert both_ways == {"v5e": 400e9, "v5p": 1200e9, "v6e": 800e9}


def test_a_report_tells_it(capsys):
    from rich.console import Console

    report = toy.report(collectives=(sent("all-reduce", runs=62.5),))
    Console(width=200).print(report.table())
    printed = capsys.readouterr().out
    assert "least time of an update" in printed and "1.5 ms" in printed
    assert "predicted weak scaling" in printed and "66.67%" in printed
    assert report.to_dict()["roofline"]["efficiency"] == pytest.approx(2 / 3)
