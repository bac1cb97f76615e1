"""ProText's program on TPUs: one sum of the prompts' gradients and nothing else."""

import json

import pytest

from common.aot import compile_for
from configs.protext import get_config

pytestmark = pytest.mark.tpu_backend
CLASSES, LENGTH, DEPTH, WIDTH = 12, 4, 2, 32


@pytest.fixture
def settings(models, tmp_path):
    """A config for the small CLIP and a corpus of as many classes, changed by "key=value,..."."""
    corpus = {f"class {'abcdefghijkl'[k]}": ["a thing", "a photo"] for k in range(CLASSES)}
    (tmp_path / "corpus.json").write_text(json.dumps(corpus))
    where = (
        f"model={models}/clip,prompts.source={tmp_path}/corpus.json,updates=2,epochs=2,held_out=0"
    )
    steps = "steps_per_call=2,log_every=2,save_every=2"

    def make(arg):
        return get_config(f"{where},{steps},depth={DEPTH},length={LENGTH},{arg}").lock()

    return make


@pytest.mark.parametrize("topology", ["v5e:2x4", "v5e:4x4", "v5e:16x16"])
def test_the_only_collective_is_the_sum_of_the_gradients(settings, topology):
    report = compile_for(settings("loss=l2"), topology)
    (only,) = report.collectives
    assert (only.kind, only.count) == ("all-reduce", 1)
    gradient = 4 * DEPTH * LENGTH * WIDTH
    # Beside the gradient, the loss and the cosine; the compiler may pad.
    assert gradient <= only.bytes <= gradient + 8192
    assert report.memory.peak < report.memory.available


def test_a_grid_is_one_program(settings):
    report = compile_for(settings("sweep=true,grid.seed=(0,1,2)"), "v5e:2x4")
    (only,) = report.collectives
    assert only.count == 1  # of all 12 runs together
