"""CLIPScore by hand, in two dimensions."""

import numpy as np
import pytest

from common.errors import UserError
from common.evaluation.clip_score import clip_scores, ref_clip_scores

IMAGES = np.array([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
CAPTIONS = np.array([[3.0, 4.0], [0.0, 5.0], [-1.0, 0.0]])


def test_a_score_is_a_weighted_cosine_and_never_negative():
    np.testing.assert_allclose(clip_scores(IMAGES, CAPTIONS), [2.5 * 0.6, 2.5, 0])


def test_the_nearest_reference_counts():
    references = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, -2.0], [-1.0, 0.0]])
    found = ref_clip_scores(IMAGES, CAPTIONS, references, np.array([0, 0, 1, 2]))
    # Cosines with the nearest reference: 0.8, -1, 1.
    expected = [2 * 1.5 * 0.8 / 2.3, 2 * 2.5 * -1 / 1.5, 0]
    np.testing.assert_allclose(found, expected)


def test_a_caption_without_reference():
    with pytest.raises(UserError, match="picture number 1 has no reference"):
        ref_clip_scores(IMAGES, CAPTIONS, IMAGES[:2], np.array([0, 2]))
