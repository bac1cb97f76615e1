"""What AAPE costs as a whole: training a head from cached features, and an image's prediction.

`benchmarks.aape_step` prints both. Training is 16 photos and 20 prompts of each class, random
features of width 512, for some epochs of CoOp's SGD on the objective of h and g, in one compiled
scan. A prediction takes pictures through the image tower and then asks zero-shot CLIP's
classifier, or AAPE's.
"""

import time
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import optax
from absl import flags
from jaxtyping import PyTree

from aape_jax.classification.serving import answer, serve
from aape_jax.core.head import Head
from aape_jax.core.objective import Batch, Objective
from aape_jax.core.unit import unit
from benchmarks.aape_problem import Towers, random_params
from benchmarks.timing import rates
from common.clip import ViT
from common.evaluation.tables import markdown_table
from common.protocols.epochs import Sampler
from configs.aape import get_config

SHOTS = 16


def vectors(seed: int, *shape: int) -> jax.Array:
    """Return random unit vectors."""
    return unit(jax.random.normal(jax.random.key(seed), shape))


def training(towers: Towers, classes: int, batch: int, epochs: int) -> dict[str, float]:
    """Return seconds to compile and to run a whole training, and its updates."""
    width, examples = towers.text.projection, SHOTS * classes
    sampler = Sampler(examples, batch, seed=0)
    rows = sampler.steps(epochs * sampler.per_epoch)
    config = get_config("preset=projection")
    objective = Objective.from_config(config)
    optimizer = optax.sgd(config.learning_rate, config.momentum)
    everything = Batch(
        x=vectors(1, examples, width),
        labels=jnp.arange(examples) % classes,
        rows=jnp.arange(examples),
        classes=vectors(2, classes, width),
        prompts=vectors(3, classes, towers.prompts, width),
        mask=jnp.ones((classes, towers.prompts), bool),
    )

    def run(params: PyTree, everything: Batch, batches: jax.Array) -> PyTree:
        def step(carry: PyTree, rows: jax.Array) -> tuple[PyTree, None]:
            params, state = carry
            images = everything.replace(
                x=everything.x[rows], labels=everything.labels[rows], rows=rows
            )
            gradient = jax.grad(lambda p: objective(p, images, jax.random.key(0))[0])(params)
            change, state = optimizer.update(gradient, state, params)
            return (optax.apply_updates(params, change), state), None

        (params, _), _ = jax.lax.scan(step, (params, optimizer.init(params)), batches)
        return params

    params = objective.init(jax.random.key(0), width, classes, examples)
    arguments = (params, everything, jnp.asarray(rows))
    started = time.perf_counter()
    compiled = jax.jit(run).lower(*arguments).compile()
    ready = time.perf_counter()
    trained = jax.block_until_ready(compiled(*arguments))
    ended = time.perf_counter()
    if not all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(trained)):
        raise RuntimeError("the training diverged, so that its time says nothing.")
    return {"updates": len(rows), "compile": ready - started, "run": ended - ready}


def prediction(
    towers: Towers, classes: int, batch: int, seconds: float, repeats: int
) -> Mapping[str, float]:
    """Return milliseconds per image of the tower, of CLIP's classifier and of AAPE's."""
    tower, side = ViT(towers.image), towers.image.image_size
    pixels = jax.random.normal(jax.random.key(0), (batch, side, side, 3))
    weights = random_params(tower, pixels[:1])
    width = towers.image.projection
    w = vectors(2, classes, width)
    head = Head.from_config(get_config("preset=projection"))
    params = head.init(jax.random.key(1), width)
    params = jax.tree.map(lambda leaf: leaf + 0.02, params)  # Zeros might be folded away.
    served = serve(params, w, head)
    encode = jax.jit(lambda weights, pixels: tower.apply({"params": weights}, pixels).features)
    zero_shot = jax.jit(lambda x, w: jnp.argmax(unit(x) @ w.T, axis=-1))
    x = encode(weights, pixels)
    parts: dict[str, Callable[[], jax.Array]] = {
        "tower": lambda: encode(weights, pixels),
        "zero_shot": lambda: zero_shot(x, w),
        "aape": lambda: answer(served, x),
    }
    speed = rates(
        {name: lambda part=part: jax.block_until_ready(part()) for name, part in parts.items()},
        seconds,
        repeats,
    )
    return {name: 1e3 / (rate * batch) for name, rate in speed.items()}


def report(towers: Towers, numbers: Sequence[int], options: flags.FlagValues) -> str:
    """Return the tables of training and of prediction, a row for each number of classes."""
    trained, predicted = [], []
    for classes in numbers:
        cost = training(towers, classes, options.batch, options.epochs)
        seconds = (f"{cost[name]:.1f}" for name in ("compile", "run"))
        trained.append([f"{classes}", f"{cost['updates']}", *seconds])
        ms = prediction(towers, classes, options.batch, options.seconds, options.repeats)
        more = (ms["tower"] + ms["aape"]) / (ms["tower"] + ms["zero_shot"]) - 1
        predicted.append([f"{classes}", *(f"{x:.4f}" for x in ms.values()), f"{100 * more:.2f}"])
    times = ["tower, ms", "CLIP's classifier, ms", "AAPE's, ms", "whole, % more"]
    return "\n\n".join(
        [
            f"### Training, {options.epochs} epochs of {SHOTS} photos per class",
            markdown_table(["classes", "updates", "compile, s", "run, s"], trained),
            f"### An image's prediction, batch {options.batch}",
            markdown_table(["classes", *times], predicted),
        ]
    )
