"""The judge's table of MC-TI's runs: which runs it takes, and whose pictures stand for whom."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import mcti_judged
from common.errors import UserError
from common.pocket.world import NAMELESS
from configs.mcti import get_config


def written(folder, fields=""):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(get_config(fields).to_json())
    return folder


def test_a_folder_is_a_run_or_holds_some(tmp_path):
    runs = [written(tmp_path / f"seed{seed}") for seed in range(3)]
    assert mcti_judged.runs_in(tmp_path) == runs
    assert mcti_judged.runs_in(runs[1]) == [runs[1]]


def test_other_folders_are_refused(tmp_path):
    with pytest.raises(UserError, match="neither a run nor a folder of runs"):
        mcti_judged.runs_in(tmp_path)
    for fields, told in (("data=pocket:rare", "data are pocket:rare"), ("model=sd", "model is sd")):
        run = written(tmp_path / told.split()[0] / "seed0", fields)
        with pytest.raises(UserError, match=f"its {told}: give runs o"):
            mcti_judged.runs_in(run.parent)


def test_each_class_is_drawn_with_its_own_word():
    tokens = [
        SimpleNamespace(token=f"<word{n}>", metadata={"class": species.name})
        for n, species in reversed([*enumerate(NAMELESS)])
    ]
    run = SimpleNamespace(tokens=tokens, config=get_config("generate.prompt=one {}"))
    assert mcti_judged.prompts_of(run) == [f"one <word{n}>" for n in range(len(NAMELESS))]


def test_the_photos_find_the_nearest_class():
    photos = SimpleNamespace(
        train_features=np.eye(3)[[0, 0, 2]], train=SimpleNamespace(labels=np.array([0, 0, 1]))
    )
    pictures = np.array([[2.0, 0, 1], [0, 0, 1], [1, 0, 3]])
    assert mcti_judged.found_by_photos(photos, pictures, np.array([0, 1, 0])) == {
        "by photos": pytest.approx(2 / 3)
    }
