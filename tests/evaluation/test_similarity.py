import numpy as np
import pytest

from common.evaluation.similarity import LINE, SIDE, similarity_matrices

BAND = 36  # pixels of the heading and the margins above the names


def dark(picture: np.ndarray) -> np.ndarray:
    return (picture < 100).all(axis=2)


def matrices(classes: int) -> dict[str, np.ndarray]:
    return {"before": np.zeros((classes, classes)), "after": np.zeros((classes, classes))}


def test_each_matrix_is_dark_where_it_has_its_largest():
    picture = similarity_matrices({"one": np.eye(2), "two": 1 - np.eye(2)}, ["a", "b"])
    one, two = (picture[-8 - SIDE : -8][:, cut] for cut in cuts(picture, 2))
    for matrix, corner in ((one, 0), (two, 255)):
        assert (matrix[: SIDE // 2, : SIDE // 2] == corner).all()
        assert (matrix[: SIDE // 2, SIDE // 2 :] == 255 - corner).all()


def cuts(picture: np.ndarray, count: int) -> list[slice]:
    step = (picture.shape[1] - 8) // count
    return [slice(8 + (number + 1) * step - 8 - SIDE, (number + 1) * step) for number in range(2)]


def test_names_stand_beside_the_rows_and_above_the_columns():
    short = similarity_matrices(matrices(2), ["a", "b"])
    long = similarity_matrices(matrices(2), ["a", "a much longer name"])
    assert long.shape[0] >= short.shape[0] + 80 and long.shape[1] >= short.shape[1] + 160
    beside, above = long[-8 - SIDE :, : long.shape[1] // 2 - SIDE - 8], long[BAND : -8 - SIDE]
    assert np.ptp(np.flatnonzero(dark(beside).any(axis=0))) > 100
    assert np.ptp(np.flatnonzero(dark(above).any(axis=1))) > 100


def test_twenty_names_can_be_told_apart():
    picture = similarity_matrices(matrices(20), [f"class {number}" for number in range(20)])
    column = dark(picture[-8 - 20 * LINE : -8, :40]).any(axis=1)
    starts = np.flatnonzero(column[1:] & ~column[:-1])
    assert len(starts) >= 19 and (np.diff(starts) >= 10).all()


@pytest.mark.parametrize("classes", [61, 1000])
def test_many_classes_are_numbered(classes):
    names = ["a very long name of a class" for _ in range(classes)]
    picture = similarity_matrices(matrices(classes), names)
    cell = -(-SIDE // classes)
    assert picture.shape[1] < 2 * (classes * cell + 60) and dark(picture[:, :30]).any()


def test_every_class_has_a_name():
    with pytest.raises(ValueError, match="1 names do not fit"):
        similarity_matrices(matrices(2), ["a"])
