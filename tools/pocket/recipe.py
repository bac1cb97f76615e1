"""Sizes of the pretraining; two presets."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Fit:
    """One optimisation: AdamW, linear warm-up over a twentieth, then cosine decay to zero."""

    steps: int
    batch: int
    rate: float
    weight_decay: float = 0.0


@dataclass(frozen=True)
class Recipe:
    """The whole pretraining.

    Attributes:
      seed: Of every random choice.
      corpus: Captioned pictures.
      clip, vae, unet: Three optimisations in their order.
      lm: The language model's optimisation.
      lm_rows: Rows of text that it reads.
      empty_captions: Share of pictures whose caption the UNet does not see, for guidance.
      test_size: Pictures per measurement of the model card.
    """

    seed: int = 0
    corpus: int = 40_000
    clip: Fit = Fit(steps=2500, batch=128, rate=1e-3, weight_decay=0.05)
    vae: Fit = Fit(steps=2500, batch=32, rate=2e-3)
    unet: Fit = Fit(steps=6000, batch=96, rate=1.5e-3)
    lm: Fit = Fit(steps=4000, batch=16, rate=3e-3)
    lm_rows: int = 20_000
    empty_captions: float = 0.12
    test_size: int = 1000


FULL = Recipe()
QUICK = replace(
    FULL,
    corpus=12_000,
    clip=replace(FULL.clip, steps=200),
    vae=replace(FULL.vae, steps=100),
    unet=replace(FULL.unet, steps=200),
    lm=replace(FULL.lm, steps=200),
    lm_rows=1000,
    test_size=400,
)
