"""Whether what a captioning run saved fits together."""

from collections.abc import Mapping

import jax
import numpy as np
from jaxtyping import PyTree
from ml_collections import ConfigDict

from aape_jax.captioning.variants import caption_variants, initial
from aape_jax.core.heads_file import require_fit
from common.errors import UserError
from common.training.sharding import by_path


def require_captioner(config: ConfigDict, heads: Mapping[str, PyTree]) -> None:
    """Refuse what a captioning run wrote if it does not fit together, or not the run's config.

    Models need not be at hand: their widths are those of the visual map and of h.

    Args:
      config: The run's.
      heads: Parameters by the name of their file.

    Raises:
      UserError: An array has another shape, or there is none.
    """
    known = caption_variants(config)
    channels, lm_width = _sizes(heads, "visual", "kernel")
    width = _sizes(heads, next(iter(known)), "generator/down")[0] if known else 1
    fresh = jax.eval_shape(
        lambda key: initial(known, key, channels, width, 1, lm_width), jax.random.key(0)
    )
    for name, params in fresh.items():
        require_fit(name, heads.get(name, {}), params["map" if name == "visual" else "head"])


def _sizes(heads: Mapping[str, PyTree], name: str, path: str) -> tuple[int, int]:
    shape = np.shape(by_path(heads.get(name, {})).get(path, 0))
    if len(shape) != 2 or not all(shape):
        raise UserError(
            f"the head {name!r} has {path} of the shape {shape or 'none'}, which is not that of a "
            "matrix: give the run as it was written."
        )
    return shape
