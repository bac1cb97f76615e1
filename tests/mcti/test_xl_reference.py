"""An update on Stable Diffusion XL against PyTorch, with every random choice as an input."""

import jax.numpy as jnp
import numpy as np
import pytest

from common.data.templates import TEMPLATES
from common.diffusion import save_stable_diffusion
from mcti_jax.formats import LearnedToken, write_token
from mcti_jax.method import MCTI
from mcti_jax.prompts import Prompts
from mcti_jax.widths import join, split
from tests.mcti.tiny_xl import IMAGE, SCALE, WIDTHS, tiny_xl
from tests.mcti.xl_problem import LABELS, SAMPLES, VECTORS, xl_problem

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
pytest.importorskip("transformers")
safetensors = pytest.importorskip("safetensors.torch")
pytestmark = [
    pytest.mark.reference,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

ALPHA, GAMMA, LOGIT_SCALE = 0.8, 0.6, 10.0


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return tiny_xl(tmp_path_factory.mktemp("xl"))


@pytest.fixture(scope="module")
def pipeline(tiny, tmp_path_factory):
    """diffusers' networks on the files that we write, in float64."""
    folder = tmp_path_factory.mktemp("saved")
    save_stable_diffusion(tiny.sd, folder)
    loaded = diffusers.StableDiffusionXLPipeline.from_pretrained(folder, add_watermarker=False)
    for module in (loaded.unet, loaded.vae, loaded.text_encoder, loaded.text_encoder_2):
        module.eval().requires_grad_(False).double()
    # As published, the second encoder pools at the largest id, which a learned word would have.
    # Web UIs, and this package, pool at the text's end.
    poolers = [x for x in loaded.text_encoder_2.modules() if hasattr(x, "eos_token_id")]
    assert [pooler.eos_token_id for pooler in poolers] == [2]
    poolers[0].eos_token_id = tiny.sd.tokenizers[1].eos
    return loaded


def to_torch(x):
    return torch.from_numpy(np.array(x, np.float64))


def close(actual, desired, tolerance):
    """Compares with the largest number as the measure."""
    assert np.abs(actual - desired).max() < tolerance * np.abs(desired).max()


class Loop:
    """MC-TI's paper's term for one class, sample by sample, photos encoded in every step."""

    def __init__(self, tiny, pipeline, problem, number):
        self.pipeline, self.problem, self.number = pipeline, problem, number
        self.encoders = pipeline.text_encoder, pipeline.text_encoder_2
        templates = TEMPLATES["textual_inversion"]
        self.prompts = [
            Prompts.from_templates(tokenizer, templates, VECTORS)
            for tokenizer in tiny.sd.tokenizers
        ]
        kernel = tiny.clips[number].params["text"]["projection"]["kernel"]
        self.projection = to_torch(kernel)
        self.scheduler = diffusers.DDPMScheduler.from_config(pipeline.scheduler.config)

    def read(self, number, vectors, template):
        """One text encoder's output for a prompt whose placeholders are rows behind its table."""
        encoder = self.encoders[number]
        (name,) = (n for n, _ in encoder.named_parameters() if n.endswith("token_embedding.weight"))
        table = torch.cat([encoder.get_input_embeddings().weight, vectors])
        ids = torch.from_numpy(self.prompts[number].ids[template][None].astype(np.int64))
        options = {"output_hidden_states": True}
        return torch.func.functional_call(encoder, {name: table}, (ids,), options)

    def loss(self, vectors, draws, label, i):
        problem, unet, vae = self.problem, self.pipeline.unet, self.pipeline.vae
        one = {
            name: np.asarray(getattr(draws, name))[label, i]
            for name in ("entry", "posterior", "noise", "timestep", "template", "feature")
        }
        own = np.flatnonzero(np.tile(LABELS, 2) == label)
        pixels = to_torch(problem.pixels[own[one["entry"]]]).permute(2, 0, 1)[None]
        posterior = vae.encode(pixels).latent_dist
        drawn, noise = (
            to_torch(one[name]).permute(2, 0, 1)[None] for name in ("posterior", "noise")
        )
        latents = vae.config.scaling_factor * (posterior.mean + posterior.std * drawn)
        time = torch.tensor([int(one["timestep"])])
        noisy = self.scheduler.add_noise(latents, noise, time)

        outputs = [self.read(n, part, one["template"]) for n, part in enumerate(vectors)]
        states = torch.cat([output.hidden_states[-2] for output in outputs], dim=-1)
        sizes = torch.tensor([[IMAGE, IMAGE, 0, 0, IMAGE, IMAGE]], dtype=torch.float64)
        added = {"text_embeds": outputs[1].text_embeds, "time_ids": sizes}
        predicted = unet(noisy, time, states, added_cond_kwargs=added).sample
        mse = torch.nn.functional.mse_loss(predicted, noise)

        at = self.prompts[self.number].slot[one["template"]] + VECTORS - 1
        text = outputs[self.number].last_hidden_state[0, at] @ self.projection
        features = problem.features.reshape(-1, problem.features.shape[-1])
        banks = [features[np.tile(LABELS, 2) == k] for k in range(3)]
        images = np.stack([bank[j] for bank, j in zip(banks, one["feature"][0], strict=True)])
        images = torch.nn.functional.normalize(to_torch(images), dim=-1)
        logits = LOGIT_SCALE * images @ torch.nn.functional.normalize(text, dim=-1)
        return ALPHA * mse + GAMMA * torch.nn.functional.cross_entropy(logits, torch.tensor(label))

    def train(self, label, updates):
        """The loss and the gradients of each update, and the vectors behind the last."""
        start = split(self.problem.tokens[label], WIDTHS)
        vectors = [torch.nn.Parameter(to_torch(part)) for part in start]
        optimizer = torch.optim.AdamW(vectors, lr=5e-4 * SAMPLES, weight_decay=1e-2)
        losses, gradients = [], []
        for draws in updates:
            steps = [self.loss(vectors, draws, label, i) for i in range(SAMPLES)]
            optimizer.zero_grad()
            loss = torch.stack(steps).mean()
            loss.backward()
            losses.append(loss.item())
            gradients.append(join([part.grad.numpy().copy() for part in vectors]))
            optimizer.step()
        return losses, gradients, join([part.detach().numpy() for part in vectors])


@pytest.mark.parametrize("number", [0, 1], ids=["CLIP-L classifies", "bigG classifies"])
def test_updates(tiny, pipeline, number):
    changes = {"alpha": ALPHA, "gamma": GAMMA, "logit_scale": LOGIT_SCALE}
    problem = xl_problem(tiny, number, **changes)
    assert problem.objective.networks.class_encoder == number
    assert problem.objective.networks.latent_scale == SCALE
    updates = [problem.draws(seed) for seed in range(3)]

    optimizer = MCTI(problem.objective.config).optimizer()
    tokens = jnp.asarray(problem.tokens)
    state, losses, gradients = optimizer.init(tokens), [], []
    for draws in updates:
        values, _, gradient = problem.differentiate(tokens, draws)
        change, state = optimizer.update(gradient, state, tokens)
        tokens = tokens + change
        losses.append(values)
        gradients.append(gradient)

    loop = Loop(tiny, pipeline, problem, number)
    for label in range(3):
        wanted, slopes, vectors = loop.train(label, updates)
        np.testing.assert_allclose([values[label] for values in losses], wanted, rtol=1e-5)
        for gradient, slope in zip(gradients, slopes, strict=True):
            close(gradient[label], slope, 1e-5)
            # The vector that denoising alone reaches has a hundredth of the other's gradient.
            for part, whole in zip(
                split(gradient[label], WIDTHS), split(slope, WIDTHS), strict=True
            ):
                close(part, whole, 2e-5)
        np.testing.assert_allclose(tokens[label], vectors, atol=1e-5)


def test_diffusers_loads_a_file(pipeline, tmp_path):
    """As the model card of a published run says; several vectors become several words."""
    vectors = np.random.default_rng(0).normal(size=(2, sum(WIDTHS))).astype(np.float32)
    token = LearnedToken("<dog2>", vectors, widths=WIDTHS)
    stored = safetensors.load_file(write_token(tmp_path, token, "diffusers"))
    encoders = {
        "clip_l": (pipeline.text_encoder, pipeline.tokenizer),
        "clip_g": (pipeline.text_encoder_2, pipeline.tokenizer_2),
    }
    for (key, (encoder, tokenizer)), part in zip(
        encoders.items(), split(vectors, WIDTHS), strict=True
    ):
        pipeline.load_textual_inversion(
            stored[key].double(), token="<dog2>", text_encoder=encoder, tokenizer=tokenizer
        )
        words = pipeline.maybe_convert_prompt("<dog2>", tokenizer)
        ids = tokenizer(words, add_special_tokens=False).input_ids
        rows = encoder.get_input_embeddings().weight.detach().numpy()[ids]
        np.testing.assert_array_equal(rows, part)
