"""The pocket SigLIP, by the sigmoid loss of SigLIP (arXiv 2303.15343, section 3.2)."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from common.clip import CLIP, CLIPConfig, TextTower, Tokenizer, encode_image, encode_text
from common.clip.encode import image_tower, unit
from common.clip.siglip_files import HALF, siglip_config
from common.clip.siglip_tokenizer import SigLIPTokenizer
from common.nesting import flatten, nest
from common.pocket.renderer import SIZE
from common.trees import Params
from tools.pocket.corpus import Corpus
from tools.pocket.fitting import NO_LIMIT, Allowance, fit
from tools.pocket.recipe import Fit
from tools.pocket.starting import carried_rows
from tools.pocket.train_clip import WIDTH, mirror_some, normalised

POSITIONS = 20
"""Of texts; longer captions, one in a hundred, are cut."""


def pocket_siglip_config(tokenizer: Tokenizer) -> CLIPConfig:
    """Return a SigLIP of four layers a tower."""
    shape = {"width": WIDTH, "layers": 4, "heads": 4, "mlp_width": 4 * WIDTH}
    words = {"vocab_size": tokenizer.vocab_size, "eos": tokenizer.eos, "pad": tokenizer.pad}
    text = {"positions": POSITIONS, **words, **shape}
    return siglip_config(text, {"image_size": SIZE, "patch_size": 8, **shape})


def train_siglip(
    corpus: Corpus,
    tokenizer: SigLIPTokenizer,
    clip: CLIP,
    plan: Fit,
    seed: int,
    allowance: Allowance = NO_LIMIT,
) -> dict[str, Any]:
    """Train both towers, the scale and the bias, and return them as `CLIP.params` has them.

    Args:
      corpus: Captioned pictures.
      tokenizer: Of the captions.
      clip: Where the towers start, see `started`.
      plan: Steps, batch size, learning rate.
      seed: Of every random choice.
      allowance: Seconds, and the file from which an interrupted stage goes on.
    """
    config = pocket_siglip_config(tokenizer)
    texts, images = TextTower(config.text), image_tower(config)
    text_key, vision_key, key = jax.random.split(jax.random.key(seed), 3)
    embeddings = jnp.zeros((1, POSITIONS, WIDTH))
    params = {
        "text": texts.init(text_key, embeddings, jnp.zeros(1, int))["params"],
        "vision": images.init(vision_key, jnp.zeros((1, SIZE, SIZE, 3)))["params"],
    }
    params = started(params, clip, tokenizer)

    def loss(params: Any, batch: dict[str, Array], key: Key[Array, ""]) -> Array:
        pixels = normalised(mirror_some(batch["pixels"], key), HALF, HALF)
        seen = unit(encode_image(images, params["vision"], pixels))
        read = unit(encode_text(texts, params["text"], batch["ids"]))
        return sigmoid_loss(seen, read, jnp.exp(params["logit_scale"]), params["logit_bias"])

    data = {"pixels": corpus.pictures, "ids": tokenizer(corpus.captions, POSITIONS, truncate=True)}
    return fit("SigLIP", loss, params, data, plan, key, allowance)


def started(params: Params, clip: CLIP, tokenizer: SigLIPTokenizer) -> Params:
    """Return parameters that start as a CLIP's, wherever the towers have them in common.

    These are blocks, norms, patches and projection, places but for those of the start and the
    class token, and each piece's row as the mean of its own in the CLIP. The pooling head stays.

    Args:
      params: A SigLIP's.
      clip: A CLIP of the same width, depth and patches.
      tokenizer: The SigLIP's.
    """
    both = flatten(params), flatten(clip.params)
    common = {key: both[1].get(key, x) for key, x in both[0].items()}
    alike = {
        key: jnp.asarray(x if x.shape == both[0][key].shape else both[0][key])
        for key, x in common.items()
    }
    start = nest(alike)
    words = [tokenizer.word(number) for number in range(tokenizer.vocab_size)]
    table = carried_rows(np.array(start["text"]["token_embedding"]), words, clip)
    table[tokenizer.eos] = clip.params["text"]["token_embedding"][clip.tokenizer.eos]
    start["text"]["token_embedding"] = jnp.asarray(table)
    for tower, count in (("text", POSITIONS), ("vision", None)):
        places = jnp.asarray(clip.params[tower]["position_embedding"])[1:]
        start[tower]["position_embedding"] = places[:count]
    scale = float(clip.scale)
    # Undecided are pairs of the cosine 1/2.
    return start | {"logit_scale": jnp.log(scale), "logit_bias": jnp.asarray(-scale / 2)}


def sigmoid_loss(
    images: Float[Array, "b p"],
    texts: Float[Array, "b p"],
    scale: Float[Array, ""],
    bias: Float[Array, ""],
) -> Float[Array, ""]:
    """Return the sum over the texts of each image, averaged over images of unit features.

    Image i belongs to text i and to no other.
    """
    logits = scale * images @ texts.T + bias
    signs = 2 * jnp.eye(len(logits)) - 1
    return -jax.nn.log_sigmoid(signs * logits).sum(-1).mean()
