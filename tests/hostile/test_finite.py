"""Arrays with NaN or infinity, of every type and layout."""

import ml_dtypes
import numpy as np
import pytest

from common.errors import UserError
from common.finite import is_finite, require_finite

FLOATS = (np.float16, ml_dtypes.bfloat16, np.float32, np.float64, np.complex64, ">f4")


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: np.dtype(dtype).name + str(dtype)[:1])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 131_072, 299_999])
def test_one_bad_number_is_found(dtype, value, place):
    array = np.full(300_000, 3.0).astype(dtype)
    assert is_finite(array)
    array[place] = value
    assert not is_finite(array)
    assert not is_finite(array.reshape(3, -1).T)


@pytest.mark.parametrize("dtype", FLOATS[:4], ids=lambda dtype: np.dtype(dtype).name)
def test_extremes_are_finite(dtype):
    limits = ml_dtypes.finfo(dtype)
    array = np.array([limits.max, limits.min, limits.tiny, 0, -0.0]).astype(dtype)
    assert is_finite(array) and is_finite(array[:0]) and is_finite(array[0])


def test_what_is_not_a_float_passes():
    for array in ([1, 2], [True], ["nan"], np.array(3), np.zeros(0)):
        assert is_finite(np.asarray(array))


def test_the_sentence_names_the_arrays():
    arrays = {f"x{i}": np.array([np.nan if i % 2 else 0.0]) for i in range(20)}
    with pytest.raises(
        UserError, match=r"^'f' holds NaN .* in 'x1', .*, 'x9' and 5 more: try again\.$"
    ):
        require_finite(arrays, "'f'", "try again")
    require_finite({"a": np.ones(3)}, "'f'")
