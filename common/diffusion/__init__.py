"""Stable Diffusion: UNet, autoencoder, noise schedule, samplers, text-to-image."""

from common.diffusion.checkpoint import load_stable_diffusion as load_stable_diffusion
from common.diffusion.checkpoint import save_stable_diffusion as save_stable_diffusion
from common.diffusion.config import UNetConfig as UNetConfig
from common.diffusion.config import VAEConfig as VAEConfig
from common.diffusion.model import StableDiffusion as StableDiffusion
from common.diffusion.parts import Modules as Modules
from common.diffusion.pipeline import latents_to_images as latents_to_images
from common.diffusion.pipeline import prompt_states as prompt_states
from common.diffusion.pipeline import text_to_image as text_to_image
from common.diffusion.samplers import SAMPLERS as SAMPLERS
from common.diffusion.samplers import check_sampling as check_sampling
from common.diffusion.samplers import sample as sample
from common.diffusion.schedule import NoiseSchedule as NoiseSchedule
from common.diffusion.unet import UNet as UNet
from common.diffusion.vae import AutoencoderKL as AutoencoderKL
from common.diffusion.vae import Moments as Moments
