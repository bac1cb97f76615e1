"""Pictures of prompts with learned words: of a run, of other embeddings, or drawn once more."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import flags
from jaxtyping import UInt8

from common.checks import check_number
from common.config import read_config
from common.diffusion import check_sampling, load_stable_diffusion, named_sampler
from common.diffusion.bounds import COUNTS, SIDES
from common.diffusion.record import Drawing, digests_of_used
from common.diffusion.weighted import looks_weighted, weighted_spans
from common.diffusion.words import tell_unread
from common.errors import UserError
from common.hub import local_run
from common.paths import AnyPath, as_path
from common.precision import frozen_dtype, use_precision
from common.progress import say
from common.text import quoted
from configs.mcti import defaults
from mcti_jax.formats import require_usable, typed_words
from mcti_jax.options import RANGES
from mcti_jax.picture_size import picture_size
from mcti_jax.readers import widths_of
from mcti_jax.sheet import Sheet, draw_again, draw_sheet, gather_tokens

_GUIDANCE = 7.5  # Stable Diffusion's; a run has its own
_SETTINGS = (
    *("prompt", "negative", "num", "steps", "guidance", "seed", "sampler"),
    *("width", "height", "weighted"),
)
"""Options that a picture which is drawn again brings along."""


def draw(workdir: AnyPath, prompts: Sequence[str], **options: Any) -> UInt8[np.ndarray, "h w 3"]:
    """Draw one grid with a row per prompt; see `draw_prompts`."""
    return draw_prompts(workdir, prompts, **options).grid()


def draw_prompts(
    workdir: AnyPath | None,
    prompts: Sequence[str],
    *,
    model: str | None = None,
    embeddings: Sequence[AnyPath] = (),
    negative: str = "",
    num: int = 4,
    steps: int = 25,
    guidance: float | None = None,
    seed: int = 0,
    sampler: str | None = None,
    width: int | None = None,
    height: int | None = None,
    weighted: bool = False,
) -> Sheet:
    """Draw `num` pictures of each prompt.

    Args:
      workdir: Folder of a finished training run; None: only `model` and `embeddings`.
      prompts: May hold its words.
      model: Stable Diffusion in place of the run's.
      embeddings: Files and folders of further words.
      negative: What to steer away from.
      num: Pictures per prompt.
      steps: Denoising steps.
      guidance: Classifier-free guidance, 1 or less is none; by default the run's own.
      seed: Of the initial noise.
      sampler: A key of `common.diffusion.SAMPLERS`; by default the model's `default_sampler`.
      width: In pixels; by default that of the training pictures.
      height: Likewise.
      weighted: Whether prompts are read as `common.diffusion.weighted` says.

    Raises:
      UserError: There is no run or no prompt, a prompt is too long or holds a word that the run
        did not learn, or the tokens or the sampler do not fit the model.
    """
    if not prompts:
        raise UserError("there is no --prompt: say what the pictures shall show.")
    config = read_config(workdir, defaults()) if workdir else defaults()
    use_precision(config.dtype)
    if guidance is None:
        guidance = config.generate.guidance if workdir else _GUIDANCE
    check_number("--num", num, COUNTS["n"])
    check_number("--guidance", guidance, RANGES["generate.guidance"])
    check_number("--seed", seed, COUNTS["seed"])
    check_number("generate.batch", config.generate.batch, RANGES["generate.batch"])
    for name, side in (("--width", width), ("--height", height)):
        check_number(name, 1 if side is None else side, SIDES)
    for name, text in (*(("prompt", text) for text in prompts), ("negative", negative)):
        check_text(text, name)
        if weighted:
            weighted_spans(text)
    tokens = gather_tokens(workdir, embeddings)
    words = typed_words(tokens)
    tell_unread(prompts, negative, words, guidance)
    model = model or config.model
    sd = load_stable_diffusion(model, frozen_dtype(config.dtype))
    require_usable(tokens, widths_of(sd), model)
    sampler = sd.default_sampler if sampler is None else sampler
    check_sampling(sd.schedule, sampler, steps)
    trained = picture_size(config, sd) if model == config.model else (sd.image_size, sd.image_size)
    drawing = Drawing(
        model=model,
        fingerprint=sd.fingerprint,
        dtype=frozen_dtype(config.dtype).name,
        prompts=tuple(prompts),
        negative=negative,
        num=num,
        seed=seed,
        steps=steps,
        sampler=named_sampler(sd.schedule, sampler),
        guidance=float(guidance),
        width=trained[0] if width is None else sd.require_size("--width", width),
        height=trained[1] if height is None else sd.require_size("--height", height),
        weighted=weighted,
        batch=min(config.generate.batch, num * len(prompts)),
        words=digests_of_used(sd, words, (*prompts, negative), weighted),
    )
    return draw_sheet(drawing, sd, words)


def check_text(prompt: str, name: str = "prompt") -> None:
    """Refuse a prompt that is not UTF-8, as a terminal of another encoding sends it.

    Raises:
      UserError: It shows the prompt.
    """
    try:
        prompt.encode("utf-8")
    except UnicodeEncodeError:
        raise UserError(f"--{name}={prompt!a} is not UTF-8: type it in a UTF-8 terminal.") from None


def draw_asked() -> Sheet:
    """Draw what the flags of `mcti_jax.generate` say."""
    options = flags.FLAGS
    sources = {
        "workdir": options.workdir and local_run(options.workdir),
        "embeddings": [as_path(name) for name in options.embedding],
        "model": options.model,
    }
    if options.again:
        if others := [name for name in _SETTINGS if options[name].present]:
            raise UserError(
                f"--again takes its settings from the picture: leave --{others[0]} out."
            )
        return draw_again(as_path(options.again), **sources)
    if not (options.workdir or options.model):
        raise UserError("there is neither --workdir nor --model: name a run, or what draws.")
    prompts = options.prompt or ()
    for text in (*prompts, options.negative):
        if not options.weighted and looks_weighted(text):
            say(f"{quoted(text)} looks weighted, and is read as plain text without --weighted.")
    settings = {name: options[name].value for name in _SETTINGS if name != "prompt"}
    return draw_prompts(prompts=prompts, **sources, **settings)
