"""What one run has learned: its prompts or adapter, and what they were learned with."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import PyTree
from ml_collections import ConfigDict

from common.clip import CLIP, TextConfig
from common.errors import UserError
from common.training.sharding import by_path
from protext_jax.adapters import MAPPINGS, adapter_shapes
from protext_jax.prompts import training_template
from protext_jax.runs import RunSetting

FORMAT = "protext_jax 1"
REQUIRED_METADATA = ("fingerprint", "base_model", "template", "seed")


@dataclass(frozen=True)
class LearnedPrompts:
    """One run's result.

    Attributes:
      arrays: "prompts" `[j t d]`, or an adapter's weights by path.
      metadata: What they were learned with; "fingerprint" names the model's weights.
    """

    arrays: Mapping[str, np.ndarray]
    metadata: Mapping[str, str]

    @classmethod
    def of(
        cls, config: ConfigDict, weights: str, trained: PyTree, run: RunSetting
    ) -> "LearnedPrompts":
        """Make the result of one run; `weights` is the model's fingerprint."""
        facts = {
            "format": FORMAT,
            "base_model": config.model,
            "fingerprint": weights,
            "template": training_template(config),
            "length": config.length,
            "mapping": config.mapping,
            "data": config.data,
            "prompts": config.prompts.source,
            "protocol": config.protocol,
            "learning_rate": run.learning_rate,
            "epochs": run.epochs,
            "seed": run.seed,
        }
        if config.faithful.half:
            facts["half"] = True
        if 0 <= config.blend < 1:
            facts["blend"] = config.blend
        if not config.early_stop:  # Where it stopped, the run's result says.
            facts["updates"] = config.updates
        arrays = {path: np.asarray(x) for path, x in by_path(trained).items()}
        return cls(arrays, {name: str(value) for name, value in facts.items()})

    @property
    def length(self) -> int:
        """T, vectors per block; an adapter overwrites no word."""
        return self.arrays["prompts"].shape[1] if "prompts" in self.arrays else 0

    @property
    def half(self) -> bool:
        """Whether deep prompts were rounded to float16 in training, and are in every use."""
        return self.metadata.get("half") == "True"

    @property
    def blend(self) -> float:
        """The prompts' share in a class's feature; the rest is CLIP's own."""
        return float(self.metadata.get("blend", 1))

    def with_blend(self, blend: float) -> "LearnedPrompts":
        """Return the same prompts with another blend."""
        return replace(self, metadata={**self.metadata, "blend": str(blend)})

    def require_model(self, clip: CLIP) -> None:
        """Refuse a model that the prompts were not learned with.

        Raises:
          UserError: The weights are others, or the file does not hold what a run writes.
        """
        if absent := [name for name in REQUIRED_METADATA if name not in self.metadata]:
            raise UserError(
                f"the file of the prompts does not say their {', '.join(absent)}: give it as the "
                "run wrote it."
            )
        if not _is_share(self.metadata.get("blend", "1")):
            raise UserError(
                f"the file of the prompts says blend={self.metadata['blend']!r}, which is not a "
                "share from 0 to 1: give it as the run wrote it."
            )
        if self.metadata["fingerprint"] != clip.fingerprint:
            raise UserError(
                f"the prompts were learned with {self.metadata['base_model']!r} (weights "
                f"{self.metadata['fingerprint']}), but this model's weights are "
                f"{clip.fingerprint}: give the same model and dtype."
            )
        shapes = {name: array.shape for name, array in self.arrays.items()}
        if not _fits(shapes, clip.config.text):
            raise UserError(
                f"the prompts have the shapes {shapes}, which a text tower of width "
                f"{clip.config.text.width} with {clip.config.text.layers} blocks cannot have: give "
                "the file as the run wrote it."
            )


def _is_share(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False


def _fits(shapes: Mapping[str, tuple[int, ...]], text: TextConfig) -> bool:
    """Return whether arrays of these shapes are prompts or an adapter for this tower."""
    if set(shapes) == {"prompts"}:
        shape = shapes["prompts"]
        return len(shape) == 3 and 1 <= shape[0] <= text.layers and shape[2] == text.width
    adapters = (adapter_shapes(mapping, text.projection) for mapping in MAPPINGS[1:])
    return any(shapes == {f"adapter/{path}": shape for path, shape in x.items()} for x in adapters)
