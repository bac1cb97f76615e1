"""What the three methods share: CLIP, Stable Diffusion, weights, data and the training loop."""

from common.interrupts import end_quietly_while_importing
from common.version import __version__ as __version__

end_quietly_while_importing(("common", "mcti_jax", "protext_jax", "aape_jax"))
