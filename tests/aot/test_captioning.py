"""A frozen GPT-J in parts on eight chips, behind a small CLIP."""

import json

import jax
import numpy as np
import pytest

from common.aot import compile_for
from common.aot.program import arguments
from common.errors import UserError
from common.language import describe_lm
from common.training.mesh import make_mesh
from common.training.method import find_method
from configs.aape_captioning import get_config

pytestmark = pytest.mark.tpu_backend
GPTJ = {
    "model_type": "gptj",
    "vocab_size": 1024,
    "n_embd": 256,
    "n_layer": 2,
    "n_head": 8,
    "n_positions": 128,
    "rotary_dim": 8,
    "eos_token_id": 0,
}
KERNEL = 2 * 256 * 4 * 256  # bytes of the MLP's, in bfloat16
COUNTS = "examples=64,batch=16,lm.length=16,steps_per_call=2,log_every=2,save_every=2"


@pytest.fixture(scope="module")
def where(models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lm")
    (folder / "config.json").write_text(json.dumps(GPTJ))
    return f"model={models}/clip,lm.model={folder},data=none:,{COUNTS},compare=()"


def lm_bytes(config):
    leaves = jax.tree.leaves(describe_lm(config.lm.model).params)
    return 2 * sum(np.prod(leaf.shape) for leaf in leaves)  # bfloat16


def test_each_chip_holds_an_eighth_of_the_language_model(where):
    spread = get_config(f"{where},mesh.data=1,mesh.model=8").lock()
    whole = get_config(f"{where},mesh.data=8,mesh.model=1").lock()
    few, all_of_it = (compile_for(config, "v5e:2x4") for config in (spread, whole))
    saved = all_of_it.memory.arguments - few.memory.arguments
    assert saved > 0.8 * 7 / 8 * lm_bytes(spread)
    assert few.memory.peak < few.memory.available
    # A block sums its halves; whole weights are on no chip, and without being asked nowhere sent.
    largest = {each.kind: each.largest for each in few.collectives}
    assert "all-reduce" in largest
    assert largest.get("all-gather", 0) < KERNEL  # of activations
    assert "all-gather" not in {each.kind for each in all_of_it.collectives}


def test_the_published_model_is_shared_evenly(models):
    where = f"model={models}/clip,lm.model=EleutherAI/gpt-j-6b,data=none:,examples=64"
    config = get_config(f"{where},mesh.data=1,mesh.model=8").lock()
    _, frozen, _, _ = arguments(find_method(config), make_mesh(1, 8))
    split = {
        path: np.prod(leaf.shape) // np.prod(leaf.sharding.shard_shape(leaf.shape))
        for path, leaf in jax.tree.leaves_with_path(frozen["lm"])
        if np.prod(leaf.shape) > 20_000
    }
    assert set(split.values()) == {8}


def test_sizes_must_be_known(models):
    config = get_config(f"model={models}/clip,lm.model=nobody/knows,examples=8").lock()
    with pytest.raises(UserError, match="the sizes of the model 'nobody/knows' are not known"):
        find_method(config).abstract(make_mesh(8, 1))
    config = get_config(f"model={models}/clip,lm.model=EleutherAI/gpt-j-6b").lock()
    with pytest.raises(UserError, match="examples=0: compiling without the images"):
        find_method(config).abstract(make_mesh(8, 1))
