"""Every text tower of the CLIPs that `common.clip` knows, without its weights."""

import functools
import json

import jax
import pytest

from common.clip.known import KNOWN, describe_clip
from common.training.mesh import make_mesh
from protext_jax.method import ProText
from protext_jax.training_texts import with_data
from tests.protext.tiny import settings

# Of models with the same text tower, the first.
MODELS = [
    model
    for number, (model, config) in enumerate(KNOWN.items())
    if config.text not in [other.text for other in list(KNOWN.values())[:number]]
]
CASES = [
    (model, length, depth)
    for model in MODELS
    for length, depth in ((4, 9), (16, 12))[: 2 if KNOWN[model].text.causal else 1]
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
