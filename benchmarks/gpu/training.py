"""MC-TI's update at the size of Stable Diffusion 1.5, for several batches and attentions."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.gpu.setting import Row, Setting, program_memory, reason
from benchmarks.mcti_ours import OurStep
from benchmarks.mcti_problem import Problem, latent_shape, make_problem
from benchmarks.timing import rates
from mcti_jax.draws import Draws

CLASSES = 16
DTYPE = jnp.bfloat16
RESERVE = 1.0  # GiB of a card that no program gets: the driver's
CARDS = (16, 80)  # GiB


@dataclass(frozen=True)
class Case:
    """One program: rows are pairs of a class and a sample that are treated at once."""

    attention: str
    remat: str
    rows: int

    @property
    def samples(self) -> int:
        """Samples of a class in an update: four, as published, or as many as there are rows."""
        return min(self.rows, 4)


# In the order of their worth, as time may end; those of a wave are compiled side by side.
WAVES = (
    (Case("fused", "none", 4), Case("plain", "none", 4)),
    (Case("fused", "none", 1), Case("fused", "none", 16)),
    (Case("fused", "none", 8), Case("plain", "attention", 16)),
    (Case("fused", "none", 2), Case("fused", "none", 32)),
    (Case("plain", "none", 1), Case("plain", "none", 16)),
    (Case("plain", "attention", 4), Case("plain", "none", 8)),
    (Case("plain", "none", 2), Case("fused", "block", 32)),
)
TINY_WAVES = ((Case("fused", "none", 4), Case("plain", "attention", 8)),)


def random_problem(setting: Setting) -> Problem:
    """Return the problem of all steps of MC-TI."""
    return make_problem("tiny", 4) if setting.tiny else make_problem("sd15", CLASSES)


def random_posteriors(problem: Problem) -> list[np.ndarray]:
    """Return means and log variances in place of the autoencoder's, each `[2 b h w c]`."""
    shape = (*problem.features.shape[:2], *latent_shape(problem.modules.unet))
    mean = np.random.default_rng(1).standard_normal(shape, dtype=np.float32)
    return [mean, np.full(shape, -4, np.float32)]


def agreement_file(setting: Setting) -> Path:
    """Return where draws, loss and gradient of an update are left for PyTorch's steps."""
    return setting.work / "mcti.npz"


def ours(setting: Setting) -> Iterator[Row | str]:
    """Measure our update; leave what the reference's step is compared with."""
    problem = random_problem(setting)
    posteriors = random_posteriors(problem)
    # The U-Net's weights are on the device once, for all cases.
    unet = jax.device_put(jax.tree.map(lambda x: x.astype(DTYPE), problem.params["unet"]))
    params = {name: problem.params[name] for name in ("text", "projection")}
    problem = replace(problem, params={**params, "unet": unet})
    operations = make_step(problem, posteriors, Case("plain", "none", 1)).products
    memory: dict[Case, float] = {}
    for number, wave in enumerate(TINY_WAVES if setting.tiny else WAVES):
        with ThreadPoolExecutor(len(wave)) as pool:
            compiled = {case: pool.submit(compile_step, problem, posteriors, case) for case in wave}
        for case, future in compiled.items():
            row = {"attention": case.attention, "remat": case.remat, "rows": case.rows}
            try:
                step = future.result()
                memory[case] = row["GiB"] = program_memory(step.memory)
                row["compiling, s"] = step.compile_seconds
                if number == 0 and case.rows == 4:
                    leave_agreement(setting, step)
                per_call = problem.classes * case.samples * problem.steps_per_call
                speed = rates({"ours": step}, setting.seconds, setting.repeats)["ours"] * per_call
                row |= {"samples/s": speed, "TFLOP/s": speed * operations / 1e12}
            except Exception as error:  # Such as: it does not fit.
                row["error"] = reason(error)
            yield row
        del compiled
    yield f"A sample has {operations / 1e12:.3g} TFLOP, whatever is computed twice left out."
    yield from largest({case.rows: x for case, x in memory.items() if case.attention == "fused"})


def make_step(problem: Problem, posteriors: list[np.ndarray], case: Case) -> OurStep:
    """Return a case's step, which is not compiled yet."""
    config = problem.config.copy_and_resolve_references()
    config.samples, config.classes_per_chunk = case.samples, case.rows // case.samples
    unet = problem.modules.unet.clone(attention=case.attention, remat=case.remat)
    modules = replace(problem.modules, unet=unet)
    return OurStep(replace(problem, config=config, modules=modules), posteriors, DTYPE)


def compile_step(problem: Problem, posteriors: list[np.ndarray], case: Case) -> OurStep:
    """Return a case's step, compiled."""
    step = make_step(problem, posteriors, case)
    _ = step.program
    return step


def leave_agreement(setting: Setting, step: OurStep) -> None:
    """Write what the first update draws, and its loss and gradients."""
    loss, gradient = step.differentiate()
    draws = {name: np.asarray(x) for name, x in vars(step.draws()).items()}
    np.savez(agreement_file(setting), loss=loss, gradient=gradient, **draws)


def read_agreement(setting: Setting) -> tuple[Draws, np.ndarray] | None:
    """Return draws and gradients `[k 1 d]` of `leave_agreement`, if they are there."""
    file = agreement_file(setting)
    if not file.exists():
        return None
    with np.load(file) as arrays:
        left = dict(arrays)
    left.pop("loss")
    return Draws(**{name: x for name, x in left.items() if name != "gradient"}), left["gradient"]


def largest(memory: dict[int, float]) -> Iterator[str]:
    """Yield how many rows fit each card by the line through the two largest programs."""
    if len(memory) < 2:
        return
    (few, small), (many, large) = sorted(memory.items())[-2:]
    slope = (large - small) / (many - few)
    for card in CARDS:
        rows = many + (card - RESERVE - large) / slope
        yield (
            f"With fused attention {int(rows)} rows fit {card} GiB, of which {RESERVE:.0f} is the "
            f"driver's, by the line through {few} and {many} rows."
        )
