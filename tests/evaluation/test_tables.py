import pytest

from common.evaluation.tables import Value, markdown_table, metrics_tables, print_table

RESULT = {
    "method": "mcti",
    "dataset": "pocket:nameless",
    "model": "pocket",
    "metrics": {"accuracy": 0.9125, "drift/norm": 0.5, "drift/cosine": None},
    "baselines": {"nearest_class_mean": {"accuracy": 0.8}, "names": 0.25},
}


@pytest.mark.parametrize(
    ("value", "share", "shown"),
    [
        (Value(0.91254), True, "91.3"),
        (Value(0.91254), False, "0.913"),
        (Value(0.9, 0.0123), True, "90.0 ± 1.2"),
        (Value(12.0, 0.5), False, "12.000 ± 0.500"),
        (Value(None), True, "-"),
        (Value(float("nan")), False, "-"),
        (Value(0.0), True, "0.0"),
    ],
)
def test_values(value: Value, share: bool, shown: str):
    assert value.show(share) == shown


def test_counts_have_no_decimals():
    rows = {"m": {"parameters": Value(20480.0), "loss": Value(2.0)}, "n": {"loss": Value(1.5)}}
    assert [line.split(" | ")[1:] for line in metrics_tables(rows).splitlines()[2:]] == [
        ["     20480", "2.000 |"],
        ["         -", "1.500 |"],
    ]
    assert Value(20480.0, 3.2).show(share=False, count=True) == "20480 ± 3"


def test_columns_are_aligned_and_numbers_stand_right():
    table = markdown_table(["method", "accuracy"], [["a|b", "1.0"], ["longer", "-"]])

    assert table.splitlines() == [
        "| method | accuracy |",
        "| ------ | -------: |",
        "| a\\|b   |      1.0 |",
        "| longer |        - |",
    ]


def test_methods_and_baselines_share_a_table(capsys):
    print_table(RESULT)

    assert capsys.readouterr().out.splitlines() == [
        "mcti on pocket:nameless with pocket",
        "| method             | accuracy (%) |",
        "| ------------------ | -----------: |",
        "| mcti               |         91.2 |",
        "| nearest_class_mean |         80.0 |",
        "| names              |         25.0 |",
        "",
        "| drift |  norm | cosine |",
        "| ----- | ----: | -----: |",
        "| mcti  | 0.500 |      - |",
    ]


def test_halves_of_the_classes_stand_side_by_side():
    rows = {"m": {"base/accuracy": Value(0.5), "new/accuracy": Value(0.25), "new/loss": Value(1.0)}}

    header = metrics_tables(rows).splitlines()[0]

    assert header == "| method | base accuracy (%) | new accuracy (%) | new loss |"


def test_a_single_further_set_is_headed_as_several_are():
    rows = {"m": {"accuracy": Value(1.0), "cars/accuracy": Value(0.5), "text/cosine": Value(1.0)}}

    headers = [table.splitlines()[0] for table in metrics_tables(rows).split("\n\n")]

    assert headers == [
        "| method | accuracy (%) |",
        "| accuracy (%) | cars |",
        "| text | cosine |",
    ]


def test_one_metric_on_several_sets_is_one_table():
    rows = {
        "m": {"cars/accuracy": Value(0.5), "sun/accuracy": Value(0.25), "text/cosine": Value(1.0)},
        "n": {"sun/accuracy": Value(0.75)},
    }

    assert metrics_tables(rows).splitlines() == [
        "| accuracy (%) | cars |  sun |",
        "| ------------ | ---: | ---: |",
        "| m            | 50.0 | 25.0 |",
        "| n            |    - | 75.0 |",
        "",
        "| text | cosine |",
        "| ---- | -----: |",
        "| m    |  1.000 |",
    ]
