"""The head of answers on TPUs: data parallel, with and without a tower of its own."""

import jax
import numpy as np
import pytest

from common.aot import compile_for
from common.aot.program import arguments
from common.errors import UserError
from common.training.mesh import make_mesh
from common.training.method import find_method
from configs.aape_vqa import get_config

pytestmark = pytest.mark.tpu_backend
COUNTS = "examples=256,images=64,answers=7,batch=64,hidden=8,generator.hidden=8"
QUICK = "steps_per_call=2,log_every=2,save_every=2,compare=()"
SLACK = 2 * 4096  # Metrics, and what the compiler pads.


@pytest.mark.parametrize("tower", ["", "tower=small,side=16,per_image=4,"])
def test_only_gradients_are_sent(models, tower):
    where = f"{tower}model={models}/clip,data=none:,{COUNTS},{QUICK}"
    config = get_config(where).lock()
    state, frozen, _, feed = arguments(find_method(config), make_mesh(8, 1))
    assert frozen["seen"].shape == ((64, 16, 16, 3) if tower else (64, 24))
    assert feed.batches["rows"].shape == (2, 64 // config.per_image)
    report = compile_for(config, "v5e:2x4")
    gradients = 4 * sum(np.prod(leaf.shape) for leaf in jax.tree.leaves(state.trainable))
    assert {each.kind for each in report.collectives} == {"all-reduce"}
    assert sum(each.bytes for each in report.collectives) < gradients + SLACK
    assert report.memory.peak < report.memory.available


def test_numbers_must_be_stated(models):
    config = get_config(f"model={models}/clip,examples=8,answers=2").lock()
    with pytest.raises(UserError, match="examples=8, images=0, answers=2: compiling without"):
        find_method(config).abstract(make_mesh(8, 1))
