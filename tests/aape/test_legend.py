"""Names of rows: each means one thing, and the legend says which."""

import pytest

from aape_jax.captioning.rows import NEAREST
from aape_jax.captioning.variants import BASELINE as WITHOUT_AAPE
from aape_jax.captioning.variants import VARIANTS as CAPTION_VARIANTS
from aape_jax.classification.baselines.context import LEARNERS
from aape_jax.classification.baselines.few_shot import FEW_SHOT
from aape_jax.core import presets
from aape_jax.core.presets import OWN
from aape_jax.retrieval import method as retrieval
from aape_jax.vqa import method as vqa
from common.evaluation.baselines import BASELINES
from common.terms import terms_of

# Of each task its variants, and what stands beside them.
ROWS = {
    "classification": (presets.VARIANTS, ("clip", "cupl", *BASELINES, *FEW_SHOT, *LEARNERS)),
    "retrieval": (retrieval.VARIANTS, ("clip",)),
    "captioning": (CAPTION_VARIANTS, (WITHOUT_AAPE, NEAREST, "blind", "most_frequent")),
    "vqa": (vqa.VARIANTS, ("most_frequent", "most_frequent_by_question")),
}


@pytest.mark.parametrize(("variants", "beside"), ROWS.values(), ids=ROWS)
def test_every_row_has_a_name_of_its_own_that_is_explained(variants, beside):
    assert not {OWN, *variants} & set(beside)
    assert {OWN, *variants, *beside} <= set(terms_of("aape_jax:Any").rows)
