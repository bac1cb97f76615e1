"""Conversion tables: both directions, joined tensors, and what they refuse."""

import numpy as np
import pytest

from common.errors import UserError
from common.nesting import flatten, nest
from common.weights.table import TRANSFORMS, Rule, check_complete, to_flax, to_source

TABLE = (
    Rule("embedding.weight", "embedding"),
    Rule("layers.{i}.{name}_proj.weight", "block_{i}/{name}/kernel", "linear"),
    Rule("layers.{i}.norm{n:1|2}.weight", "block_{i}/norm{n:1|2}/scale"),
    Rule("conv.weight", "conv/kernel", "conv"),
    Rule("to_linear.weight", "to_linear/kernel", "conv1x1_as_linear"),
    Rule("qkv.weight", ("query/kernel", "key/kernel", "value/kernel"), "linear"),
    Rule("side_by_side.weight", ("first/kernel", "second/kernel"), axis=1),
    Rule("scale", "scale"),
)


def sources():
    shapes = {
        "embedding.weight": (5, 3),
        "layers.0.q_proj.weight": (2, 3),
        "layers.11.q_proj.weight": (2, 3),
        "layers.11.norm2.weight": (3,),
        "conv.weight": (2, 3, 5, 7),
        "to_linear.weight": (2, 3, 1, 1),
        "qkv.weight": (6, 4),
        "side_by_side.weight": (3, 10),
        "scale": (),
    }
    rng = np.random.default_rng(0)
    return {key: rng.normal(size=shape).astype(np.float16) for key, shape in shapes.items()}


def test_paths_and_layouts():
    tensors = sources()
    flat = flatten(to_flax(TABLE, tensors))
    assert flat["block_11/q/kernel"].shape == (3, 2)
    np.testing.assert_array_equal(flat["block_11/norm2/scale"], tensors["layers.11.norm2.weight"])
    # out, in, height, width -> height, width, in, out
    assert flat["conv/kernel"][4, 6, 2, 1] == tensors["conv.weight"][1, 2, 4, 6]
    assert flat["to_linear/kernel"][2, 1] == tensors["to_linear.weight"][1, 2, 0, 0]
    np.testing.assert_array_equal(flat["key/kernel"], tensors["qkv.weight"][2:4].T)
    np.testing.assert_array_equal(flat["second/kernel"], tensors["side_by_side.weight"][:, 5:])
    assert flat["scale"].shape == ()
    assert all(array.flags.c_contiguous for array in flat.values())


def test_round_trip_is_exact_in_values_shapes_and_types():
    tensors = sources()
    back = to_source(TABLE, to_flax(TABLE, tensors))
    assert back.keys() == tensors.keys()
    for key, tensor in tensors.items():
        np.testing.assert_array_equal(back[key], tensor)
        assert (back[key].dtype, back[key].shape) == (tensor.dtype, tensor.shape)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_every_transform_has_its_inverse(name):
    shapes = {
        **{"keep": (3,), "number": (1,), "linear": (2, 3), "conv": (2, 3, 4, 5)},
        # Weights of attention are written with one head.
        **{"unbatched": (1, 2, 3), "into_heads": (2, 1, 3), "out_of_heads": (1, 2, 3)},
        "of_heads": (1, 3),
    }
    shape = shapes.get(name, (2, 3, 1, 1))
    x = np.arange(np.prod(shape)).reshape(shape)
    transform = TRANSFORMS[name]
    np.testing.assert_array_equal(transform.to_source(transform.to_flax(x)), x)


def test_unused_keys_are_listed():
    tensors = sources() | {"head.weight": np.zeros(1), "layers.0.norm3.weight": np.zeros(1)}
    with pytest.raises(UserError, match=r"2 entries \(head\.weight, layers\.0\.norm3\.weight\)"):
        to_flax(TABLE, tensors)
    converted = to_flax(TABLE, tensors, ignore=("head.*", "*.norm3.*"))
    assert flatten(converted).keys() == flatten(to_flax(TABLE, sources())).keys()


def test_a_long_list_is_cut():
    with pytest.raises(UserError, match=r"20 entries \(key0, .*, key11 and 8 more\)"):
        to_flax(TABLE, {f"key{i}": np.zeros(1) for i in range(20)})


def test_a_hole_is_one_component():
    with pytest.raises(UserError, match="layers"):
        to_flax(TABLE, {"layers.0.deep.q_proj.weight": np.zeros((1, 1))})


def test_two_keys_for_one_path():
    table = (Rule("old", "new"), Rule("older", "new"))
    with pytest.raises(UserError, match="'older' and another tensor both convert to 'new'"):
        to_flax(table, {"old": np.zeros(1), "older": np.zeros(1)})


def test_unknown_paths_and_torn_joins():
    with pytest.raises(UserError, match=r"1 entry \(other/bias\)"):
        to_source(TABLE, {"other": {"bias": np.zeros(1)}})
    with pytest.raises(UserError, match=r"'qkv\.weight' cannot be joined without.*value/kernel"):
        to_source(TABLE, nest({"query/kernel": np.zeros((1, 1)), "key/kernel": np.zeros((1, 1))}))
    with pytest.raises(UserError, match=r"'qkv\.weight' of shape \(4, 2\) does not divide into 3"):
        to_flax(TABLE, {"qkv.weight": np.zeros((4, 2))})


def test_check_complete_names_every_fault():
    expected = {"a": {"kernel": np.zeros((2, 3))}, "b": np.zeros(4), "c": np.zeros(1)}
    check_complete(expected, expected)
    broken = {"a": {"kernel": np.zeros((3, 2))}, "b": np.zeros(4), "d": np.zeros(1)}
    with pytest.raises(UserError) as error:
        check_complete(broken, expected)
    for part in (
        "lacks 1 entry (c)",
        "holds 1 entry (d)",
        "a/kernel (3, 2) instead of (2, 3)",
    ):
        assert part in str(error.value)


def test_flatten_and_nest_are_inverse():
    tree = {"a": {"b": {"c": 1}}, "d": 2}
    assert flatten(tree) == {"a/b/c": 1, "d": 2}
    assert nest(flatten(tree)) == tree
