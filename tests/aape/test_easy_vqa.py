"""easy-VQA, all of it: a minute on two cores."""

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


def answered(folder, workdir):
    fields = {"tower": "small", "data": f"easy_vqa:{folder}", "cache": workdir / "cache"}
    fields |= {"compile_cache": "", "progress": "false", "mesh.data": 1}
    config = get_config(",".join(f"{name}={value}" for name, value in fields.items()))
    return train(VQA(config), config, workdir / "run")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_all_of_it(easy_vqa, tmp_path):
    result = answered(easy_vqa, tmp_path)
    assert result["metrics"]["accuracy"] > 0.95
    assert result["baselines"]["question_only"]["accuracy"] < 0.75
