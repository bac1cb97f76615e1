"""Breaks the package on purpose and shows which test notices.

    python -m tests.aape.mutations [NAME ...]

As `tests.mcti.mutations`, for AAPE. Takes minutes, so no test runs it.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("aape_jax", "benchmarks", "common", "configs", "tests", "pyproject.toml")


@dataclass(frozen=True)
class Mutation:
    """One wrong line: `before` occurs once in `file`; `test` should notice `after`."""

    name: str
    file: str
    before: str
    after: str
    test: str


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
        "h(x) not read by the head of answers",
        "aape_jax/answerer.py",
        "scale * given[name] @ first[name] for name in first)",
        "scale * given[name] @ first[name] for name in ('image',))",
        "aape/test_vqa.py",
    ),
    Mutation(
        "distillation where h is no input",
        "aape_jax/tasks/vqa.py",
        'if "captions" in frozen and "aape" in self.answerers[name].inputs:',
        'if "captions" in frozen:',
        "aape/test_vqa.py",
    ),
    Mutation(
        "CIDEr-D without clipping",
        "common/evaluation/captioning.py",
        "min(weight, second.get(gram, 0.0)) * second.get(gram, 0.0)",
        "weight * second.get(gram, 0.0)",
        "evaluation/test_captioning.py",
    ),
    Mutation(
        "VQA: nobody left out",
        "common/evaluation/vqa.py",
        "others = same.sum() - same",
        "others = same.sum() - 0 * same",
        "evaluation/test_vqa.py",
    ),
    Mutation(
        "padding has positions",
        "common/language/model.py",
        "jnp.cumsum(mask, axis=1)",
        "jnp.cumsum(jnp.ones_like(mask), axis=1)",
        "language/test_model.py",
    ),
    Mutation(
        "the cache of another beam",
        "common/language/decoding.py",
        'cache = _reorder(state["cache"], rows)',
        'cache = state["cache"]',
        "language/test_decoding.py",
    ),
    Mutation(
        "H of per-dataset means",
        "common/report.py",
        "rows = average(tables)",
        "rows = average([with_harmonic(table) for table in tables])",
        "aape/test_report.py",
    ),
)


def first_failure(checkout: Path, *tests: str) -> str | None:
    """The first of the tests that fails."""
    paths = [f"tests/{test}" for test in tests]
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *paths]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True)
    found = re.search(r"^(?:FAILED|ERROR) tests/(\S+)", done.stdout, re.MULTILINE)
    if done.returncode and not found:
        raise SystemExit(f"pytest could not run:\n{done.stdout}{done.stderr}")
    return found and found[1]


def noticed(checkout: Path, mutation: Mutation) -> str | None:
    """The test that fails once the mutation is in the copy."""
    path = checkout / mutation.file
    original = path.read_text()
    if original.count(mutation.before) != 1:
        raise SystemExit(f"{mutation.file} does not hold {mutation.before!r} exactly once.")
    path.write_text(original.replace(mutation.before, mutation.after))
    try:
        return first_failure(checkout, mutation.test)
    finally:
        path.write_text(original)


def main(names: list[str]) -> int:
    """Prints a line of the table for each mutation."""
    chosen = [x for x in MUTATIONS if not names or x.name in names]
    survivors = 0
    with tempfile.TemporaryDirectory() as directory:
        checkout = Path(directory)
        for name in COPIED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, checkout / name)
        if failure := first_failure(checkout, *sorted({x.test for x in chosen})):
            raise SystemExit(f"without any mutation {failure} fails.")
        print("| mutation | file | noticed by |\n|---|---|---|", flush=True)
        for mutation in chosen:
            test = noticed(checkout, mutation)
            survivors += test is None
            print(f"| {mutation.name} | {mutation.file} | {test or 'NOBODY'} |", flush=True)
    return int(survivors > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
