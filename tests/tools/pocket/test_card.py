import numpy as np

from common.diffusion import load_stable_diffusion
from common.evaluation.figures import MARGIN
from tools.pocket import card


def test_the_samples_are_seven_rows(monkeypatch):
    def black(sd, prompts, seed):
        return np.zeros((len(prompts), 32, 32, 3), np.uint8)

    monkeypatch.setattr(card, "reconstructions", lambda sd, photos: photos)
    monkeypatch.setattr(card, "generate", black)
    grid = card.sample_grid(load_stable_diffusion("pocket"))
    assert grid.shape[0] == MARGIN + 7 * (3 * 32 + MARGIN)
