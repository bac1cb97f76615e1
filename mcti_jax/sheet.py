"""Pictures of learned tokens, drawn and written with what they were drawn from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import UInt8

from common.diffusion import StableDiffusion, load_stable_diffusion
from common.diffusion.learned import LearnedVectors
from common.diffusion.record import Drawing
from common.diffusion.words import word_key
from common.errors import UserError
from common.evaluation.figures import image_grid
from common.paths import AnyPath
from common.pictures import write_png
from common.precision import frozen_dtype, use_precision
from common.text import printable
from mcti_jax.formats import LearnedToken, read_tokens, typed_words
from mcti_jax.formats.trainer_files import halves_joined
from mcti_jax.saving import read_run_tokens


@dataclass(frozen=True, eq=False)
class Sheet:
    """Pictures of several prompts.

    Attributes:
      drawing: What they were drawn from.
      pictures: Of the prompts, one after another.
    """

    drawing: Drawing
    pictures: UInt8[np.ndarray, "b h w 3"]

    def grid(self) -> UInt8[np.ndarray, "height width 3"]:
        """Return all pictures with a row for each prompt."""
        prompts = self.drawing.prompts
        shape = (len(prompts), self.drawing.num, *self.pictures.shape[1:])
        return image_grid(self.pictures.reshape(shape), [printable(text) for text in prompts])

    def write(self, out: AnyPath) -> None:
        """Write a PNG: the grid, or the one picture that `drawing` names."""
        number = self.drawing.picture
        pixels = self.grid() if number is None else self.pictures[number]
        write_png(out, pixels, self.drawing.png_texts())

    def write_each(self, folder: AnyPath) -> Iterator[AnyPath]:
        """Write each picture into a PNG of its own and yield its path."""
        for number, picture in enumerate(self.pictures):
            path = folder / f"{number:04}.png"
            write_png(path, picture, replace(self.drawing, picture=number).png_texts())
            yield path


def draw_sheet(drawing: Drawing, sd: StableDiffusion, words: LearnedVectors) -> Sheet:
    """Draw what `drawing` says."""
    return Sheet(drawing, drawing.draw(sd, words))


def draw_again(
    file: AnyPath,
    *,
    workdir: AnyPath | None = None,
    embeddings: Sequence[AnyPath] = (),
    model: str | None = None,
) -> Sheet:
    """Draw the pictures of a file again, with the same bytes on the same kind of device.

    Args:
      file: A PNG with a record of what it was drawn from.
      workdir: The run that learned its words, if there are any.
      embeddings: Files and folders of such words.
      model: Where the model is now, if not where it was.

    Raises:
      UserError: The file has no record, or the model or the words are not those of the picture.
    """
    drawing = Drawing.from_png(file)
    use_precision(drawing.dtype)
    words = typed_words(gather_tokens(workdir, embeddings))
    sd = load_stable_diffusion(model or drawing.model, frozen_dtype(drawing.dtype))
    drawing.require_same(sd, words)
    return draw_sheet(drawing, sd, words)


def gather_tokens(
    workdir: AnyPath | None, embeddings: Sequence[AnyPath] = ()
) -> list[LearnedToken]:
    """Return the tokens of a run and of files and folders.

    Raises:
      UserError: There are none where there should be, or two claim one word.
    """
    tokens = read_run_tokens(workdir) if workdir else []
    read = [(path, token) for path in embeddings for token in read_tokens(path)]
    tokens += [token for _, token in halves_joined(read)]
    origin: dict[str, LearnedToken] = {}
    for token in tokens:
        if origin.setdefault(word_key(token.token), token) is not token:
            raise UserError(
                f"two embeddings claim the word {token.token}: leave one of them out, or rename "
                "its file."
            )
    return tokens
