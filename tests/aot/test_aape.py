"""AAPE's programs on TPUs: data parallel, and only the gradient is sent."""

import math

import jax
import numpy as np
import pytest

from aape_jax.core.head import parameter_count
from common.aot import compile_for
from common.aot.program import arguments
from common.data.coop_sets import COOP_SETS
from common.training.mesh import make_mesh
from common.training.method import find_method
from configs import aape, aape_retrieval

pytestmark = pytest.mark.tpu_backend
QUICK = "steps_per_call=2,log_every=2,save_every=2"
SLACK = 2 * 4096  # Metrics, and what the compiler pads; the run and the paper's form.


def gradient_bytes(config):
    state, *_ = arguments(find_method(config), make_mesh(8, 1))
    return 4 * sum(np.prod(leaf.shape) for leaf in jax.tree.leaves(state.trainable))


def test_one_small_all_reduce(models):
    where = f"model={models}/clip,data=none:,classes=16,shots=16,aggregator.heads=1,subsample=base"
    config = aape.get_config(f"{where},{QUICK},compare=()").lock()
    report = compile_for(config, "v5e:2x4")
    assert [each.kind for each in report.collectives] == ["all-reduce"]
    (reduced,) = report.collectives
    assert reduced.count == 1
    assert reduced.bytes < gradient_bytes(config) + SLACK


def test_retrieval_sends_no_more_than_features_and_gradients(models):
    where = f"model={models}/clip,data=none:,examples=256,batch=64"
    config = aape_retrieval.get_config(f"{where},generator.hidden=8,{QUICK},compare=()").lock()
    report = compile_for(config, "v5e:2x4")
    features = 4 * 64 * (24 + 64)
    total = sum(each.bytes for each in report.collectives)
    assert total < gradient_bytes(config) + 8 * features + SLACK
    assert report.memory.peak < report.memory.available


def test_retrieval_does_not_copy_all_captions_in_every_update(models):
    """Two gathers of one array want two layouts, and the compiler then copies all of it."""
    where = f"model={models}/clip,data=none:,examples=60000,batch=64"
    often = QUICK.replace("2", "40")
    config = aape_retrieval.get_config(f"{where},{often},compare=()").lock()
    report = compile_for(config, "v5e:1x1")
    _, frozen, _, _ = arguments(find_method(config), make_mesh(1, 1))
    assert report.traffic < math.prod(frozen["prompts"].shape) * 4


@pytest.mark.parametrize("name", COOP_SETS)
def test_the_papers_sets_have_their_protocol(name):
    config = aape.get_config(f"recipe={name},compare=()").lock()
    state, frozen, _, _ = arguments(find_method(config), make_mesh(8, 1))
    classes = (COOP_SETS[name].classes + 1) // 2
    assert frozen["x"].shape == (1, 16 * classes, 512)
    assert frozen["prompts"].shape == (classes, 90, 512)
    heads = {name: params["head"] for name, params in state.trainable.items()}
    sizes = {name: parameter_count(head) for name, head in heads.items()}
    assert sizes == {"aape": 262_144, "paper": 81_920}
