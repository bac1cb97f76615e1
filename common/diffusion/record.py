"""What pictures were drawn from, kept in their files so that they can be drawn again."""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8

from common import strict_json
from common.checks import Range
from common.damage import DAMAGED, cause
from common.diffusion.bounds import COUNTS, GUIDANCE, SIDES
from common.diffusion.chunks import prompt_chunks
from common.diffusion.drawing import generate
from common.diffusion.infotext import infotext, sampler_facts
from common.diffusion.learned import LearnedVectors
from common.diffusion.parts import DiffusionModel
from common.diffusion.samplers import SAMPLERS
from common.diffusion.text_encoding import vocabulary_of
from common.diffusion.weighted import as_weighted
from common.errors import UserError
from common.paths import AnyPath
from common.pictures import read_png_texts
from common.precision import frozen_dtype
from common.records import Record
from common.text import quoted, shown
from common.weights.fingerprint import fingerprint

KEYWORD = "drawing"
"""Of the JSON in a PNG file; web UIs read "parameters"."""
_REMEDY = "give a PNG that mcti_jax.generate wrote"
_MOST_PROMPTS = 1024


@dataclass(frozen=True)
class Drawing:
    """All that determines pictures but the weights and the learned vectors, which it identifies.

    Attributes:
      model: As `load_stable_diffusion` takes it.
      fingerprint: Of its weights.
      dtype: Of its computations.
      prompts: Each of them `num` times, one after another.
      negative: What to steer away from.
      num: Pictures of each prompt.
      seed: Of the initial noise.
      steps: Of the sampler.
      sampler: A key of `common.diffusion.SAMPLERS`.
      guidance: Weight of classifier-free guidance; 1 or less is none.
      width: In pixels.
      height: In pixels.
      weighted: Whether prompts are read as `common.diffusion.weighted` says.
      batch: Pictures at once.
      words: Fingerprints of the learned vectors in the prompts, by word.
      picture: Which of the pictures a file shows; None: a grid of all.
    """

    model: str
    fingerprint: str
    dtype: str
    prompts: tuple[str, ...]
    negative: str
    num: int
    seed: int
    steps: int
    sampler: str
    guidance: float
    width: int
    height: int
    weighted: bool
    batch: int
    words: Mapping[str, str]
    picture: int | None = None

    @classmethod
    def from_png(cls, path: AnyPath) -> "Drawing":
        """Read what a picture was drawn from.

        Raises:
          UserError: The file is not such a picture, or a value is of another type or range.
        """
        text = read_png_texts(path).get(KEYWORD)
        if text is None:
            raise UserError(f"{shown(path)} does not say what it was drawn from: {_REMEDY}.")
        try:
            content = strict_json.parse(text)
        except DAMAGED as error:
            raise UserError(f"{shown(path)} is damaged ({cause(error)}): {_REMEDY}.") from error
        if not isinstance(content, dict):
            raise UserError(f"{shown(path)} does not say what it was drawn from: {_REMEDY}.")
        return cls._from_record(Record(content, shown(path), _REMEDY))

    @classmethod
    def _from_record(cls, record: Record) -> "Drawing":
        def integer(name: str, allowed: Range, **options: Any) -> Any:
            return record.integer(name, int(allowed.low), int(allowed.high), **options)

        prompts = record.strings("prompts")
        if not 0 < len(prompts) <= _MOST_PROMPTS:
            record.refuse("prompts", f"a list of 1 to {_MOST_PROMPTS} texts")
        words = record.record("words")
        drawing = cls(
            model=record.text("model", longest=1000),
            fingerprint=record.text("fingerprint", longest=100),
            dtype=record.text("dtype", longest=100),
            prompts=prompts,
            negative=record.text("negative"),
            sampler=record.text("sampler", tuple(SAMPLERS)),
            guidance=record.number("guidance", GUIDANCE.low, GUIDANCE.high),
            width=integer("width", SIDES),
            height=integer("height", SIDES),
            weighted=record.boolean("weighted"),
            words={word: words.text(word, longest=100) for word in words.content},
            num=integer("num", COUNTS["n"]),
            **{name: integer(name, COUNTS[name]) for name in ("seed", "steps", "batch")},
            picture=record.integer("picture", default=None),
        )
        frozen_dtype(drawing.dtype, "cpu")  # The name alone.
        if not drawing.model.isprintable():
            record.refuse("model", "a name")
        if drawing.picture is not None and drawing.picture >= len(prompts) * drawing.num:
            record.refuse("picture", "the number of a picture")
        return drawing

    def png_texts(self) -> dict[str, str]:
        """Return the texts that a PNG keeps: for `from_png`, and as web UIs write them."""
        content = json.dumps(dataclasses.asdict(self), ensure_ascii=False)
        return {"parameters": self.parameters(), KEYWORD: content}

    def parameters(self) -> str:
        """Return what web UIs show of a picture, in the form of AUTOMATIC1111's."""
        prompt = self.prompts[(self.picture or 0) // self.num]
        texts = (text if self.weighted else as_weighted(text) for text in (prompt, self.negative))
        facts = {
            "Steps": self.steps,
            **sampler_facts(self.sampler),
            "CFG scale": f"{self.guidance:g}",
            "Seed": self.seed,
            "Size": f"{self.width}x{self.height}",
            "Model": self.model.rstrip("/").rpartition("/")[2],
        }
        return infotext(*texts, facts)

    def require_same(self, sd: DiffusionModel, words: LearnedVectors) -> None:
        """Refuse another model than the pictures' own, or other vectors of their words.

        Raises:
          UserError: It says what differs.
        """
        if sd.fingerprint != self.fingerprint:
            raise UserError(
                f"the picture was drawn with the weights {self.fingerprint} of "
                f"{quoted(self.model)}, and these are {sd.fingerprint}: name its own by --model."
            )
        for word, digest in self.words.items():
            if word not in words:
                raise UserError(
                    f"the picture shows {quoted(word)}: give its vectors, by --workdir=RUN or "
                    "--embedding=FILE."
                )
            if digest_of(words[word]) != digest:
                raise UserError(
                    f"the vectors of {quoted(word)} are not those that the picture was drawn with: "
                    "give theirs, by --workdir=RUN or --embedding=FILE."
                )

    def draw(self, sd: DiffusionModel, words: LearnedVectors) -> UInt8[np.ndarray, "b h w 3"]:
        """Draw all pictures."""
        options = ("sampler", "steps", "guidance", "batch", "seed", "negative", "weighted")
        return generate(
            sd,
            [text for text in self.prompts for _ in range(self.num)],
            {word: words[word] for word in self.words},
            size=(self.width, self.height),
            **{name: getattr(self, name) for name in options},
        )


def digests_of_used(
    sd: DiffusionModel, words: LearnedVectors, prompts: Iterable[str], weighted: bool
) -> dict[str, str]:
    """Return the fingerprints of the learned vectors that prompts hold, by word.

    Raises:
      UserError: A prompt holds a word that is unknown or of another width.
    """
    known = vocabulary_of(sd, words)
    used: dict[str, str] = {}
    for prompt in prompts:
        chunks = prompt_chunks(known, prompt) if weighted else [known.pieces(prompt)]
        found = (piece.word for chunk in chunks for piece in chunk if piece.word in words)
        used |= {word: digest_of(words[word]) for word in found}
    return used


def digest_of(vectors: Any) -> str:
    """Return the fingerprint of a word's vectors, for one text encoder or for several."""
    return fingerprint({"vectors": vectors})
