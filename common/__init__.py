"""What the three methods share: CLIP, Stable Diffusion, weights, data and the training loop."""

from common.interrupts import end_quietly_while_importing
from common.lazy import lazily
from common.packages import PACKAGES
from common.version import __version__ as __version__

end_quietly_while_importing(PACKAGES)

__all__, __getattr__, __dir__ = lazily(
    __name__,
    {
        "common.clip": ("load_clip",),
        "common.data": ("Dataset", "open_dataset"),
        "common.diffusion": ("load_stable_diffusion",),
        "common.errors": ("UserError",),
        "common.training": ("train",),
    },
)
