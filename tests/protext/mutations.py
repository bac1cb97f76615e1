"""Breaks the package on purpose and shows which test notices.

    python -m tests.protext.mutations [NAME ...]

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
COPIED = ("common", "configs", "protext_jax", "benchmarks", "tests", "pyproject.toml")


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
        "templates as targets",
        "protext_jax/method.py",
        "text_features(clip, (*texts.sentences, *texts.held_out), cache)",
        "text_features(clip, [texts.names[k] for k in (*texts.label, *texts.held_label)], cache)",
        "test_method.py",
    ),
    Mutation(
        "positions added to deep prompts",
        "protext_jax/fast.py",
        "            x = prompts[layer]\n",
        "            x = prompts[layer] + positions\n",
        "test_tower.py",
    ),
    Mutation(
        "positions added to deep prompts, plainly",
        "protext_jax/tower.py",
        "jnp.broadcast_to(prompts[layer], (",
        "jnp.broadcast_to(prompts[layer] + tower.position_embedding[slots], (",
        "test_tower.py",
    ),
    Mutation(
        "prompts inserted at block J as well",
        "protext_jax/fast.py",
        "if 1 <= layer < depth:",
        "if 1 <= layer <= depth:",
        "test_tower.py",
    ),
    Mutation(
        "prompts inserted at block J as well, plainly",
        "protext_jax/tower.py",
        "if 1 <= layer < depth:",
        "if 1 <= layer <= depth:",
        "test_tower.py",
    ),
    Mutation(
        "prompts of the first block unused",
        "protext_jax/fast.py",
        "[], prompts[0] + positions",
        "[], 0 * prompts[0] + positions",
        "test_tower.py",
    ),
    Mutation(
        "pooling a token early",
        "protext_jax/packing.py",
        "end[: len(classes)] = stops - 1",
        "end[: len(classes)] = stops - 2",
        "test_packing.py",
    ),
    Mutation(
        "pooling a token late, plainly",
        "protext_jax/prompts.py",
        "ends = np.array([len(ids) + 1 for ids in sequences])",
        "ends = np.array([len(ids) + 2 for ids in sequences])",
        "test_prompts.py",
    ),
    Mutation(
        "mean over pairs only",
        "protext_jax/losses.py",
        "return jnp.square(features - targets).mean()",
        "return jnp.square(features - targets).sum(-1).mean()",
        "test_losses.py",
    ),
    Mutation(
        "classes weighted alike",
        "protext_jax/losses.py",
        "count, total = real.sum(1), targets.sum(1)",
        "count, total = real.any(1), targets.mean(1)",
        "test_losses.py",
    ),
    Mutation(
        "weight 1 instead of 1000",
        "protext_jax/losses.py",
        "weight=1000.0",
        "weight=1.0",
        "test_losses.py",
    ),
    Mutation(
        "cosine over N - 5 epochs",
        "protext_jax/schedule.py",
        "(epoch - WARMUP_EPOCHS) / epochs",
        "(epoch - WARMUP_EPOCHS) / (epochs - WARMUP_EPOCHS)",
        "test_schedule.py",
    ),
    Mutation(
        "no warm-up",
        "protext_jax/schedule.py",
        "epoch < WARMUP_EPOCHS, WARMUP_RATE",
        "epoch < 0, WARMUP_RATE",
        "test_schedule.py",
    ),
    Mutation(
        "rate per step",
        "protext_jax/runs.py",
        "state.count // per_epoch",
        "state.count",
        "test_schedule.py",
    ),
    Mutation(
        "rest of an epoch kept",
        "protext_jax/schedule.py",
        "return max(pairs // batch, 1)",
        "return -(-pairs // batch)",
        "test_schedule.py",
    ),
    Mutation(
        "underscores kept at test time",
        "protext_jax/files.py",
        "[readable(name) for name in names]",
        "list(names)",
        "test_files.py",
    ),
    Mutation(
        "underscores kept in training",
        "protext_jax/texts.py",
        "return key if raw else readable(key)",
        "return key",
        "test_method.py",
    ),
    Mutation(
        "class tokens may be overwritten",
        "protext_jax/prompts.py",
        "if length > free:",
        "if length > free + 1:",
        "test_prompts.py",
    ),
    Mutation(
        "sentences left unnormalised",
        "protext_jax/method.py",
        "features = normalise(text_features(",
        "features = np.asarray(text_features(",
        "test_method.py",
    ),
    Mutation(
        "beta2 of 0.999",
        "configs/protext.py",
        "config.beta2 = 0.98",
        "config.beta2 = 0.999",
        "test_recipes.py",
    ),
    Mutation(
        "weight decay missing",
        "configs/protext.py",
        "config.weight_decay = 0.1",
        "config.weight_decay = 0.0",
        "test_recipes.py",
    ),
    Mutation(
        "base half rounded down",
        "common/data/dataset.py",
        "middle = (classes + 1) // 2",
        "middle = classes // 2",
        "test_protocols.py",
    ),
    Mutation(
        "cross-dataset template in base-to-novel",
        "protext_jax/testsets.py",
        "if cross and short:",
        "if short:",
        "test_protocols.py",
    ),
)


def first_failure(checkout: Path, *tests: str) -> str | None:
    """The first of the tests that fails."""
    paths = [f"tests/protext/{test}" for test in tests]
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *paths]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True)
    found = re.search(r"^(?:FAILED|ERROR) \S*?/protext/([^\s\[]+)", done.stdout, re.MULTILINE)
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
