"""The words of the vocabulary that learned vectors are near to."""

import numpy as np
from jaxtyping import Float

from common.clip import CLIP
from common.clip.vocabulary import nearest_rows


def nearest_words(
    clip: CLIP, prompts: Float[np.ndarray, "j t d"], count: int
) -> list[list[list[tuple[str, float]]]]:
    """Return the words of the largest cosine for each block and vector, with it."""
    table = np.asarray(clip.params["text"]["token_embedding"], np.float32)

    def words(block: np.ndarray) -> list[list[tuple[str, float]]]:
        return [
            [(clip.tokenizer.decode(int(i)), float(x)) for i, x in zip(ids, cosines, strict=True)]
            for ids, cosines in zip(*nearest_rows(block, table, count), strict=True)
        ]

    return [words(block) for block in prompts]
