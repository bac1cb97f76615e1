"""Stable Diffusion: UNet, autoencoder, noise schedule, samplers, text-to-image."""

from common.lazy import lazily

__all__, __getattr__, __dir__ = lazily(
    __name__,
    {
        "common.diffusion.checkpoint": (
            "load_stable_diffusion",
            "save_stable_diffusion",
        ),
        "common.diffusion.config": (
            "UNetConfig",
            "VAEConfig",
        ),
        "common.diffusion.added": ("AddedConditions",),
        "common.diffusion.model": (
            "StableDiffusion",
            "StableDiffusionXL",
        ),
        "common.diffusion.parts": ("Modules",),
        "common.diffusion.pipeline": (
            "latents_to_images",
            "prompt_states",
            "text_to_image",
        ),
        "common.diffusion.text_encoder": (
            "TextConditions",
            "encode_texts",
        ),
        "common.diffusion.samplers": (
            "SAMPLERS",
            "check_sampling",
            "named_sampler",
            "sample",
        ),
        "common.diffusion.schedule": ("NoiseSchedule",),
        "common.diffusion.unet": ("UNet",),
        "common.diffusion.vae": (
            "AutoencoderKL",
            "Moments",
        ),
    },
)
