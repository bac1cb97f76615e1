"""Which programs `benchmarks.aot_table` compiles: every method at the papers' sizes."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ml_collections import ConfigDict

from common.chips import sides
from configs import aape, aape_captioning, aape_retrieval, mcti, protext

TOPOLOGIES = {
    "v5e-1": "v5e:1x1",
    "v5e-8": "v5e:2x4",
    "v5e-16": "v5e:4x4",
    "v5e-256": "v5e:16x16",
    "v6e-8": "v6e:2x4",
    "v5p-8": "v5p:2x2x1",  # eight cores on four chips
}
"""Google Cloud's names, and libtpu's."""

CONFIGS: Mapping[str, Callable[[str], ConfigDict]] = {
    "mcti": mcti.get_config,
    "mcti on XL": mcti.get_config,
    "protext": protext.get_config,
    "aape": aape.get_config,
    "retrieval": aape_retrieval.get_config,
    "captioning": aape_captioning.get_config,
}
CORPUS = "CORPUS"
"""Stands in a case's settings for the file of sentences."""

SETTINGS = {
    "mcti": "recipe=oxford_flowers",
    # ImageNet's text-only run, `protocol=cross_dataset`, but for its pictures.
    "protext": (
        f"model=openai/clip-vit-base-patch16,data=none,prompts.source={CORPUS},held_out=0,depth=9,"
        "length=4,learning_rate=0.03,epochs=10,updates=1820"
    ),
    "aape": "recipe=imagenet,protocol=all_classes,compare=()",
    "retrieval": "recipe=coco,examples=113287,compare=()",
}

# 256 chips cannot share a batch of 32: all would compute the same.
CHANGES = {("aape", "v5e-256"): ",batch=256"}

# MC-TI on one chip: (attention, remat) -> samples at once.
CHIP = {
    ("plain", "none"): (1, 4, 8, 12),
    ("plain", "attention"): (4, 8, 12, 16),
    ("flash", "none"): (1, 4, 8, 12, 16),
    ("flash", "block"): (8, 16, 32),
}
# On Stable Diffusion XL at 1024 pixels: slice -> classes at once on a chip, of four samples each.
XL_CHUNKS = {"v5e-1": (1, 2), "v6e-8": (7,), "v5p-8": (16, 26)}
XL = (
    "recipe=oxford_flowers,model=stabilityai/stable-diffusion-xl-base-1.0,"
    "clip=laion/CLIP-ViT-bigG-14-laion2B-39B-b160k,resolution=0,remat=block,attention=flash"
)
SAMPLES = 4  # of a class, unless one sample is all
IMAGES = 32  # of a captioning batch, for each group of chips that holds a language model


@dataclass(frozen=True)
class Case:
    """One program.

    Attributes:
      program: A key of `CONFIGS`.
      slice: A key of `TOPOLOGIES`.
      settings: What stands behind the colon of --config.
    """

    program: str
    slice: str
    settings: str

    @property
    def key(self) -> str:
        """The case's name in the results file."""
        return f"{self.program} {self.slice} {self.settings}"

    @property
    def topology(self) -> str:
        """As libtpu calls it."""
        return TOPOLOGIES[self.slice]

    def config(self, corpus: str, override: str) -> ConfigDict:
        """Return the config, with settings behind the case's own."""
        settings = self.settings.replace(CORPUS, corpus)
        return CONFIGS[self.program](f"{settings},{override}" if override else settings).lock()


def cases() -> list[Case]:
    """Return every program on every slice, then MC-TI's choices and data sets."""
    rows = [
        Case(program, slice, settings + CHANGES.get((program, slice), ""))
        for program, settings in SETTINGS.items()
        for slice in TOPOLOGIES
    ]
    rows += [Case("captioning", slice, _captioning(slice)) for slice in TOPOLOGIES]
    for (attention, remat), batches in CHIP.items():
        for batch in batches:
            samples = min(batch, SAMPLES)
            settings = (
                f"recipe=oxford_flowers,attention={attention},remat={remat},samples={samples},"
                f"classes_per_chunk={batch // samples}"
            )
            rows.append(Case("mcti", "v5e-1", settings))
    rows += [Case("mcti", "v5e-8", f"recipe={name}") for name in mcti.RECIPES]
    rows += [
        Case("mcti on XL", slice, f"{XL},classes_per_chunk={chunk}")
        for slice, chunks in XL_CHUNKS.items()
        for chunk in chunks
    ]
    return list(dict.fromkeys(rows))


def _captioning(slice: str) -> str:
    chips = math.prod(sides(TOPOLOGIES[slice]))
    model = min(8, chips)
    data = chips // model
    return f"recipe=coco,examples=113287,batch={IMAGES * data},mesh.data={data},mesh.model={model}"
