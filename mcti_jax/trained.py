"""What a run learned, in Python: tokens that classify photos and draw pictures.

run = mcti_jax.load("runs/mine")
run.classify(["a.jpg", "b.jpg"]).names
run.draw("a photo of <dog2> on the beach")[0].save("beach.png")
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float
from ml_collections import ConfigDict
from PIL import Image

from common.clip import CLIP, Predictions, load_clip
from common.clip.prompts import require_names, require_texts
from common.config import read_config
from common.data.templates import TEMPLATES
from common.diffusion import StableDiffusion, load_stable_diffusion
from common.diffusion.learned import checked_vectors
from common.hub import local_run
from common.paths import AnyPath
from common.photos.collection import Photos
from common.precision import computing, frozen_dtype
from common.protocols.models import cache_of
from configs.mcti import defaults
from mcti_jax.evaluation import token_features
from mcti_jax.formats import (
    LearnedToken,
    in_class_order,
    read_tokens,
    require_usable,
    require_vectors,
    typed_words,
)
from mcti_jax.mixed import named_features, require_others
from mcti_jax.options import check_values
from mcti_jax.picture_size import picture_size
from mcti_jax.readers import class_reader, read_by, widths_of
from mcti_jax.saving import read_run_classes
from mcti_jax.widths import encoder_of_width


@dataclass(frozen=True, eq=False)
class TrainedTokens:
    """The tokens of a finished run; its models are loaded when they are first needed.

    Attributes:
      config: The run's.
      tokens: One for each class, in the order of the classes.
    """

    config: ConfigDict
    tokens: tuple[LearnedToken, ...]

    @property
    def classnames(self) -> tuple[str, ...]:
        """The classes that the run learned."""
        return tuple(token.metadata["class"] for token in self.tokens)

    @property
    def words(self) -> dict[str, Any]:
        """The vectors `[n d]` by every word that prompts may use; see `load_tokens`."""
        return typed_words(self.tokens)

    @cached_property
    def clip(self) -> CLIP:
        """The model that sees photos."""
        clip = load_clip(self.config.clip, self.config.dtype, image_size=self.config.image_size)
        width, widths = clip.text_tower.config.width, self.tokens[0].widths
        # One of the text encoders is this CLIP's.
        fits = encoder_of_width(widths, width) is not None
        require_usable(self.tokens, widths if fits else (width,), self.config.clip)
        return clip

    @cached_property
    def stable_diffusion(self) -> StableDiffusion:
        """The model that draws."""
        sd = load_stable_diffusion(self.config.model, frozen_dtype(self.config.dtype))
        require_usable(self.tokens, widths_of(sd), self.config.model)
        return sd

    @cached_property
    def class_features(self) -> Float[np.ndarray, "k p"]:
        """The classifier: a feature of unit length for each class."""
        vectors = in_class_order(self.tokens, self.classnames)
        require_vectors(vectors, self.config.vectors)
        clip, widths = self.clip, self.tokens[0].widths
        source = class_reader(self.config, clip, lambda: self.stable_diffusion)
        with computing(self.config.dtype):
            features = token_features(
                self.config,
                source,
                clip,
                read_by(clip, vectors, widths),
                TEMPLATES[self.config.templates],
            )
        return np.asarray(features)

    def classify(self, photos: Photos, names: Iterable[Any] = ()) -> Predictions:
        """Say which of the run's classes each photo shows, by the largest cosine.

        Args:
          photos: PIL images, uint8 arrays `[h, w, 3]` and paths, mixed as they come.
          names: Further classes, which CLIP knows by these names.

        Raises:
          UserError: A photo or a name does not fit, or a name is a learned class's; the sentence
            says which.
        """
        names = require_texts(names, "names")
        names = require_names(names) if names else ()
        require_others(self.classnames, names, "names")
        features = self.clip.image_features(photos)
        config, classes = self.config, self.class_features
        if names:
            cache = cache_of(config)
            with computing(config.dtype):
                further = named_features(self.clip, names, TEMPLATES[config.templates], cache)
            classes = np.concatenate([classes, further])
        cosines = features @ classes.T
        joint = config.classification != "paper"
        scale = config.joint.logit_scale if joint else config.logit_scale
        return Predictions.from_logits(scale * cosines, (*self.classnames, *names))

    def draw(
        self,
        prompt: str | Iterable[Any],
        n: int = 1,
        *,
        guidance: float | None = None,
        **options: Any,
    ) -> list[Image.Image]:
        """Draw `n` pictures of a prompt, or of each of several, one prompt after another.

        Args:
          prompt: A text or a list of texts, which may hold the run's words.
          n: Pictures of each prompt.
          guidance: Weight of classifier-free guidance, 1 or less is none; by default the run's own.
          **options: `negative`, `seed`, `steps`, `sampler`, `size`, `width`, `height`, `weighted`,
            `batch`, and `tokens` beside the run's own: see `StableDiffusion.draw`. The size is by
            default that of the run's training pictures.

        Raises:
          UserError: A prompt holds a word that the run did not learn or is too long, or an option
            is out of range.
        """
        settings = self.config.generate
        size = picture_size(self.config, self.stable_diffusion)
        shape = {} if "size" in options else dict(zip(("width", "height"), size, strict=True))
        options = {"batch": settings.batch} | shape | options
        guidance = settings.guidance if guidance is None else guidance
        tokens = {**self.words, **checked_vectors(options.pop("tokens", None))}
        return self.stable_diffusion.draw(prompt, n, tokens=tokens, guidance=guidance, **options)


def load(run: AnyPath | str) -> TrainedTokens:
    """Read what a run learned.

    Args:
      run: The folder of a finished run, or `hf:USER/NAME`.

    Raises:
      UserError: It holds no run, or one that is not finished.
    """
    run = local_run(run)
    config = read_config(run, defaults())
    check_values(config)
    return TrainedTokens(config, tuple(read_run_classes(run)))


def load_tokens(path: AnyPath | str) -> dict[str, Any]:
    """Read a file of learned tokens, or a folder of them, for `StableDiffusion.draw`.

    Returns:
      The vectors `[n d]` by every word that prompts may use; for Stable Diffusion XL those of each
      text encoder, `{"clip_l": ..., "clip_g": ...}`.

    Raises:
      UserError: There are none, or a file is damaged or not an embedding.
    """
    return typed_words(read_tokens(path))
