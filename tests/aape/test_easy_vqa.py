"""easy-VQA's own pictures: a part of them in seconds, all of them to the end."""

import json
import zipfile

import pytest

from aape_jax.tasks.vqa import VQA
from common.training import train
from configs.aape_vqa import get_config


@pytest.fixture
def easy_vqa(shared_data):
    folder = shared_data / "easy_vqa"
    if not folder.is_dir():
        pytest.skip(f"easy-VQA is absent ({folder}): github.com/vzhou842/easy-VQA")
    return folder


def part_of(source, folder, train, test):
    """The first images of each part, with their questions."""
    with zipfile.ZipFile(source / "images.zip") as archive:
        for part, count in (("train", train), ("test", test)):
            own = f"easy_vqa/data/{part}"
            archive.extractall(folder, [f"{own}/images/{number}.png" for number in range(count)])
            asked = json.loads((source / own / "questions.json").read_text())
            kept = [question for question in asked if question[2] < count]
            (folder / own / "questions.json").write_text(json.dumps(kept))
    return folder


def answered(folder, workdir, **changes):
    fields = {"tower": "small", "data": f"easy_vqa:{folder}", "cache": workdir / "cache"}
    fields |= {"compile_cache": "", "progress": "false", "mesh.data": 1, **changes}
    config = get_config(",".join(f"{name}={value}" for name, value in fields.items()))
    return train(VQA(config), config, workdir / "run")


@pytest.mark.slow
def test_a_tenth_of_it(easy_vqa, tmp_path):
    counts = {"batch": 320, "updates": 200, "steps_per_call": 50, "log_every": 50}
    sizes = {"side": 32, "hidden": 128, "generator.hidden": 32, "learning_rate": 3e-3}
    folder = part_of(easy_vqa, tmp_path / "data", train=400, test=100)
    result = answered(folder, tmp_path, save_every=0, **counts, **sizes)
    own, blind = result["metrics"], result["baselines"]["question_only"]
    assert own["accuracy"] > blind["accuracy"] + 0.1
    assert own["accuracy_other"] > blind["accuracy_other"] + 0.3


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_all_of_it(easy_vqa, tmp_path):
    result = answered(easy_vqa, tmp_path)
    assert result["metrics"]["accuracy"] > 0.95
    assert result["baselines"]["question_only"]["accuracy"] < 0.75
