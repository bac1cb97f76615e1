"""A text tower of a few thousand weights, and a corpus that is spelled in its ids.

Ids are ordered as in CLIP's vocabulary: words < start < end.
"""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np

from common.clip import TextConfig, TextTower
from common.config import flatten
from common.protocols.epochs import Sampler
from configs.protext import defaults
from protext_jax.fast import start_states
from protext_jax.objective import Objective
from protext_jax.packing import Packer, Sizes, suffixes
from protext_jax.runs import Batches

TEXT = TextConfig(
    vocab_size=101,
    width=16,
    layers=3,
    heads=2,
    mlp_width=32,
    projection=8,
    bos=99,
    eos=100,
    pad=100,
)
# Compiling is what these tests spend their time on, so the compiler is told not to try hard.
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
WEIGHT = 1000.0
EPOCHS = 5  # that a fast form's shapes serve


@dataclass(frozen=True)
class Problem:
    """Everything that a step reads, in both forms.

    `ids`, `end`: templates of the classes; `label`, `targets`: of the pairs.
    """

    tower: TextTower
    params: dict
    prompts: np.ndarray
    ids: np.ndarray
    end: np.ndarray
    label: np.ndarray
    targets: np.ndarray
    batch: int

    def objective(self, loss="l2", weight=WEIGHT, half=False):
        return Objective(self.tower, loss, weight, min(self.batch, len(self.label)), half)

    def samplers(self):
        return tuple(Sampler(len(self.label), self.batch, run) for run in range(len(self.prompts)))

    def batches(self, shards=0):
        """The source of the plain form, or of the fast one on so many devices."""
        packer = None
        if shards:
            _, _, lengths, starts = suffixes(self.ids, self.end, self.prompts.shape[2])
            samplers = [(sampler, EPOCHS) for sampler in self.samplers()]
            sizes = Sizes.of(samplers, self.label, lengths, shards)
            packer = Packer(sizes, self.label, lengths, starts)
        return Batches(self.samplers(), packer, "tiny")

    def frozen(self):
        """What either form reads."""
        tokens, position, _, _ = suffixes(self.ids, self.end, self.prompts.shape[2])
        text = self.params
        return {
            "text": text,
            "ids": self.ids,
            "end": self.end,
            "label": self.label,
            "targets": self.targets,
            "suffix": text["token_embedding"][tokens] + text["position_embedding"][position],
            "start": start_states(self.tower, text),
        }


def make_problem(
    length=4, depth=2, *, classes=5, pairs=23, batch=9, runs=1, text=TEXT, params=None, seed=0
):
    """Random weights, templates of different lengths, and unit targets."""
    rng = np.random.default_rng(seed)
    tower = TextTower(text)
    ids = np.full((classes, text.positions), text.pad, np.int32)
    end = length + rng.integers(3, 7, classes)
    for row, stop in zip(ids, end, strict=True):
        row[: stop + 1] = [text.bos, *rng.integers(0, text.bos, stop - 1), text.eos]
    targets = rng.standard_normal((pairs, text.projection)).astype(np.float32)
    return Problem(
        tower=tower,
        params=random_params(text) if params is None else params,
        prompts=(0.3 * rng.standard_normal((runs, depth, length, text.width))).astype(np.float32),
        ids=ids,
        end=end,
        label=rng.integers(0, classes, pairs).astype(np.int32),
        targets=targets / np.linalg.norm(targets, axis=1, keepdims=True),
        batch=batch,
    )


def random_params(text=TEXT, seed=0):
    """Weights of usual size; zeros and ones are disturbed, so that each one matters."""
    rng = np.random.default_rng(seed)
    inputs = jnp.zeros((1, 1, text.width)), jnp.zeros(1, int)
    shapes = jax.eval_shape(TextTower(text).init, jax.random.key(0), *inputs)["params"]

    def leaf(path, shape):
        noise = rng.standard_normal(shape.shape).astype(np.float32)
        name = path[-1].key
        if name == "kernel":
            return noise / np.sqrt(shape.shape[0]).astype(np.float32)
        return {"scale": 1 + 0.1 * noise, "bias": 0.1 * noise}.get(name, 0.5 * noise)

    return jax.tree_util.tree_map_with_path(leaf, shapes)


def settings(**changes):
    """The default configuration with some fields changed."""
    config = defaults()
    config.update_from_flattened_dict(flatten(changes))
    return config


def wider(**changes):
    """`TEXT` with other sizes."""
    return replace(TEXT, **changes)
