"""The table that a run prints first."""

from pathlib import Path

from ml_collections import ConfigDict

from common.training.mesh import make_mesh
from common.training.summary import summary_rows, summary_table

CONFIG = ConfigDict({"model": "pocket"})


def test_rows_stand_in_one_order_whatever_a_method_tells_first():
    told = {"sentences": "40", "kept for the test": "12 photos", "classes": "12"}
    rows = summary_rows("toy", told, CONFIG, make_mesh(1, 1), Path("runs/a"))
    assert list(rows) == [
        *("method", "classes", "kept for the test", "sentences"),
        *("model", "device", "folder"),
    ]
    assert rows["device"] == "1 x cpu"
    assert rows["folder"] == "runs/a"


def test_a_method_may_say_more_of_its_model_and_leaves_out_what_it_does_not_know():
    told = {"model": "pocket and its CLIP", "passed over": ""}
    rows = summary_rows("toy", told, CONFIG, make_mesh(1, 1), Path("runs/a"))
    assert rows["model"] == "pocket and its CLIP"
    assert "passed over" not in rows


def test_values_stand_below_one_another():
    table = summary_table({"classes": "2", "learns from": "4\nphotos"})
    assert table == "classes      2\nlearns from  4 photos"


def test_a_run_prints_it_before_it_loads_what_takes_long(runs, tmp_path, capsys, monkeypatch):
    load = runs.toy.Toy.load

    def slow(self, mesh, tell):
        loaded = load(self, mesh, tell)
        print("encoding")
        return loaded

    monkeypatch.setattr(runs.toy.Toy, "load", slow)
    runs.train(tmp_path, "updates=5")
    out = capsys.readouterr().out
    assert out.startswith("method ") and "classes  8\n" in out
    assert out.index("classes  8") < out.index("encoding") < out.index("toy: compiling")
