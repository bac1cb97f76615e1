"""What breaks AAPE, and the test that notices.

python -m tests.aape.mutations [NAME ...]
"""

from tests.mutations import Mutation, main

MUTATIONS = (
    Mutation(
        "image fed to paper's query",
        "aape_jax/aggregators/paper.py",
        'return given.mean[:, None] + params["offset"][given.token]',
        'return (given.mean + given.x)[:, None] + params["offset"][given.token]',
        "aape/test_aggregators.py",
    ),
    Mutation(
        "softmax without mask",
        "aape_jax/aggregators/attention.py",
        "jax.nn.softmax(jnp.where(mask, logits, -jnp.inf), axis=-1)",
        "jax.nn.softmax(logits, axis=-1)",
        "aape/test_aggregators.py",
    ),
    Mutation(
        "mean over padding",
        "aape_jax/unit.py",
        "mask.sum(axis=-1, keepdims=True)",
        "mask.shape[-1]",
        "aape/test_aggregators.py",
    ),
    Mutation(
        "result of the anchored form not renormalised",
        "aape_jax/aggregators/attention.py",
        'unit(jnp.einsum("bmn,bnp->bmp", weights, prompts))',
        'jnp.einsum("bmn,bnp->bmp", weights, prompts)',
        "aape/test_aggregators.py",
    ),
    Mutation(
        "reward on unnormalised features",
        "aape_jax/losses.py",
        "similarity = cosine(x[:, None], p_a)",
        "similarity = (x[:, None] * p_a).sum(axis=-1)",
        "aape/test_objective.py",
    ),
    Mutation(
        "reward minimised",
        "aape_jax/losses.py",
        "drift - self.weight * self.score(x, p_a)",
        "drift + self.weight * self.score(x, p_a)",
        "aape/test_objective.py",
    ),
    Mutation(
        "distillation reaches the aggregator",
        "aape_jax/losses.py",
        "lax.stop_gradient(p_a) if self.stop_grad else p_a",
        "p_a",
        "aape/test_objective.py",
    ),
    Mutation(
        "target not normalised",
        "aape_jax/losses.py",
        "unit(target) if self.normalize_target else target",
        "target",
        "aape/test_objective.py",
    ),
    Mutation(
        "mean over dimensions instead of the sum",
        "aape_jax/losses.py",
        '"sq_l2": lambda h, p: jnp.square(h - p).sum(axis=-1)',
        '"sq_l2": lambda h, p: jnp.square(h - p).mean(axis=-1)',
        "aape/test_objective.py",
    ),
    Mutation(
        "lambda applied to the task loss",
        "aape_jax/objective.py",
        "return task + taught,",
        "return self.distillation.weight * task + taught,",
        "aape/test_objective.py",
    ),
    Mutation(
        "captions of one image as negatives",
        "aape_jax/losses.py",
        "logits = jnp.where(same, -jnp.inf, logits)",
        "logits = jnp.where(same & False, -jnp.inf, logits)",
        "aape/test_objective.py",
    ),
    Mutation(
        "linear g",
        "aape_jax/projection.py",
        '"relu": jax.nn.relu',
        '"relu": lambda x: x',
        "aape/test_head.py",
    ),
    Mutation(
        "biases in h",
        "aape_jax/generator.py",
        "bias: bool = False",
        "bias: bool = True",
        "aape/test_head.py",
    ),
    Mutation(
        "random start by default",
        "aape_jax/projection.py",
        "zero_init: bool = True",
        "zero_init: bool = False",
        "aape/test_head.py",
    ),
    Mutation(
        "cross term of the norm forgotten",
        "aape_jax/logits.py",
        '+ 2 * keep * alpha * jnp.einsum("kr,bkr->bk", classes.overlap, z)',
        '+ 0 * jnp.einsum("kr,bkr->bk", classes.overlap, z)',
        "aape/test_head.py",
    ),
    Mutation(
        "temperature forgotten",
        "aape_jax/head.py",
        "return x @ w.T / self.tau",
        "return x @ w.T",
        "aape/test_head.py",
    ),
    Mutation(
        "weight decay missing",
        "aape_jax/optimizer.py",
        "optax.add_decayed_weights(config.weight_decay)",
        "optax.add_decayed_weights(0.0)",
        "aape/test_optimizer.py",
    ),
    Mutation(
        "rate falls within an epoch",
        "aape_jax/optimizer.py",
        "epoch = jnp.asarray(step) // an_epoch",
        "epoch = jnp.asarray(step) / an_epoch",
        "aape/test_optimizer.py",
    ),
    Mutation(
        "rows of the bank in the file's order",
        "aape_jax/bank.py",
        "grouped[order], mask[order]",
        "grouped, mask",
        "aape/test_bank.py",
    ),
    Mutation(
        "padding of the gallery found",
        "aape_jax/tasks/recall.py",
        "jnp.where(ids == PADDING, -jnp.inf, part @ gallery.T)",
        "jnp.where(ids == PADDING, 2.0, part @ gallery.T)",
        "aape/test_recall.py",
    ),
    Mutation(
        "H of per-dataset means",
        "common/report.py",
        "rows = average(tables)",
        "rows = average([with_harmonic(table) for table in tables])",
        "aape/test_report.py",
    ),
)

if __name__ == "__main__":
    main(MUTATIONS)
