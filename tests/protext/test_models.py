"""Every kind of text tower among the CLIPs that `common.clip` knows, without its weights.

Towers of one kind differ in their sizes alone, which `tests.clip.test_known` counts, so the
smallest stands for all: what a wider or deeper one does is the same, and takes seconds to trace.
"""

import functools
import json
from dataclasses import replace

import jax
import pytest

from common.clip.known import KNOWN, describe_clip
from common.training.mesh import make_mesh
from common.weights.resolve import POCKET
from protext_jax.method import ProText
from protext_jax.options import with_data
from tests.protext.tiny import settings

SIZES = ("vocab_size", "width", "layers", "heads", "mlp_width", "projection")
# The smallest of each kind stands last, and stays.
SMALLEST = {
    replace(KNOWN[model].text, **dict.fromkeys(SIZES, 0)): model
    for model in sorted(KNOWN, key=lambda x: (KNOWN[x].text.layers, KNOWN[x].text.width))[::-1]
}
LENGTHS = ((4, 9), (16, 12))
CASES = [
    (model, length, depth)
    for kind, model in SMALLEST.items()
    for length, depth in LENGTHS[: 2 if kind.causal else 1]
]


@pytest.fixture(scope="module", autouse=True)
def described_once():
    """Sizes of a model take seconds to find, and every test of it asks for the same ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("protext_jax.method.describe_clip", functools.cache(describe_clip))
        yield


@pytest.mark.parametrize(("model", "length", "depth"), CASES)
def test_every_clip_takes_prompts(model, length, depth, tmp_path):
    corpus = tmp_path / "corpus.json"
    corpus.write_text(json.dumps({"cat": ["It purrs.", "It scratches."], "dog": ["It barks."]}))
    changes = {"prompts.source": f"json:{corpus}", "held_out": 0, "updates": 1}
    config = with_data(settings(model=model, length=length, depth=depth, **changes))
    mesh = make_mesh(1, 1)
    method = ProText(config)
    found = method.abstract(mesh)
    trainable = method.init(jax.random.key(0))
    with jax.set_mesh(mesh):
        (loss, _), gradient = jax.eval_shape(
            jax.value_and_grad(method.loss, has_aux=True),
            trainable,
            found.frozen,
            found.source.batch(0),
            jax.random.key(0),
        )
    width = KNOWN[model].text.width
    assert loss.shape == () and gradient["prompts"].shape == (1, depth, length, width)


def test_a_model_in_one_file(tmp_path):
    file = POCKET / "clip" / "model.safetensors"
    corpus = tmp_path / "corpus.json"
    corpus.write_text(json.dumps({"cat": ["It purrs."], "dog": ["It barks."]}))
    changes = {"prompts.source": f"json:{corpus}", "held_out": 0, "epochs": 7}
    assert ProText(settings(model=str(file), **changes)).config.updates == 7


@pytest.mark.parametrize("model", KNOWN)
def test_every_clip_has_blocks_and_positions_enough(model):
    text = KNOWN[model].text
    for length, depth in LENGTHS[: 2 if text.causal else 1]:
        assert text.layers >= depth and text.first + length < text.positions
