"""Sizes of the pretraining; two presets."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Fit:
    """One optimisation: AdamW, linear warm-up over a twentieth, then cosine decay to zero.

    Attributes:
      steps: Updates, unless the seconds run out before.
      batch: Rows of an update.
      rate: Largest learning rate.
      weight_decay: Of matrices, decoupled.
    """

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
      clip, templates, vae, unet: Four optimisations in their order.
      siglip: The optimisation of the SigLIP.
      siglip_corpus: Captioned pictures that it reads, the first of `corpus`.
      lm: The language model's optimisation.
      lm_rows: Rows of text that it reads.
      empty_captions: Share of pictures whose caption the UNet does not see, for guidance.
      judge: The optimisation of the classifier that measures drawn pictures.
      test_size: Pictures per measurement of the model card.
      seconds: Of all training, shared out as `SHARES` says; 0 for all steps.
      start: Folder of the CLIP and Stable Diffusion from which theirs goes on; "" for none.
      keep: Stages whose models stay as they are in that folder, of `KEPT`.
    """

    seed: int = 0
    corpus: int = 100_000
    clip: Fit = Fit(steps=5000, batch=128, rate=1e-3, weight_decay=0.05)
    templates: Fit = Fit(steps=600, batch=128, rate=3e-4)
    vae: Fit = Fit(steps=12_000, batch=64, rate=2e-3)
    unet: Fit = Fit(steps=60_000, batch=128, rate=1e-3)
    siglip: Fit = Fit(steps=2500, batch=128, rate=1e-3, weight_decay=0.05)
    siglip_corpus: int = 40_000
    lm: Fit = Fit(steps=4000, batch=16, rate=3e-3)
    lm_rows: int = 20_000
    empty_captions: float = 0.12
    judge: Fit = Fit(steps=4000, batch=128, rate=2e-3)
    test_size: int = 1000
    seconds: float = 0.0
    start: str = ""
    keep: tuple[str, ...] = ()

    def allowed(self, stage: str) -> float:
        """Return the seconds of a stage; 0 for all its steps."""
        shared_out = 1 - sum(SHARES[kept] for kept in self.keep)
        return self.seconds * SHARES[stage] / shared_out


SHARES = {
    **{"clip": 0.10, "templates": 0.02, "vae": 0.08, "unet": 0.58},
    **{"judge": 0.03, "siglip": 0.14, "lm": 0.05},
}
"""Of the seconds that a pretraining may take."""

KEPT = ("clip", "templates", "vae", "unet")
"""Stages that can be left out where the models of another training are there."""

FULL = Recipe()
QUICK = replace(
    FULL,
    corpus=12_000,
    clip=replace(FULL.clip, steps=200),
    templates=replace(FULL.templates, steps=20),
    vae=replace(FULL.vae, steps=100),
    unet=replace(FULL.unet, steps=200),
    siglip=replace(FULL.siglip, steps=200),
    siglip_corpus=12_000,
    lm=replace(FULL.lm, steps=200),
    lm_rows=1000,
    judge=replace(FULL.judge, steps=200),
    test_size=400,
)
