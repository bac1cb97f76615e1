"""Breaks the package on purpose and shows which test notices.

    python -m tests.mcti.mutations [NAME ...]

Each mutation changes one line in a copy of the checkout and runs the tests that should fail.
Prints a table; exit status 1 if a mutation survives. Takes minutes, so no test runs it.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("common", "configs", "mcti_jax", "tests", "pyproject.toml")


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
        "EOS pooling instead of the placeholder",
        "mcti_jax/prompts.py",
        "self.slot + self.vectors - 1",
        "self.end",
        "test_prompts.py",
    ),
    Mutation(
        "EOS pooling by default",
        "configs/mcti.py",
        'config.pool = "placeholder"',
        'config.pool = "eos"',
        "test_method.py",
    ),
    Mutation(
        "features of mirrors missing",
        "mcti_jax/material.py",
        "for version in (ORIGINAL, MIRROR)",
        "for version in (ORIGINAL, ORIGINAL)",
        "test_material.py",
    ),
    Mutation(
        "posteriors of mirrors missing",
        "mcti_jax/encoding.py",
        "mirror(pixels) if flip else pixels",
        "pixels",
        "test_material.py",
    ),
    Mutation(
        "mirrors missing from the bank",
        "mcti_jax/layout.py",
        "features.reshape(-1, features.shape[-1])",
        "np.concatenate([features[0], features[0]])",
        "test_layout.py",
    ),
    Mutation(
        "image features not normalised",
        "mcti_jax/layout.py",
        "entries / (entries**2).sum(axis=-1, keepdims=True) ** 0.5",
        "entries / 1.0",
        "test_layout.py",
    ),
    Mutation(
        "text features not normalised",
        "mcti_jax/losses.py",
        "unit = text / jnp.linalg.norm(text, axis=-1, keepdims=True)",
        "unit = text",
        "test_losses.py",
    ),
    Mutation(
        "scale 100 instead of 10",
        "configs/mcti.py",
        "config.logit_scale = 10.0",
        "config.logit_scale = 100.0",
        "test_method.py",
    ),
    Mutation(
        "mean over classes instead of the sum",
        "mcti_jax/rows.py",
        "return values.sum(), (values, metrics)",
        "return values.mean(), (values, metrics)",
        "test_rows.py",
    ),
    Mutation(
        "0.18215 forgotten in the loss",
        "mcti_jax/losses.py",
        "latents = networks.latent_scale * (",
        "latents = 1.0 * (",
        "test_objective.py",
    ),
    Mutation(
        "0.18215 forgotten in the networks",
        "mcti_jax/assembly.py",
        "latent_scale=sd.vae.config.scaling_factor",
        "latent_scale=1.0",
        "test_method.py",
    ),
    Mutation(
        "target one class too far",
        "mcti_jax/losses.py",
        "label = jnp.repeat(rows.label, samples)",
        "label = jnp.repeat(rows.label, samples) + 1",
        "test_objective.py",
    ),
    Mutation(
        "rate not scaled by the samples",
        "mcti_jax/method.py",
        "(config.samples if config.scale_lr else 1)",
        "1",
        "test_method.py",
    ),
    Mutation(
        "weight decay missing",
        "mcti_jax/method.py",
        "weight_decay=config.weight_decay",
        "weight_decay=0.0",
        "test_learning.py",
    ),
    Mutation(
        "photo cropped instead of squashed",
        "mcti_jax/encoding.py",
        "squash(split.load(photo), size)",
        "squash(split.load(photo).crop((5, 0, 14, 9)), size)",
        "test_material.py",
    ),
    Mutation(
        "last class of a chunk untrained",
        "mcti_jax/rows.py",
        "return values, gradient, metrics",
        "return values, gradient.at[-1].set(0), metrics",
        "test_rows.py",
    ),
    Mutation(
        "remainder of the classes left out",
        "mcti_jax/rows.py",
        "per_device = -(-per_device // at_once) * at_once",
        "per_device = per_device // at_once * at_once",
        "test_rows.py",
    ),
    Mutation(
        "only the first of n vectors inserted",
        "mcti_jax/prompts.py",
        "(offset < vectors.shape[1])",
        "(offset < 1)",
        "test_learning.py",
    ),
    Mutation(
        "posterior's variance for its deviation",
        "mcti_jax/losses.py",
        "jnp.exp(0.5 * logvar)",
        "jnp.exp(logvar)",
        "test_objective.py",
    ),
    Mutation(
        "index may reach the count",
        "mcti_jax/draws.py",
        "jnp.minimum((fraction * count).astype(jnp.int32), count - 1)",
        "(fraction * count).astype(jnp.int32)",
        "test_draws.py",
    ),
)


def first_failure(checkout: Path, *tests: str) -> str | None:
    """The first of the tests that fails."""
    paths = [f"tests/mcti/{test}" for test in tests]
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *paths]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True)
    found = re.search(r"^(?:FAILED|ERROR) \S*?/mcti/(\S+)", done.stdout, re.MULTILINE)
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
