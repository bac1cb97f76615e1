"""What is saved here opens in diffusers and makes the same pictures there, and back."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common.diffusion import (
    load_stable_diffusion,
    prompt_states,
    save_stable_diffusion,
    text_to_image,
)
from common.diffusion.text_encoding import encode_prompts

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
pytestmark = [
    pytest.mark.reference,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

PROMPTS, STEPS, GUIDANCE = ["a dog", "two cats"], 6, 5.0
SAMPLERS = {
    "ddim": "DDIMScheduler",
    "euler": "EulerDiscreteScheduler",
    "dpmpp_2m": "DPMSolverMultistepScheduler",
}


@pytest.fixture(scope="module", params=["v1", "v2"])
def model(request, models):
    return models[request.param]


@pytest.fixture(scope="module")
def pipeline(model, tmp_path_factory):
    """diffusers' pipeline on the files that we wrote."""
    directory = tmp_path_factory.mktemp("sd")
    save_stable_diffusion(model, directory)
    loaded = diffusers.StableDiffusionPipeline.from_pretrained(directory, safety_checker=None)
    loaded.set_progress_bar_config(disable=True)
    return loaded


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_same_pictures(sampler, model, pipeline, monkeypatch):
    noise = np.random.default_rng(0).standard_normal((2, 8, 8, 4)).astype(np.float32)
    scheduler = getattr(diffusers, SAMPLERS[sampler]).from_config(pipeline.scheduler.config)
    monkeypatch.setattr(pipeline, "scheduler", scheduler)
    desired = pipeline(
        PROMPTS,
        latents=torch.from_numpy(noise).permute(0, 3, 1, 2),
        num_inference_steps=STEPS,
        guidance_scale=GUIDANCE,
        output_type="np",
    ).images

    def states(texts):
        ids = jnp.asarray(model.tokenizer(texts))
        return prompt_states(model.text_tower, model.params["text"], ids)

    actual = text_to_image(
        model.modules,
        model.params,
        states(PROMPTS),
        states(["", ""]),
        jnp.asarray(noise),
        sampler=sampler,
        steps=STEPS,
        guidance=GUIDANCE,
    )
    assert desired.std() > 0.05
    np.testing.assert_allclose(actual, desired, atol=2e-5)


@pytest.mark.parametrize("safetensors", [True, False])
def test_files_written_by_diffusers_load_here(safetensors, model, pipeline, tmp_path):
    """Also the PyTorch archives that it wrote before it had safetensors."""
    pipeline.save_pretrained(tmp_path, safe_serialization=safetensors)
    assert any(tmp_path.glob("unet/*.safetensors" if safetensors else "unet/*.bin"))
    loaded = load_stable_diffusion(str(tmp_path))
    # diffusers fills in its scheduler's own default.
    schedule = dataclasses.replace(
        model.schedule,
        timestep_spacing="leading",
        scheduler_file=loaded.schedule.scheduler_file,
    )
    assert loaded.schedule.file["_class_name"] == model.schedule.file["_class_name"]
    assert loaded.modules == dataclasses.replace(model.modules, schedule=schedule)
    jax.tree.map(np.testing.assert_array_equal, loaded.params, model.params)


def test_a_pipelines_own_word_of_several_vectors(model, pipeline, tmp_path):
    """diffusers keeps it as several tokens, and reads the first as all of them."""
    pipeline.save_pretrained(tmp_path / "before")
    grown = diffusers.StableDiffusionPipeline.from_pretrained(
        tmp_path / "before", safety_checker=None
    )
    grown.set_progress_bar_config(disable=True)
    width = grown.text_encoder.config.hidden_size
    grown.load_textual_inversion({"<cat>": torch.randn(3, width)})
    grown.save_pretrained(tmp_path / "after")
    loaded = load_stable_diffusion(str(tmp_path / "after"))
    (actual,) = encode_prompts(loaded, ["a <cat> there"], {}).states
    desired, _ = grown.encode_prompt("a <cat> there", "cpu", 1, False)
    np.testing.assert_allclose(actual, desired[0].detach().numpy(), atol=2e-5)
