"""GPT-2 and GPT-J against transformers: logits, gradients, and generated texts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common.language import beam_search, greedy, load_lm
from tests.compare import relative_error

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.reference

TOLERANCE = 1e-5
EOS = 7
SIZES = {
    "vocab_size": 300,
    "n_embd": 32,
    "n_layer": 3,
    "n_head": 4,
    "n_positions": 48,
    "bos_token_id": EOS,
    "eos_token_id": EOS,
}
KINDS = {
    "gpt2": lambda: transformers.GPT2LMHeadModel(transformers.GPT2Config(**SIZES)),
    "gptj": lambda: transformers.GPTJForCausalLM(
        transformers.GPTJConfig(**SIZES, rotary_dim=4, tie_word_embeddings=False)
    ),
}


@pytest.fixture(scope="module", params=KINDS)
def pair(request, tokenizer, tmp_path_factory):
    """transformers' model with random weights, and ours loaded from what it saves."""
    torch.manual_seed(0)
    theirs = KINDS[request.param]().eval().requires_grad_(False)
    for name, tensor in theirs.named_parameters():
        around = 1.0 if name.endswith("weight") and ".ln_" in name else 0.0
        tensor.normal_(around, 0.25)
    # So that some texts end, and at different lengths.
    head = theirs.get_output_embeddings()
    head.weight[EOS] *= 3
    if head.bias is not None:
        head.bias[EOS] += 2
    directory = tmp_path_factory.mktemp(request.param)
    theirs.save_pretrained(directory)
    tokenizer.save(directory)
    return theirs, load_lm(str(directory))


@pytest.fixture(scope="module")
def ids():
    """Six rows that start with up to four tokens of padding."""
    drawn = np.random.default_rng(0).integers(8, 300, (6, 9))
    mask = np.arange(9) >= np.array([[0], [4], [1], [0], [2], [3]])
    return drawn, mask


def positions(mask):
    """Theirs would count the padding, too."""
    return torch.tensor(np.maximum(np.cumsum(mask, axis=1) - 1, 0))


def test_logits(pair, ids):
    theirs, lm = pair
    ids, mask = ids
    wanted = theirs(
        torch.tensor(ids), attention_mask=torch.tensor(mask), position_ids=positions(mask)
    ).logits
    variables = {"params": lm.params}
    embedded = lm.model.apply(variables, jnp.asarray(ids), method="embed")
    hidden, _ = jax.jit(lm.model.apply)(variables, embedded, jnp.asarray(mask))
    logits = lm.model.apply(variables, hidden, method="logits")
    for row, own, real in zip(logits, wanted, mask, strict=True):
        assert relative_error(row[real], own[real]) <= TOLERANCE


def test_gradient_with_respect_to_embeddings(pair):
    theirs, lm = pair
    rng = np.random.default_rng(0)
    given = rng.normal(size=(2, 7, 32)).astype(np.float32)
    direction = rng.normal(size=(2, 7, 300)).astype(np.float32)
    embeddings = torch.tensor(given, requires_grad=True)
    (theirs(inputs_embeds=embeddings).logits * torch.tensor(direction)).sum().backward()

    def ours(remat):
        model = lm.model.clone(remat=remat)

        def loss(embeddings):
            hidden, _ = model.apply({"params": lm.params}, embeddings)
            logits = model.apply({"params": lm.params}, hidden, method="logits")
            return (logits * direction).sum()

        return jax.jit(jax.grad(loss))(jnp.asarray(given))

    for remat in (False, True):
        assert relative_error(ours(remat), embeddings.grad) <= TOLERANCE


@pytest.mark.parametrize("beams", [1, 2, 5])
@pytest.mark.parametrize("penalty", [1.0, 0.3])
def test_generated_texts(pair, ids, beams, penalty):
    theirs, lm = pair
    ids, mask = ids
    wanted = theirs.generate(
        torch.tensor(ids),
        attention_mask=torch.tensor(mask),
        max_new_tokens=10,
        do_sample=False,
        num_beams=beams,
        length_penalty=penalty,
        pad_token_id=EOS,
    )[:, 9:].numpy()
    embedded = lm.model.apply({"params": lm.params}, jnp.asarray(ids), method="embed")
    prompt = (lm.model, lm.params, embedded, jnp.asarray(mask))
    if beams == 1:
        found = greedy(*prompt, length=10)
    else:
        found = beam_search(*prompt, length=10, beams=beams, length_penalty=penalty)
    wanted = np.pad(wanted, ((0, 0), (0, 10 - wanted.shape[1])), constant_values=EOS)
    np.testing.assert_array_equal(found, wanted)
    assert (wanted == EOS).any(), "no text ended, so the rules for ended texts were not compared"
