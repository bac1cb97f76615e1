"""ProText's step at the size of ViT-B/16, beside the reference's."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.gpu.setting import Row, Setting, reason, torch_peak
from benchmarks.mcti_step import set_exact
from benchmarks.protext_problem import BATCH, CASES, make_problem
from benchmarks.protext_step import check, make_steps, seconds
from common.training.mesh import make_mesh

PAIRS = 12  # of the comparison
STEPS = 20  # in a call of ours


@dataclass(frozen=True)
class Corpus:
    """How many sentences of how many words a data set's file holds, which is not at hand here."""

    classes: int
    sentences: int
    words: float
    spread: float


CORPORA = {"dtd": Corpus(47, 60, 13.6, 4.3), "imagenet": Corpus(998, 46, 12.9, 2.4)}
TINY = {"eurosat": Corpus(3, 4, 4.0, 1.0)}


def write_texts(case: str, corpus: Corpus, folder: Path) -> None:
    """Write random sentences under the name of a data set's file."""
    rng = np.random.default_rng(0)

    def sentence() -> str:
        length = max(2, round(rng.normal(corpus.words, corpus.spread)))
        return " ".join(f"w{word}" for word in rng.integers(0, 50 * corpus.classes**0.5, length))

    texts = {f"c{k}": [sentence() for _ in range(corpus.sentences)] for k in range(corpus.classes)}
    content = gzip.compress(json.dumps(texts).encode())
    (folder / f"{CASES[case].file}.json.gz").write_bytes(content)


def steps(setting: Setting) -> Iterator[Row]:
    """Compare in float32, then time both with a tower in half precision."""
    size = "tiny" if setting.tiny else "vit-b16"
    for case, corpus in (TINY if setting.tiny else CORPORA).items():
        write_texts(case, corpus, setting.work)
        with jax.set_mesh(make_mesh(1, 1)):
            try:
                yield from _rows(setting, case, size)
            except Exception as error:
                yield {"data set": case, "error": reason(error)}


def _rows(setting: Setting, case: str, size: str) -> Iterator[Row]:
    set_exact(True)
    small = make_problem(case, size, setting.work, PAIRS)
    error = check(make_steps(small, 1, 1, setting.device, "c"))
    set_exact(False)
    problem = make_problem(case, size, setting.work, BATCH)
    problem = replace(problem, dtype=jnp.bfloat16)
    at_once = 2 if setting.tiny else STEPS
    both = make_steps(problem, at_once, 1 + setting.repeats, setting.device, "c")
    torch_peak(setting.device)
    names = {"a": "the reference's", "c": "ours"}
    for name, title in names.items():
        rate = 1 / seconds(both[name], setting.repeats if name == "c" else 5 * setting.repeats)
        memory = both[name].temporary / 2**30 if name == "c" else torch_peak(setting.device)
        yield {
            "data set": case,
            "step": title,
            "steps/s": rate,
            "GiB of activations": memory,
            "agreed in float32 to": error if name == "c" else None,
        }
