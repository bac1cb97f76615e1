"""Stable Diffusion: UNet, autoencoder, noise schedule, samplers, text-to-image."""

from common.diffusion.config import UNetConfig as UNetConfig
from common.diffusion.config import VAEConfig as VAEConfig
from common.diffusion.schedule import NoiseSchedule as NoiseSchedule
from common.diffusion.unet import UNet as UNet
from common.diffusion.vae import AutoencoderKL as AutoencoderKL
from common.diffusion.vae import Moments as Moments
