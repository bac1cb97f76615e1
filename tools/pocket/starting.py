"""Where a training starts that goes on from models that are there already."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from common.clip import CLIP, Tokenizer, load_clip
from common.diffusion import StableDiffusion, load_stable_diffusion
from common.errors import UserError
from common.nesting import flatten, nest
from common.text import shown
from common.trees import Params


@dataclass(frozen=True)
class Start:
    """A CLIP and a Stable Diffusion of the pocket's sizes."""

    clip: CLIP
    sd: StableDiffusion

    @classmethod
    def opened(cls, directory: str) -> "Start | None":
        """Open the models of a folder as `pretrain` writes it; None for no folder.

        Raises:
          UserError: The folder lacks one of them.
        """
        if not directory:
            return None
        folder = Path(directory)
        if missing := [part for part in ("clip", "sd") if not (folder / part).is_dir()]:
            raise UserError(f"{shown(folder)} has no {' and no '.join(missing)}/.")
        return cls(load_clip(str(folder / "clip")), load_stable_diffusion(str(folder / "sd")))

    def kept(self, names: Sequence[str]) -> dict[str, Any]:
        """Return the parameters of those models that are not to be trained further."""
        drawn, scale = self.sd.params, self.sd.modules.vae.config.scaling_factor
        models = {
            "clip": self.clip.params,
            "vae": drawn["vae"],
            "unet": {"params": drawn["unet"], "scaling_factor": scale},
        }
        return {name: single(params) for name, params in models.items() if name in names}

    def unet_params(self, drawn: Params) -> dict[str, Any]:
        """Return the UNet's parameters, with further transformers that add nothing at first.

        Args:
          drawn: Parameters of the UNet to train, which may have transformers that this lacks.
        """
        known = flatten(single(self.sd.params["unet"]))
        grown = flatten(drawn)
        silent = {name: jnp.zeros_like(x) for name, x in grown.items() if "/proj_out/" in name}
        return nest(grown | silent | known)

    def clip_params(self, drawn: Params, tokenizer: Tokenizer) -> dict[str, Any]:
        """Return the CLIP's parameters, with a row for each word of another tokenizer.

        Args:
          drawn: Parameters of the CLIP to train; their rows stay where a word has no pieces.
          tokenizer: That of the CLIP to train.
        """
        words = [tokenizer.word(number) for number in range(tokenizer.vocab_size)]
        params = single(self.clip.params)
        table = carried_rows(np.array(drawn["text"]["token_embedding"]), words, self.clip)
        return params | {"text": params["text"] | {"token_embedding": jnp.asarray(table)}}


def single(params: Any) -> Any:
    """Return the parameters in float32; the files hold halves."""
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), params)


def carried_rows(
    table: Float[np.ndarray, "v d"], words: Sequence[str], clip: CLIP
) -> Float[np.ndarray, "v d"]:
    """Return the table with a CLIP's row for each word, or the mean row of its pieces there.

    Args:
      table: Rows of words that a CLIP cannot write; changed in place.
      words: Of each row; a hyphen before or behind says that the word goes on there.
      clip: What is to be carried over.
    """
    rows = np.asarray(clip.params["text"]["token_embedding"], np.float32)
    known = {clip.tokenizer.word(number): number for number in range(clip.tokenizer.vocab_size)}
    for number, word in enumerate(words):
        pieces = [known[word]] if word in known else clip.tokenizer.encode(word.strip("-"))
        if pieces:
            table[number] = rows[pieces].mean(axis=0)
    return table
