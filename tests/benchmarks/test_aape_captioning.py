"""The tables of captions and answers over seeds: what is run, and what a cell holds."""

import pytest
from absl import flags

from benchmarks import aape_captioning
from common.files import write_json


@pytest.fixture
def commands(monkeypatch, tmp_path):
    """Writes what the commands would, and notes their names."""
    found = []

    def command(name, *arguments):
        found.append(name)
        (folder,) = (x.partition("=")[2] for x in arguments if x.startswith("--workdir="))
        seed = int(folder[-1])
        own = {"cider_d": 0.5 + 0.2 * seed, "nats_per_token": 1.0}
        if name == "evaluate":
            own = {"0_shot/accuracy": 0.4 + 0.1 * seed}
        result = {"method": "aape", "metrics": own, "baselines": {"blind": {"other": 1.0}}}
        file = {"train": "result.json", "evaluate": "eval/pocket-questions.json"}[name]
        write_json(tmp_path / f"seed{seed}" / file, result)
        pictures = {f"test-{n}": {"aape": {"greedy": "a photo"}} for n in range(200)}
        write_json(tmp_path / f"seed{seed}" / "captions.json", pictures)

    monkeypatch.setattr(aape_captioning, "_command", command)
    return found


def test_tables_are_of_all_seeds_and_runs_are_not_repeated(commands, tmp_path, capsys, monkeypatch):
    values = flags.FlagValues()
    monkeypatch.setattr(aape_captioning.flags, "FLAGS", values)
    flags.DEFINE_string("out", str(tmp_path), "", flag_values=values)
    flags.DEFINE_integer("seeds", 2, "", flag_values=values)
    flags.DEFINE_string("base", "", "", flag_values=values)
    values(["program"])
    for _ in range(2):
        aape_captioning.main([])
    assert commands == ["train", "evaluate"] * 2
    text = capsys.readouterr().out
    assert "0.600 ± 0.141" in text and "45.0 ± 7.1" in text
    assert "blind" not in text


def test_captions_are_right_where_they_name_what_people_name():
    people = [("two red-striped blue crosses on sand", "a photo of crosses"), ("a green fish",)]
    captions = {
        "test-0": {
            "aape": {"greedy": "blue crosses with red dots on the sand"},
            "none": {"greedy": "a red cross on sandstone"},
        },
        "test-1": {
            "aape": {"greedy": "green fish on sand"},
            "none": {"greedy": "a star striped in green and green"},
        },
    }
    found = aape_captioning.rightly_named(captions, people)
    assert found["aape"] == {
        "outline_accuracy": 1.0,
        "ground_accuracy": 0.5,
        "both_colours_accuracy": 1.0,
    }
    assert found["none"] == {
        "outline_accuracy": 0.5,
        "ground_accuracy": 0.5,
        "both_colours_accuracy": 0.5,
    }
