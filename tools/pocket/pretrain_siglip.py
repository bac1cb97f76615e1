"""The stage of the SigLIP: its tokenizer, its training, its folder."""

from pathlib import Path
from typing import Any

from common.clip import CLIP, Preprocess, load_clip, save_clip
from common.clip.siglip_files import HALF
from common.clip.siglip_tokenizer import SigLIPTokenizer
from common.pocket.renderer import SIZE
from tools.pocket.corpus import sample_corpus
from tools.pocket.fitting import Allowance, half
from tools.pocket.pieces import write_siglip_tokenizer
from tools.pocket.recipe import Recipe
from tools.pocket.siglip_card import write_siglip_card
from tools.pocket.stages import Stages, claim
from tools.pocket.train_siglip import POSITIONS, pocket_siglip_config, train_siglip
from tools.pocket.vocabulary import LEAST_COUNT, learn_merges, pocket_texts


def pretrain_siglip(recipe: Recipe, work: Path, out: Path) -> None:
    """Train the SigLIP, unless `work` holds it, and write it and its card to `out/siglip`.

    It starts from the CLIP in `out`, where there is one, else from the bundled one.

    Raises:
      UserError: `work` holds stages of another recipe.
    """
    claim(work, recipe)
    corpus = sample_corpus(recipe.siglip_corpus, recipe.seed)
    clip = load_clip(str(out / "clip") if (out / "clip").is_dir() else "pocket")
    tokenizer = _siglip_tokenizer(work / "siglip_tokenizer", recipe.seed)

    def stage(allowance: Allowance) -> dict[str, Any]:
        return train_siglip(corpus, tokenizer, clip, recipe.siglip, recipe.seed, allowance)

    stages = Stages(work, recipe)
    params = half(stages.run("siglip", stage))
    preprocess = Preprocess(SIZE, HALF, HALF, (SIZE, SIZE))
    config = pocket_siglip_config(tokenizer)
    save_clip(CLIP(config, params, tokenizer, preprocess, ""), out / "siglip")
    write_siglip_card(out / "siglip", clip, recipe, stages.times["siglip"])


def _siglip_tokenizer(directory: Path, seed: int) -> SigLIPTokenizer:
    if not (directory / "tokenizer_config.json").exists():
        captions, further = pocket_texts(seed)
        merges = learn_merges(captions, LEAST_COUNT, further)
        write_siglip_tokenizer(merges, [*captions, *further], directory, POSITIONS)
    return SigLIPTokenizer.from_directory(directory)
