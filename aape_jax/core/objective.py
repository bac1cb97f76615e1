"""One variant of AAPE: its parameters, its loss and what is watched while it trains."""

from dataclasses import dataclass, replace
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree
from ml_collections import ConfigDict

from aape_jax.core.aggregators import Aggregator, AggregatorInput, AggregatorOutput, make_aggregator
from aape_jax.core.generator import Generator
from aape_jax.core.head import Head
from aape_jax.core.losses import Distillation, Reward, classification
from aape_jax.core.projection import Projection
from aape_jax.core.unit import cosine
from common.checks import POSITIVE, check_ranges
from common.errors import UserError


@flax.struct.dataclass
class PromptedImages:
    """Images with those prompts that are aggregated for each.

    Attributes:
      x: Unit-length image features, `[b p]`.
      prompts: `[b n p]`.
      mask: `[b n]`.
      rows: Which training example each image is, `[b]`.
      labels: `[b]`; None where images have no classes.
    """

    x: Any
    prompts: Any
    mask: Any
    rows: Any
    labels: Any = None


@flax.struct.dataclass
class Batch:
    """Images of some classes, with the prompts of all of them.

    Attributes:
      x: Unit-length image features, `[b p]`.
      labels: `[b]`.
      rows: Which training example each image is, `[b]`.
      classes: Unit-length class features, `[k p]`.
      prompts: `[k n p]`.
      mask: `[k n]`.
    """

    x: Any
    labels: Any
    rows: Any
    classes: Any
    prompts: Any
    mask: Any

    @property
    def prompted(self) -> PromptedImages:
        """The images, each with the prompts of its class."""
        prompts, mask = self.prompts[self.labels], self.mask[self.labels]
        return PromptedImages(self.x, prompts, mask, self.rows, self.labels)


@dataclass(frozen=True)
class Objective:
    """`task + lambda * distill`, which train h and g, and the aggregator's own loss.

    Attributes:
      head: h and g.
      aggregator: The teacher.
      token: Whether learnable tokens belong to classes, to images or to neither.
      distillation, reward: The losses.
    """

    head: Head
    aggregator: Aggregator
    token: str
    distillation: Distillation
    reward: Reward

    @classmethod
    def from_config(cls, config: ConfigDict) -> "Objective":
        """Read a config.

        Raises:
          UserError: An option is out of range.
        """
        return cls(
            replace(Head.from_config(config), blend=1.0),
            make_aggregator(config.aggregator),
            config.aggregator.token,
            Distillation.from_config(config.loss),
            Reward.from_config(config.aggregator),
        )

    def init(self, key: Key[Array, ""], width: int, classes: int, examples: int) -> PyTree:
        """Return parameters by group: "head" is kept after training, "aggregator" is not."""
        head, aggregator = jax.random.split(key)
        tokens = {"class": classes, "image": examples, "none": 1}[self.token]
        return {
            "head": self.head.init(head, width),
            "aggregator": self.aggregator.init(aggregator, width, tokens),
        }

    def aggregate(
        self, params: PyTree, images: PromptedImages, key: Key[Array, ""]
    ) -> tuple[AggregatorInput, AggregatorOutput]:
        """Return what the aggregator reads, and the prompts aggregated for each image."""
        rows = images.rows
        tokens = {"class": images.labels, "image": rows, "none": jnp.zeros_like(rows)}
        inputs = AggregatorInput(images.prompts, images.mask, images.x, tokens[self.token])
        return inputs, self.aggregator(params["aggregator"], inputs, key)

    def __call__(
        self, params: PyTree, batch: Batch, key: Key[Array, ""]
    ) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
        """Return the loss of a batch and its metrics."""
        h = self.head.generator(params["head"]["generator"], batch.x)
        task = classification(
            self.head.logits(params["head"], batch.x, batch.classes), batch.labels
        )
        teaching, metrics = self.teach(params, batch.prompted, h, key)
        return task + teaching, {"task": task, **metrics}

    def teach(
        self, params: PyTree, images: PromptedImages, h: Float[Array, "b p"], key: Key[Array, ""]
    ) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
        """Return the loss without the task's term."""
        inputs, teacher = self.aggregate(params, images, key)
        distill = self.distillation(h, teacher.p_a)
        reward = self.reward.loss(images.x, teacher.p_a, inputs.mean)
        score = self.reward.score(images.x, teacher.p_a)
        metrics = {"distill": distill, "clip_score": score, **watch(inputs, teacher)}
        return self.distillation.weight * distill + reward, metrics


def prompt_objective(config: ConfigDict) -> Objective:
    """Make the objective of h without g; the aggregator reads each image's own captions.

    Raises:
      UserError: An option is out of range.
    """
    check_ranges(config, {"loss.tau": POSITIVE})
    if config.aggregator.token == "class":
        raise UserError(
            "aggregator.token='class': images have no classes here; take image or none."
        )
    generator = Generator.from_config(config.generator)
    return Objective(
        Head(generator, Projection(), "aape_only", config.loss.tau),
        make_aggregator(config.aggregator),
        config.aggregator.token,
        Distillation.from_config(config.loss),
        Reward.from_config(config.aggregator),
    )


def watch(inputs: AggregatorInput, teacher: AggregatorOutput) -> dict[str, Float[Array, ""]]:
    """Return the means of `watched` over the batch."""
    return {name: values.mean() for name, values in watched(inputs, teacher).items()}


def watched(inputs: AggregatorInput, teacher: AggregatorOutput) -> dict[str, Float[Array, "b m"]]:
    """Measure for each image and output whether the aggregator selects prompts or leaves them.

    `effective_prompts` is the exponential of the attention's entropy: n for equal weights. Both
    are left out where the aggregator has no attention.
    """
    cosines = {
        "cos_pa_x": cosine(teacher.p_a, inputs.x[:, None]),
        "cos_pa_pbar": cosine(teacher.p_a, inputs.mean[:, None]),
    }
    weights = teacher.attention
    if weights is None:
        return cosines
    logs = jnp.log(jnp.where(weights > 0, weights, 1))
    # Of a single prompt the sum is -0.
    entropy = jnp.abs(jnp.sum(weights * logs, axis=-1))
    return {**cosines, "attention_entropy": entropy, "effective_prompts": jnp.exp(entropy)}
