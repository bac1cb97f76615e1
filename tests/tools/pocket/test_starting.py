"""Trainings that go on from the bundled models."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common.clip.checkpoint import abstract_params
from common.diffusion import UNet
from common.errors import UserError
from common.nesting import flatten
from tests.mcti.tiny import random_params
from tools.pocket.corpus import sample_corpus
from tools.pocket.fitting import fit
from tools.pocket.recipe import Fit
from tools.pocket.starting import Start, carried_rows, single
from tools.pocket.train_clip import clip_config
from tools.pocket.train_unet import unet_config
from tools.pocket.train_vae import train_vae

pytestmark = pytest.mark.usefixtures("quick_compiler")

BUNDLED = "common/pocket/models"


@pytest.fixture(scope="module")
def start():
    return Start.opened(BUNDLED)


def test_no_folder_is_no_start():
    assert Start.opened("") is None


def test_a_folder_without_models_is_no_start(tmp_path):
    (tmp_path / "clip").mkdir()
    with pytest.raises(UserError, match="has no sd/"):
        Start.opened(str(tmp_path))


def test_a_word_keeps_its_row_and_a_new_one_has_the_mean_of_its_pieces(start):
    clip = start.clip
    rows = np.asarray(clip.params["text"]["token_embedding"], np.float32)
    words = ["star", "starfish", clip.tokenizer.word(300), ""]
    table = carried_rows(np.full((4, rows.shape[1]), 9.0, np.float32), words, clip)
    np.testing.assert_array_equal(table[0], rows[clip.tokenizer.encode("star")[0]])
    pieces = clip.tokenizer.encode("starfish")
    assert len(pieces) > 1
    np.testing.assert_array_equal(table[1], rows[pieces].mean(axis=0))
    np.testing.assert_array_equal(table[2], rows[300])
    assert (table[3] == 9).all()


def test_a_clip_goes_on_as_it_was(start):
    clip = start.clip
    drawn = jax.tree.map(
        lambda x: jnp.full(x.shape, 9.0), abstract_params(clip_config(clip.tokenizer))
    )
    params = start.clip_params(drawn, clip.tokenizer)
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, drawn)
    wanted = jax.tree.map(lambda x: np.asarray(x, np.float32), clip.params)
    jax.tree.map(np.testing.assert_array_equal, params, wanted)


def test_a_vae_that_goes_on_keeps_its_latents(start):
    config, before = start.sd.modules.vae.config, start.sd.params["vae"]
    plan = Fit(steps=2, batch=2, rate=1e-3)
    after = train_vae(sample_corpus(4, 0), config, plan, seed=0, start=start)
    assert jax.tree.map(jnp.shape, after) == jax.tree.map(jnp.shape, before)
    for name in ("encoder", "quant"):
        jax.tree.map(np.testing.assert_array_equal, after[name], before[name])
    moved = jax.tree.map(lambda x, y: np.abs(x - y).max(), after["decoder"], before["decoder"])
    assert max(jax.tree.leaves(moved)) > 1e-6


def test_a_unet_grows_by_transformers_that_add_nothing_at_first(start):
    large = UNet(unet_config(128))
    plain = {"down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D")}
    small = UNet(replace(large.config, **plain, up_block_types=("UpBlock2D", "CrossAttnUpBlock2D")))
    generator = np.random.default_rng(0)
    given = (
        jnp.asarray(generator.normal(size=(2, 8, 8, 8)), jnp.float32),
        jnp.array([30, 800]),
        jnp.asarray(generator.normal(size=(2, 22, 128)), jnp.float32),
    )
    known = random_params(small, *given, seed=1)
    start = replace(start, sd=replace(start.sd, params=start.sd.params | {"unet": known}))
    params = start.unet_params(random_params(large, *given))
    before = jax.jit(small.apply)({"params": known}, *given)
    np.testing.assert_allclose(jax.jit(large.apply)({"params": params}, *given), before, atol=1e-5)
    added = flatten(params).keys() - flatten(known).keys()
    assert any("cross_attention" in name for name in added)


def test_what_is_kept_stays_as_it_is(start):
    kept = start.kept(("vae",))
    assert kept.keys() == {"vae"}
    jax.tree.map(np.testing.assert_array_equal, kept["vae"], single(start.sd.params["vae"]))


def test_an_update_on_a_cpu_is_not_within_a_loop(monkeypatch):
    # Where it is, gradients of convolutions take about ten times as long.
    def no_loop(*args, **kwargs):
        raise AssertionError("a loop")

    monkeypatch.setattr(jax.lax, "scan", no_loop)
    plan = Fit(steps=1, batch=1, rate=0.1)
    data = np.ones(3, np.float32)
    fit("toy", lambda w, x, key: (w * x).sum(), jnp.ones(()), data, plan, jax.random.key(0))
