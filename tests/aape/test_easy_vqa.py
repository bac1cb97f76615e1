"""easy-VQA, all of it: a minute on two cores."""

import pytest

from aape_jax.vqa.method import VQA
from common.training import train
from configs.aape_vqa import get_config


@pytest.fixture
def easy_vqa(shared_data):
    folder = shared_data / "easy_vqa"
    if not folder.is_dir():
        pytest.skip(f"easy-VQA is absent ({folder}): github.com/vzhou842/easy-VQA")
    return folder


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_all_of_it(easy_vqa, tmp_path):
    fields = {"tower": "small", "data": f"easy_vqa:{easy_vqa}", "cache": tmp_path / "cache"}
    fields |= {"compile_cache": "", "progress": "false", "mesh.data": 1}
    config = get_config(",".join(f"{name}={value}" for name, value in fields.items()))
    result = train(VQA(config), tmp_path / "run")
    assert result["metrics"]["accuracy"] > 0.95
    assert result["baselines"]["question_only"]["accuracy"] < 0.75
