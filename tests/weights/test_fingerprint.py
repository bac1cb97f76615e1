"""What changes a fingerprint and what does not."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from common.weights.fingerprint import digest, fingerprint, text_digest

TREE = {
    "a": {"b": np.arange(6, dtype=np.float32).reshape(2, 3)},
    "c": np.array(1.0, np.float32),
}


def test_known_value():
    """Caches on users' disks are keyed by it: it must not change between releases."""
    assert fingerprint(TREE) == "3ed084adb286e871"


def test_known_values_of_json_and_of_text():
    """A run's folder holds them, so that a change of what it reads is seen."""
    assert digest([("a é", "b"), [0, 1]]) == "2697467a7373b86f"
    assert digest({"a": ["é", 1]}) == "cd876cebb74e3485"
    assert text_digest("é") == "4a99557e4033c353"


@pytest.mark.parametrize(
    "same",
    [
        {"c": TREE["c"], "a": TREE["a"]},
        {"a/b": TREE["a"]["b"], "c": TREE["c"]},
        {"a": {"b": np.asfortranarray(TREE["a"]["b"])}, "c": TREE["c"]},
    ],
)
def test_order_nesting_and_memory_layout_do_not_matter(same):
    assert fingerprint(same) == fingerprint(TREE)


def test_jax_arrays_agree_with_numpys():
    assert fingerprint(jax.tree.map(jnp.asarray, TREE)) == fingerprint(TREE)


def changed():
    flat = np.arange(6, dtype=np.float32)
    other = np.nextafter(flat, np.float32(9)).reshape(2, 3)
    yield "value", {"a": {"b": other}, "c": TREE["c"]}
    yield "shape", {"a": {"b": flat.reshape(3, 2)}, "c": TREE["c"]}
    yield "dtype", {"a": {"b": TREE["a"]["b"].view(np.int32)}, "c": TREE["c"]}
    yield "path", {"a": {"d": TREE["a"]["b"]}, "c": TREE["c"]}
    yield "scalar to vector", {"a": TREE["a"], "c": TREE["c"][None]}
    yield "missing", {"a": TREE["a"]}
    yield "precision", {"a": {"b": TREE["a"]["b"].astype(ml_dtypes.bfloat16)}, "c": TREE["c"]}


@pytest.mark.parametrize(("what", "tree"), list(changed()))
def test_every_change_counts(what, tree):
    assert fingerprint(tree) != fingerprint(TREE), what


def test_facts_count_and_do_not_run_together():
    names = {fingerprint(TREE, *facts) for facts in [(), ("gelu",), ("ge", "lu"), ("gelu", "")]}
    assert len(names) == 4
