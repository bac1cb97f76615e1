"""Trains the bundled models: tokenizer, CLIP, VAE, UNet, SigLIP, language model, model cards.

    python -m tools.pocket.pretrain --out=DIR [--work=DIR] [--quick] [--seconds=S] [--seed=N]
    python -m tools.pocket.pretrain --out=DIR --only=lm

The language model depends on none of the others, and the SigLIP starts from the CLIP, that of DIR
or without one the bundled; `--only=lm` and `--only=siglip` train one of these alone, in minutes,
and `--only=pictures` the CLIP and Stable Diffusion.

Finished stages stay in the work directory, and the state of an unfinished one is written there
once a minute, so that the same command carries on after an interruption. With `--seconds` the
stages share so much time of training, whatever the device, and each ends with its learning rate
at zero; drawing the corpus and measuring the models come on top. Without it the result depends on
the recipe, the seed and the device's rounding only.

With `--start` the CLIP, the VAE's decoder and the UNet go on from those of a folder, so that a
device that is lent for an hour at a time trains as far as one that is there for a day; with
`--keep=clip,templates,vae` all the time is the UNet's. The seed should be another then, as the same
would show the same pictures in the same order.

For example:

    python -m tools.pocket.pretrain --out=models --quick
    python -m tools.pocket.pretrain --out=models --only=pictures --seconds=420
    python -m tools.pocket.pretrain --out=later --only=pictures --start=models \
        --keep=clip,templates,vae --seed=1
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from common.clip import CLIP, Preprocess, TextTower, Tokenizer, save_clip
from common.diffusion import (
    AutoencoderKL,
    Modules,
    StableDiffusion,
    UNet,
    save_stable_diffusion,
)
from common.errors import UserError, run_command
from common.language import LM, save_lm
from common.language.tokenizer import LMTokenizer
from common.paths import as_output_folder
from common.pocket.renderer import SIZE
from tools.pocket.card import write_card
from tools.pocket.corpus import sample_corpus
from tools.pocket.fitting import Allowance, half
from tools.pocket.judge import train_judge
from tools.pocket.lm_card import write_lm_card
from tools.pocket.pretrain_siglip import pretrain_siglip
from tools.pocket.recipe import FULL, KEPT, QUICK, Recipe
from tools.pocket.stages import Stages, claim
from tools.pocket.starting import Start
from tools.pocket.train_clip import POSITIONS, clip_config, train_clip
from tools.pocket.train_lm import ROW, lm_config, train_lm, train_tokenizer
from tools.pocket.train_templates import train_templates
from tools.pocket.train_unet import SCHEDULE, train_unet, unet_config
from tools.pocket.train_vae import train_vae, vae_config
from tools.pocket.vocabulary import LEAST_COUNT, learn_merges, pocket_texts, write_tokenizer


def main(argv: list[str]) -> None:
    """Run or resume the pretraining that the flags describe."""
    del argv
    values = flags.FLAGS
    recipe = dataclasses.replace(
        QUICK if values.quick else FULL,
        seed=values.seed,
        seconds=values.seconds,
        start=values.start,
        keep=kept_stages(values.keep, values.start),
    )
    out = as_output_folder(values.out, "--out", local=True)
    work = as_output_folder(values.work or out / "work", "--work", local=True)
    for name, pretrain in PARTS.items():
        if values.only in (None, name):
            pretrain(recipe, work, out)


def define_flags() -> None:
    """Define the command's flags."""
    flags.DEFINE_string("out", None, "Where the models go.", required=True)
    flags.DEFINE_string("work", None, "Where finished stages are kept; default OUT/work.")
    flags.DEFINE_bool("quick", False, "A few minutes' worth, for trying things out.")
    flags.DEFINE_integer("seed", 0, "Of every random choice.")
    flags.DEFINE_float("seconds", 0.0, "Of all training; 0: all steps.", lower_bound=0)
    flags.DEFINE_string("start", "", "Folder of models from which the pictures' ones go on.")
    flags.DEFINE_list("keep", [], f"What of the start stays as it is: {', '.join(KEPT)}.")
    flags.DEFINE_enum("only", None, list(PARTS), "Train this part alone.")


def kept_stages(names: Sequence[str], start: str) -> tuple[str, ...]:
    """Return what `--keep` names.

    Raises:
      UserError: Something cannot be kept, or there is no start.
    """
    if wrong := [name for name in names if name not in KEPT]:
        raise UserError(f"--keep={','.join(wrong)}: only {', '.join(KEPT)} can be kept.")
    if names and not start:
        raise UserError("--keep needs --start, the folder of the models to keep.")
    return tuple(names)


def pretrain_pictures(recipe: Recipe, work: Path, out: Path) -> None:
    """Run the stages of CLIP and Stable Diffusion that `work` lacks and write both to `out`.

    Raises:
      UserError: `work` holds stages of another recipe.
    """
    claim(work, recipe)
    start = Start.opened(recipe.start)
    corpus = sample_corpus(recipe.corpus, recipe.seed)
    kept = start.kept(recipe.keep) if start else {}
    if "clip" in kept:  # Its tokenizer stays with it.
        tokenizer = start.clip.tokenizer
    else:
        tokenizer = _tokenizer(work / "tokenizer", recipe.seed)
    stages = Stages(work, recipe)
    latents = start.sd.modules.vae.config if start else vae_config()

    def clip_stage(allowance: Allowance) -> dict[str, Any]:
        return train_clip(corpus, tokenizer, recipe.clip, recipe.seed, allowance, start)

    def vae_stage(allowance: Allowance) -> dict[str, Any]:
        return train_vae(corpus, latents, recipe.vae, recipe.seed, allowance, start)

    clip_params = kept.get("clip") or stages.run("clip", clip_stage)

    def templates_stage(allowance: Allowance) -> dict[str, Any]:
        tower = TextTower(clip_config(tokenizer).text)
        plan = recipe.templates
        return train_templates(
            corpus, tokenizer, tower, clip_params["text"], plan, recipe.seed, allowance
        )

    if "templates" not in recipe.keep:
        clip_params = clip_params | {"text": stages.run("templates", templates_stage)}
    vae_params = kept.get("vae") or stages.run("vae", vae_stage)

    # Stable Diffusion's text tower ends before the projection.
    text = {name: value for name, value in clip_params["text"].items() if name != "projection"}
    text_config = dataclasses.replace(clip_config(tokenizer).text, projection=None)

    def unet_stage(allowance: Allowance) -> dict[str, Any]:
        params, scale = train_unet(
            corpus,
            tokenizer,
            (text_config, text),
            (latents, vae_params),
            recipe.unet,
            recipe.empty_captions,
            recipe.seed,
            allowance,
            start,
        )
        return {"params": params, "scaling_factor": np.float32(scale)}

    def judge_stage(allowance: Allowance) -> dict[str, Any]:
        return train_judge(recipe.judge, recipe.seed, allowance)

    unet = kept.get("unet") or stages.run("unet", unet_stage)
    judge = stages.run("judge", judge_stage)

    clip = CLIP(clip_config(tokenizer), half(clip_params), tokenizer, Preprocess(SIZE), "")
    save_clip(clip, out / "clip")
    modules = Modules(
        UNet(unet_config(text_config.width)),
        AutoencoderKL(dataclasses.replace(latents, scaling_factor=float(unet["scaling_factor"]))),
        TextTower(text_config),
        SCHEDULE,
    )
    params = half({"unet": unet["params"], "vae": vae_params, "text": text})
    save_stable_diffusion(StableDiffusion(modules, tokenizer, params, ""), out / "sd")
    write_card(out, recipe, stages.times, judge)


def pretrain_lm(recipe: Recipe, work: Path, out: Path) -> None:
    """Train the language model, unless `work` holds it, and write it and its card to `out/lm`.

    Raises:
      UserError: `work` holds stages of another recipe.
    """
    claim(work, recipe)
    tokenizer = _lm_tokenizer(work / "lm_tokenizer", recipe.seed)

    def stage(allowance: Allowance) -> dict[str, Any]:
        return train_lm(tokenizer, recipe.lm, recipe.lm_rows, recipe.seed, allowance)

    stages = Stages(work, recipe)
    params = half(stages.run("lm", stage))
    save_lm(LM(lm_config(tokenizer), params, tokenizer, ""), out / "lm")
    write_lm_card(out / "lm", recipe, ROW, stages.times["lm"])


PARTS = {"pictures": pretrain_pictures, "siglip": pretrain_siglip, "lm": pretrain_lm}
"""In their order: the SigLIP starts from the CLIP of the pictures."""


def _tokenizer(directory: Path, seed: int) -> Tokenizer:
    if not (directory / "tokenizer_config.json").exists():
        captions, further = pocket_texts(seed)
        write_tokenizer(learn_merges(captions, LEAST_COUNT, further), directory, POSITIONS)
    return Tokenizer.from_directory(directory)


def _lm_tokenizer(directory: Path, seed: int) -> LMTokenizer:
    if not (directory / "tokenizer.json").exists():
        train_tokenizer(seed).save(directory)
    return LMTokenizer.from_directory(directory)


if __name__ == "__main__":
    run_command(main, define_flags)
