"""The texts and sizes on which ProText's steps are timed."""

import gzip
import json
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import PyTree

from common.clip import TextConfig, TextTower
from common.clip.known import KNOWN
from common.data.coop_sets import MODEL
from common.errors import UserError
from common.protocols.epochs import Sampler
from protext_jax.fast import start_states
from protext_jax.objective import Objective
from protext_jax.packing import Packer, Sizes, suffixes
from protext_jax.runs import Batches

SIZES = {
    "tiny": TextConfig(300, 16, 2, 2, 32, bos=298, eos=299, pad=299, projection=8),
    "small": TextConfig(49408, 64, 3, 2, 128, projection=32),
    "vit-b16": KNOWN[MODEL].text,
}
BATCH = 256
WEIGHT = 1000.0


@dataclass(frozen=True)
class Case:
    """A data set of the paper: its file of sentences and its T."""

    file: str
    length: int


CASES = {
    "dtd": Case("texture_prompts_full", 16),
    "eurosat": Case("EuroSAT", 4),
    "stanford_cars": Case("cars_prompts_full", 8),
    "imagenet": Case("mapper_data_gpt", 4),
}


@dataclass(frozen=True)
class Problem:
    """What a step reads, in every form.

    Attributes:
      config: Sizes of the tower.
      prompts: Where training begins, `[j t d]`.
      templates, ends: Token ids of the classes' templates, `[k 77]`, and their ends.
      sentences: Token ids of all pairs, `[b 77]`.
      label: Class of each pair.
      batch: Pairs of a step.
      epochs: How many the shapes of the fast form must serve.
      dtype: Of the frozen tower.
    """

    config: TextConfig
    prompts: np.ndarray
    templates: np.ndarray
    ends: np.ndarray
    sentences: np.ndarray
    label: np.ndarray
    batch: int
    epochs: int = 20
    dtype: DTypeLike = jnp.float32

    @property
    def tower(self) -> TextTower:
        """The module."""
        return TextTower(self.config, self.dtype)

    def objective(self) -> Objective:
        """Return the paper's loss."""
        return Objective(self.tower, "l2", WEIGHT, min(self.batch, len(self.label)))

    def batches(self, fast: bool) -> Batches:
        """Return the source of either form; both draw the same pairs."""
        sampler = Sampler(len(self.label), self.batch, seed=0)
        packer = None
        if fast:
            _, _, lengths, starts = suffixes(self.templates, self.ends, self.prompts.shape[1])
            sizes = Sizes.of([(sampler, self.epochs)], self.label, lengths, shards=1)
            packer = Packer(sizes, self.label, lengths, starts)
        return Batches((sampler,), packer, "benchmark")

    def frozen(self, params: PyTree, targets: np.ndarray) -> PyTree:
        """Return what either form reads, on the device."""
        params = jax.tree.map(lambda x: np.asarray(x, self.dtype), params)
        ids, position, _, _ = suffixes(self.templates, self.ends, self.prompts.shape[1])
        suffix = params["token_embedding"][ids] + params["position_embedding"][position]
        frozen = {
            "text": params,
            "ids": self.templates,
            "end": self.ends,
            "label": self.label,
            "targets": targets,
            "suffix": suffix,
            "start": start_states(self.tower, params),
        }
        return jax.device_put(jax.tree.map(jnp.asarray, frozen))


def make_problem(case: str, size: str, texts: Path, batch: int = BATCH) -> Problem:
    """Read the sentences.

    Ids are counted, not looked up, so that no vocabulary is needed; a word of nine letters or
    more is two tokens, which gives about CLIP's lengths.

    Raises:
      UserError: The file of sentences is not there.
    """
    config, chosen = SIZES[size], CASES[case]
    path = texts / f"{chosen.file}.json.gz"
    if not path.is_file():
        raise UserError(f"there is no {path}: give --texts=FOLDER with ProText's files.")
    corpus = json.loads(gzip.decompress(path.read_bytes()))
    known: dict[str, int] = {}

    def encode(text: str) -> list[int]:
        words = text.lower().replace("_", " ").replace(".", " .").replace(",", " ,").split()
        pieces = [p for word in words for p in ([word] if len(word) < 9 else [word[:8], word[8:]])]
        return [known.setdefault(piece, len(known)) for piece in pieces]

    def pack(sequences: list[list[int]]) -> np.ndarray:
        ids = np.full((len(sequences), config.positions), config.eos, np.int32)
        for row, sequence in zip(ids, sequences, strict=True):
            kept = sequence[: config.positions - 2]
            row[: len(kept) + 2] = [config.bos, *kept, config.eos]
        return ids

    prefix = " ".join(["x"] * chosen.length) if chosen.length > 4 else "a photo of a"
    templates = [encode(f"{prefix} {name}.") for name in corpus]
    pairs = [(k, text) for k, group in enumerate(corpus.values()) for text in group]
    depth = min(9, config.layers)
    rng = np.random.default_rng(0)
    prompts = 0.02 * rng.standard_normal((depth, chosen.length, config.width))
    return Problem(
        config=config,
        prompts=prompts.astype(np.float32),
        templates=pack(templates),
        ends=np.array([len(ids) + 1 for ids in templates]),
        sentences=pack([encode(text) for _, text in pairs]),
        label=np.array([k for k, _ in pairs], np.int32),
        batch=batch,
    )
