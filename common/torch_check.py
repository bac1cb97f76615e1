"""A model's outputs against those of the PyTorch libraries that define its layout."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from common.clip import CLIP, encode_image, encode_text
from common.clip.families import family_of
from common.diffusion import AddedConditions, StableDiffusion, StableDiffusionXL, prompt_states
from common.diffusion.text_encoding import encode_prompts
from common.language import LM

PROMPTS = ("a photo of a cat", "two dogs, close-up")

Pairs = Mapping[str, tuple[Any, Any]]


class NotComparableError(Exception):
    """Why there is nothing to compare with."""


def torch_errors(model: CLIP | StableDiffusion | LM, directory: Path) -> dict[str, float]:
    """Return relative errors of each output on fixed inputs: largest difference over largest value.

    Args:
      model: Loaded in float32.
      directory: The same weights, in the layout of transformers or diffusers.

    Raises:
      NotComparableError: PyTorch or the library is not installed, or has no such model.
    """
    try:
        import torch

        with torch.no_grad():
            pairs = _COMPARED[type(model)](model, directory)
    except ImportError as error:
        raise NotComparableError(f"{error.name} is not installed") from error
    return {name: _relative(x, y.numpy()) for name, (x, y) in pairs.items()}


def _clip(clip: CLIP, directory: Path) -> Pairs:
    family = family_of(clip.config)
    if not family.in_transformers:
        raise NotComparableError(f"transformers has no {family.name}")
    import torch
    from transformers import AutoModel

    reference = AutoModel.from_pretrained(directory, dtype=torch.float32).eval()
    ids = clip.tokenizer(PROMPTS, clip.config.text.positions)
    size = clip.config.vision.image_size
    pixels = _noise(2, size, size, 3)
    states = reference.text_model(torch.from_numpy(ids).long()).pooler_output
    patches = reference.vision_model(_to_torch(pixels)).pooler_output
    text, image = (jax.jit(encode, static_argnums=0) for encode in (encode_text, encode_image))
    return {
        "text features": (
            text(clip.text_tower, clip.params["text"], ids),
            _projected(reference, "text_projection", states),
        ),
        "image features": (
            image(clip.image_tower, clip.params["vision"], pixels),
            _projected(reference, "visual_projection", patches),
        ),
    }


def _projected(reference: Any, name: str, pooled: Any) -> Any:
    """Apply a projection; SigLIP's towers have none behind them."""
    return getattr(reference, name)(pooled) if hasattr(reference, name) else pooled


def _diffusion(sd: StableDiffusion, directory: Path) -> Pairs:
    import torch
    from transformers import CLIPTextModel

    ids = sd.tokenizer(PROMPTS, sd.text_tower.config.positions)
    states = prompt_states(sd.text_tower, sd.params["text"], ids)
    their_states = _part(CLIPTextModel, directory / "text_encoder")(torch.from_numpy(ids).long())
    return {
        "text states": (states, their_states.last_hidden_state),
        **_networks(sd, directory, states),
    }


def _diffusion_xl(sd: StableDiffusionXL, directory: Path) -> Pairs:
    import torch
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    encoded = encode_prompts(sd, PROMPTS, {})
    kinds = (CLIPTextModel, CLIPTextModelWithProjection)
    outputs = [
        _part(kind, directory / encoder.part.folder)(
            torch.from_numpy(tokenizer(PROMPTS)).long(), output_hidden_states=True
        )
        for kind, encoder, tokenizer in zip(
            kinds, sd.modules.text_encoders, sd.tokenizers, strict=True
        )
    ]
    sizes = jnp.array([[64.0, 48, 0, 0, 64, 48], [32, 32, 4, 8, 32, 32]])
    added = AddedConditions(jnp.asarray(encoded.pooled), sizes)
    their_states = torch.cat([output.hidden_states[-2] for output in outputs], dim=-1)
    return {
        "text states": (encoded.states, their_states),
        "pooled text": (encoded.pooled, outputs[-1].text_embeds),
        **_networks(sd, directory, jnp.asarray(encoded.states), added),
    }


def _networks(
    sd: StableDiffusion, directory: Path, states: Any, added: AddedConditions | None = None
) -> Pairs:
    """Compare UNet and autoencoder."""
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel

    # Both networks are convolutional: a small picture says as much as a large one.
    side = 2 * 2 ** (len(sd.unet.config.block_out_channels) - 1)
    latents, times = _noise(2, side, side, sd.unet.config.in_channels), np.array([7, 801])
    fields = {} if added is None else vars(added)
    theirs = {name: torch.from_numpy(np.array(x)) for name, x in fields.items()}
    inputs = [latents, times, states, *([] if added is None else [added])]
    predicted = jax.jit(sd.unet.apply)({"params": sd.params["unet"]}, *inputs)
    their_predicted = _part(UNet2DConditionModel, directory / "unet")(
        _to_torch(latents),
        torch.from_numpy(times),
        torch.from_numpy(np.array(states)),
        added_cond_kwargs=theirs or None,
    ).sample

    pixels = _noise(1, 8 * sd.downsampling, 8 * sd.downsampling, 3)
    vae, their_vae = {"params": sd.params["vae"]}, _part(AutoencoderKL, directory / "vae")
    run = jax.jit(sd.vae.apply, static_argnames="method")
    return {
        "UNet prediction": (predicted, _to_nhwc(their_predicted)),
        "VAE latents": (
            run(vae, pixels, method="encode").mean,
            _to_nhwc(their_vae.encode(_to_torch(pixels)).latent_dist.mean),
        ),
        "VAE picture": (
            run(vae, latents[:1], method="decode"),
            _to_nhwc(their_vae.decode(_to_torch(latents[:1])).sample),
        ),
    }


def _part(kind: Any, directory: Path) -> Any:
    import torch

    return kind.from_pretrained(directory, torch_dtype=torch.float32).eval()


def _language(lm: LM, directory: Path) -> Pairs:
    import torch
    from transformers import AutoModelForCausalLM

    reference = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    ids = np.random.default_rng(0).integers(0, lm.config.vocab_size, (2, 16))
    variables = {"params": lm.params}
    hidden, _ = jax.jit(lm.model.apply)(variables, lm.model.apply(variables, ids, method="embed"))
    logits = lm.model.apply(variables, hidden, method="logits")
    return {"logits": (logits, reference(torch.from_numpy(ids)).logits)}


_COMPARED: dict[type, Callable[[Any, Path], Pairs]] = {
    CLIP: _clip,
    StableDiffusion: _diffusion,
    StableDiffusionXL: _diffusion_xl,
    LM: _language,
}


def _relative(output: Any, reference: np.ndarray) -> float:
    return float(np.abs(np.asarray(output) - reference).max() / np.abs(reference).max())


def _noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def _to_torch(x: np.ndarray) -> Any:
    import torch

    return torch.from_numpy(x).permute(0, 3, 1, 2)


def _to_nhwc(x: Any) -> Any:
    return x.permute(0, 2, 3, 1)
