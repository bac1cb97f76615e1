"""A loaded Stable Diffusion, which draws: 1.x and 2.x, or XL."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image

from common.checks import check_number, check_whole
from common.clip.prompts import require_texts
from common.clip.tokenizer import Tokenizer
from common.diffusion.bounds import COUNTS, GUIDANCE, SIDES
from common.diffusion.drawing import generate
from common.diffusion.learned import checked_vectors
from common.diffusion.parts import DiffusionModel
from common.diffusion.samplers import check_sampling, own_sampler
from common.diffusion.weighted import weighted_spans
from common.diffusion.words import tell_unread
from common.encoding import require_values
from common.errors import UserError
from common.precision import computing


@dataclass(frozen=True)
class StableDiffusion(DiffusionModel):
    """A Stable Diffusion as `load_stable_diffusion` returns it.

    `draw` takes prompts and gives pictures; beneath it are `common.diffusion.prompt_states` and
    `text_to_image`, for what is sharded or differentiated. Its parts are `DiffusionModel`'s.
    """

    def draw(
        self,
        prompt: str | Iterable[Any],
        n: int = 1,
        *,
        negative: str = "",
        tokens: Mapping[str, Any] | None = None,
        seed: int = 0,
        steps: int = 25,
        guidance: float = 7.5,
        sampler: str | None = None,
        size: int | None = None,
        width: int | None = None,
        height: int | None = None,
        weighted: bool = False,
        batch: int = 32,
    ) -> list[Image.Image]:
        """Draw `n` pictures of a prompt, or of each of several, one prompt after another.

        The noise of a picture depends on the seed and on its place in the returned list alone. The
        first call places the weights on the devices and compiles; further calls with the same
        numbers of pictures and steps, sampler and size use the same program.

        Args:
          prompt: A text or a list of texts, which may hold the words of `tokens`.
          n: Pictures of each prompt.
          negative: What to steer away from.
          tokens: Learned vectors `[n, d]` by word, such as `mcti_jax.load_tokens` gives; for XL
            `{"clip_l": [n, 768], "clip_g": [n, 1280]}` by word.
          seed: Of the initial noise, up to 2**64 - 1.
          steps: Denoising steps.
          guidance: Weight of classifier-free guidance; 1 or less is none.
          sampler: A key of `common.diffusion.SAMPLERS`; by default "dpmpp_2m", and for XL that
            of the model's own scheduler file.
          size: Side in pixels; by default that of the pictures that the model was trained on.
          width: In pixels, if it is not `size`.
          height: Likewise.
          weighted: Read prompts as the web UIs do: `(word:1.3)`, `(word)` and `[word]` weigh a
            part of a prompt, and one that is longer than the text tower is taken in chunks.
          batch: Pictures at once over all devices.

        Raises:
          UserError: A prompt holds an unknown word in brackets or is too long, or an option is
            out of range.
        """
        require_values("draw", "common.diffusion.text_to_image")
        if "unet" not in self.params:
            raise UserError("networks=False loads nothing that draws: load the model without it.")
        prompts = require_texts([prompt] if isinstance(prompt, str) else prompt, "prompt")
        (negative,) = require_texts([negative], "negative")
        if not prompts:
            raise UserError("prompt is an empty list: give one or more texts.")
        for name, value in {"n": n, "steps": steps, "seed": seed, "batch": batch}.items():
            check_whole(name, value, COUNTS[name])
        check_number("guidance", guidance, GUIDANCE)
        sampler = self.default_sampler if sampler is None else sampler
        check_sampling(self.schedule, sampler, steps)
        shape = self._side("width", width, size), self._side("height", height, size)
        words = checked_vectors(tokens)
        for text in (*prompts, negative) if weighted else ():
            weighted_spans(text)  # What it refuses is known before time is spent.
        tell_unread(prompts, negative, words, guidance)
        with computing(self.unet.dtype):
            images = generate(
                self.on_devices,
                [text for text in prompts for _ in range(n)],
                words,
                size=shape,
                sampler=sampler,
                steps=steps,
                guidance=guidance,
                batch=batch,
                seed=seed,
                negative=negative,
                weighted=weighted,
            )
        return [Image.fromarray(image) for image in images]

    def _side(self, name: str, side: int | None, size: int | None) -> int:
        """Return a side in pixels: `side`, or else `size`, or else the model's own."""
        if side is None:
            name, side = "size", self.image_size if size is None else size
        check_whole(name, side, SIDES)
        return self.require_size(name, int(side))


@dataclass(frozen=True)
class StableDiffusionXL(StableDiffusion):
    """A Stable Diffusion XL: two text encoders, and a UNet that knows sizes and a pooled text.

    Attributes:
      tokenizer_2: Text to ids for `modules.text_tower_2`, whose weights are `params["text_2"]`.
      zeroes_negative: Whether an empty negative prompt stands for zeros in place of its text
        states, as diffusers' `force_zeros_for_empty_prompt` says.
    """

    tokenizer_2: Tokenizer
    zeroes_negative: bool = True

    @property
    def tokenizers(self) -> tuple[Tokenizer, ...]:
        """The tokenizers of both text encoders."""
        return self.tokenizer, self.tokenizer_2

    @property
    def default_sampler(self) -> str:
        """The scheduler file's own sampler, where it can be followed."""
        return own_sampler(self.schedule)
