"""Kinds of attention that a device cannot run, and what `auto` stands for on each."""

from types import SimpleNamespace

import jax
import pytest

from common import attention
from common.attention import choose_attention
from common.errors import UserError
from common.training.mesh import make_mesh
from configs.mcti import RECIPES, get_config
from mcti_jax import method
from mcti_jax.method import MCTI

V5, V2 = ("tpu", "TPU v5 lite"), ("tpu", "TPU v2")
H100, T4 = ("gpu", "NVIDIA H100 80GB HBM3"), ("gpu", "Tesla T4")
CPU = ("cpu", "cpu")


def chip(platform, kind):
    return SimpleNamespace(platform=platform, device_kind=kind)


@pytest.mark.parametrize(
    ("name", "device", "chosen"),
    [
        ("auto", V5, "flash"),
        ("auto", ("tpu", "TPU v4"), "flash"),
        ("auto", ("tpu", "TPU v6 lite"), "flash"),
        ("auto", V2, "plain"),
        ("auto", ("tpu", "TPU v3"), "plain"),
        ("auto", H100, "fused"),
        ("auto", T4, "fused"),
        ("auto", CPU, "plain"),
        ("auto", ("METAL", "Apple M3"), "plain"),
        ("flash", V5, "flash"),
        ("fused", H100, "fused"),
        ("fused", CPU, "fused"),
        ("plain", V5, "plain"),
        ("plain", CPU, "plain"),
    ],
)
def test_what_a_device_runs(name, device, chosen):
    assert choose_attention(name, chip(*device)) == chosen


@pytest.mark.parametrize("device", [CPU, H100, T4, V2], ids=lambda device: device[1])
def test_the_kernel_for_tpus_is_refused_elsewhere(device):
    with pytest.raises(UserError, match=rf"attention='flash' .* on {device[1]}: leave it at"):
        choose_attention("flash", chip(*device))


@pytest.mark.parametrize("name", ["", "quick", "Flash", "auto ", "none"])
def test_other_names_are_refused_everywhere(name):
    with pytest.raises(UserError, match="is unknown; choose one of auto, plain, fused, flash"):
        choose_attention(name, chip(*V5))


@pytest.mark.parametrize("recipe", ["", *RECIPES])
def test_every_recipe_leaves_it_to_the_device(recipe):
    assert get_config(f"recipe={recipe}" if recipe else None).attention == "auto"


@pytest.mark.parametrize("name", ["flash", "quick"])
def test_a_run_is_refused_before_anything_is_loaded(name, monkeypatch):
    def never(*_):
        raise AssertionError("the models were loaded")

    monkeypatch.setattr(method, "gather", never)
    config = get_config(f"recipe=photos,attention={name}")
    with pytest.raises(UserError, match=f"attention='{name}'"):
        MCTI(config).load(make_mesh(1, 1))


@pytest.mark.parametrize(
    ("backend", "capability", "taken"),
    [
        *(("gpu", capability, True) for capability in ("8.0", "9.0", "10.3", "12.0")),
        *(("gpu", capability, False) for capability in ("7.5", "gfx90a", None)),
        ("cpu", None, False),
        ("tpu", None, False),
    ],
)
def test_cudnns_kernel_wants_ampere(monkeypatch, backend, capability, taken):
    """A T4, as Colab lends it, has no such kernel and takes XLA's attention."""
    own = {} if capability is None else {"compute_capability": capability}
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    monkeypatch.setattr(jax, "local_devices", lambda: [SimpleNamespace(**own)])
    assert attention._has_cudnn_kernel() is taken
