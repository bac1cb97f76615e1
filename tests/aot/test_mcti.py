"""MC-TI's program on TPUs: what it needs and that it sends nothing that matters."""

import json
import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from benchmarks.aot_table import gradient_bytes
from common.aot import compile_for
from common.aot.program import arguments
from common.aot.topology import topology_devices
from common.training.mesh import make_mesh
from common.training.method import find_method
from common.training.sharding import by_path
from common.weights.resolve import POCKET
from configs.mcti import get_config

pytestmark = pytest.mark.tpu_backend
SMALL = "classification=paper,samples=1,compare_ti=false,steps_per_call=2,log_every=2,save_every=2"
# From the paper's code; K of its twelve sets.
CLASSES = {
    **{"imagenet": 1000, "caltech": 102, "pets": 37, "cars": 196, "flowers": 102, "foods": 101},
    **{"aircrafts": 100, "dtd": 47, "eurosat": 10, "ucf": 101, "stl": 10, "cifar": 10},
}


def check_quiet(report, gradient):
    """Nothing but a few scalars leaves a device, and nothing as large as the gradient."""
    assert {each.kind for each in report.collectives} <= {"all-reduce"}
    assert sum(each.bytes for each in report.collectives) < 1024 < gradient
    assert report.memory.peak < report.memory.available


@pytest.mark.parametrize(("topology", "chips"), [("v5e:2x4", 8), ("v5e:16x16", 256)])
def test_classes_over_chips(settings, topology, chips):
    report = compile_for(settings(SMALL), topology)
    # Twelve classes, padded, of width 32.
    check_quiet(report, gradient=max(16, chips) * 32 * 4)
    assert report.mesh == {"data": chips, "model": 1}


def test_the_joint_term_sends_text_features_alone(settings):
    """There and back: the features of 64 classes, of width 24."""
    changes = f"{SMALL},alpha=0,classes=64".replace("=paper", "=joint")
    report = compile_for(settings(changes), "v5e:2x2")
    kinds = [each.kind for each in report.collectives]
    assert kinds == ["all-reduce", "all-gather", "reduce-scatter"]
    scalars, *features = (each.sent for each in report.collectives)
    assert scalars < 1024 and max(features) <= 64 * 24 * 4


@pytest.mark.parametrize(
    ("topology", "attention"), [("v5e:1x1", "auto"), ("v5e:2x2", "flash"), ("v5e:2x4", "auto")]
)
def test_the_flash_kernel(settings, write_models, topology, attention):
    # 64 x 64 latents, as Stable Diffusion has them at 512 pixels; four samples of a class, which
    # are a chip's own, so that four chips do not share them.
    folder = write_models(sample_size=64, block_out_channels=[8], attention_head_dim=1)
    changes = f"{SMALL},classes=8,classes_per_chunk=1,samples=4,attention={attention}"
    report = compile_for(settings(changes, folder), topology)
    probabilities = 4 * 4096 * 4096 * 4
    assert report.memory.temporary < probabilities
    check_quiet(report, gradient=8 * 32 * 4 + 1024)


def test_a_gradient_is_counted_where_its_kernels_run(settings, models):
    config = settings(f"{SMALL},classes=3,attention=flash", models)
    assert gradient_bytes(config, topology_devices("v5e:1x1")[0]) == 3 * 32 * 4


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not (POCKET / "sd").is_dir(), reason="the bundled models are absent")
@pytest.mark.parametrize("topology", ["v5e:2x4", "v6e:1x1"])
def test_the_bundled_models(topology):
    config = get_config("classification=paper").lock()
    report = compile_for(config, topology)
    check_quiet(report, gradient=2 * 20 * 32 * 4)
    assert report.updates_per_call == config.steps_per_call


def test_the_command(models, tmp_path):
    file = tmp_path / "report.json"
    where = f"model={models}/sd,clip={models}/clip,data=none:,classes=3,shots=2"
    run = subprocess.run(
        [
            *(sys.executable, "-m", "common.aot", "--topology=v6e:1x1", f"--report={file}"),
            f"--config=configs/mcti.py:{where},alpha=0,{SMALL}",
            "--config.seed=7",
        ],
        env=os.environ | {"XLA_FLAGS": ""},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert "v6e:1x1 (TPU v6 lite; mesh data 1 x model 1)" in run.stdout
    report = json.loads(file.read_text())
    peak, available = (report["memory"][name] / 2**30 for name in ("peak", "available"))
    assert 31 < available < 32  # The last digits are libtpu's own.
    assert f"{peak:.3f} of {available:.2f} GiB" in run.stdout
    assert report["flops"] > 0 and report["collectives"] == []
    assert report["config"]["seed"] == 7
    assert set(report["versions"]) == {"jax", "jaxlib", "libtpu"}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--config=configs/mcti.py"], "missing --topology"),
        (["--topology=v5e:1x1"], "missing --config"),
        (["--config=configs/mcti.py", "--topology=v5e-8"], "--topology=v5e-8 is not one"),
    ],
)
def test_the_command_refuses(options, sentence):
    run = subprocess.run(
        [sys.executable, "-m", "common.aot", *options], capture_output=True, text=True
    )
    assert run.returncode == 2
    assert run.stderr.startswith(f"error: {sentence}") and run.stderr.count("\n") == 1


@pytest.mark.parametrize("name", CLASSES)
def test_the_papers_sets_have_their_recipe(name, models):
    recipe = get_config(f"recipe={name}")
    assert (recipe.resolution, recipe.updates, recipe.shots) == (512, 3100, 5)

    where = f"model={models}/sd,clip={models}/clip,resolution=8"
    config = get_config(f"recipe={name},{where}")
    method = find_method(config)
    state, frozen, _, _ = arguments(method, make_mesh(8, 1))
    classes = CLASSES[name]
    rows = -(-classes // 8) * 8
    assert state.trainable["tokens"].shape == (rows, 1, 32)
    assert frozen["bank"].features.shape == (classes, 10, 24)
    assert frozen["rows"].mean.shape == (rows, 10, 4, 4, 4)


def test_the_papers_networks():
    config = get_config("recipe=oxford_flowers,dtype=bfloat16").lock()
    _, frozen, _, _ = arguments(find_method(config), make_mesh(8, 1))
    params = by_path(frozen["params"])
    sizes = {
        part: sum(leaf.size for path, leaf in params.items() if path.startswith(part))
        for part in ("unet", "text", "projection")
    }
    assert sizes == {"unet": 859_520_964, "text": 123_060_480, "projection": 768 * 768}
    assert {path.split("/")[0]: leaf.dtype for path, leaf in params.items()} == {
        "unet": jax.numpy.bfloat16,
        "text": jax.numpy.bfloat16,
        "projection": np.float32,
    }
    assert frozen["prompts"][0].embedded.shape == (27, 77, 768)
    assert frozen["rows"].mean.shape == (104, 10, 64, 64, 4)
