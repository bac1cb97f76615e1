import numpy as np
import pytest
from PIL import Image

from common.data.splits import ImageSplit
from common.evaluation.figures import (
    CELL,
    MOST_CLASSES,
    class_sheet,
    confusion_picture,
    image_grid,
)
from common.photos.photo import ArrayPhoto
from common.pictures import write_png

RED, GREEN = np.uint8([255, 0, 0]), np.uint8([0, 255, 0])


def plain(color: np.ndarray, side: int = 4) -> np.ndarray:
    return np.broadcast_to(color, (side, side, 3)).copy()


def columns_with(picture: np.ndarray, color: np.ndarray) -> np.ndarray:
    return np.flatnonzero((picture == color).all(axis=2).any(axis=0))


def rows_with(picture: np.ndarray, color: np.ndarray) -> np.ndarray:
    return np.flatnonzero((picture == color).all(axis=2).any(axis=1))


def test_write_png_is_lossless_and_leaves_no_temporary_file(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (5, 7, 3), dtype=np.uint8)

    write_png(tmp_path / "new" / "a.png", pixels)

    assert np.array_equal(np.asarray(Image.open(tmp_path / "new" / "a.png")), pixels)
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.png"]


def test_confusion_cells_are_shaded_by_row_share_true_classes_down():
    confusion = np.asarray([[0, 4], [5, 5]])

    picture = confusion_picture(confusion, ["a", "b"])
    corner = picture.shape[0] - 8 - 64
    shade = [[picture[corner + 32 * r + 3, corner + 32 * c + 3] for c in (0, 1)] for r in (0, 1)]

    assert shade[0][1].tolist() == [8, 69, 148]
    assert shade[0][0].tolist() == [243, 246, 250]
    assert np.array_equal(shade[1][0], shade[1][1])
    assert shade[0][1][0] < shade[1][0][0] < shade[0][0][0]


def test_confusion_gives_long_names_room_beside_and_above():
    short = confusion_picture(np.eye(2, dtype=int), ["a", "b"])
    long = confusion_picture(np.eye(2, dtype=int), ["a", "a much longer name"])

    assert long.shape[0] == long.shape[1] >= short.shape[0] + 80
    beside, above = long[-40:-8, :-72], long[:-72, -40:-8]
    assert np.ptp(np.flatnonzero((beside < 100).any(axis=(0, 2)))) > 100
    assert np.ptp(np.flatnonzero((above < 100).any(axis=(1, 2)))) > 100


def test_confusion_of_many_classes_shows_the_worst():
    names = [f"class {k}" for k in range(300)]
    worst = np.arange(7, 300, 4)[:MOST_CLASSES]
    confusion = 9 * np.eye(300, dtype=int)
    confusion[worst, np.roll(worst, 1)] = 3

    picture = confusion_picture(confusion, names)

    assert max(picture.shape) < 200 + CELL * MOST_CLASSES
    assert np.array_equal(
        picture,
        confusion_picture(confusion[np.ix_(worst, worst)], [names[k] for k in worst]),
    )


def test_confusion_names_every_class():
    with pytest.raises(ValueError, match="1 names for 2 classes"):
        confusion_picture(np.eye(2, dtype=int), ["a"])


def test_grid_places_rows_down_and_images_across():
    picture = image_grid([[plain(RED), plain(GREEN)], [plain(GREEN)]], ["one", "two"])

    assert rows_with(picture, RED).max() < 8 + 96
    red, green = columns_with(picture, RED), columns_with(picture, GREEN)
    assert len(red) == 96
    assert np.array_equal(np.unique(np.concatenate([red, red + 104])), green)
    assert len(rows_with(picture, GREEN)) == 2 * 96


def test_grid_enlarges_small_images_by_whole_factors_without_smoothing():
    chess = np.indices((5, 5)).sum(0) % 2
    image = np.where(chess[..., None], RED, GREEN)

    picture = image_grid([[image]], [""])
    left, top = columns_with(picture, RED).min(), rows_with(picture, RED).min()

    assert np.array_equal(picture[top : top + 100, left : left + 100][::20, ::20], image)
    assert len(rows_with(picture, RED)) == 100
    assert len(rows_with(image_grid([[plain(RED, 200)]], [""]), RED)) == 200


def test_grid_wraps_long_labels_and_takes_arrays():
    rows = np.stack([np.stack([plain(RED)] * 3)])

    wide = image_grid(rows, ["a photo of a cat that sits on a mat before a house"])

    assert wide.shape[1] < 3 * 104 + 260
    assert columns_with(wide, RED).min() > 100


def test_grid_headings_make_room_above():
    with_headings = image_grid([[plain(RED)]], ["a"], ["photos"])

    assert (
        rows_with(with_headings, RED).min()
        > rows_with(image_grid([[plain(RED)]], ["a"]), RED).min()
    )
    with pytest.raises(ValueError, match="2 labels for 1 rows"):
        image_grid([[plain(RED)]], ["a", "b"])


def test_class_sheet_sets_photos_beside_samples():
    photos = ImageSplit(
        labels=np.asarray([1, 0, 0, 0]),
        names=("a", "b", "c", "d"),
        pictures=tuple(ArrayPhoto(plain(RED, side)) for side in (3, 4, 5, 6)),
    )
    samples = {"mcti": np.broadcast_to(np.uint8(GREEN), (2, 3, 8, 8, 3))}

    picture = class_sheet(photos, {0: "cat", 1: "dog"}, samples, size=(8, 8))
    red, green = columns_with(picture, RED), columns_with(picture, GREEN)

    assert len(red) == 2 * 96
    assert len(green) == 3 * 96
    assert red.max() < green.min()
    dog = picture[rows_with(picture, GREEN)[-40]]
    assert (dog == RED).all(axis=1).sum() == 96


@pytest.mark.parametrize(("fit", "edges"), [("squash", True), ("crop", False)])
def test_class_sheet_shows_photos_as_they_are_learned(fit, edges):
    wide = np.concatenate([plain(GREEN, 8), plain(RED, 8), plain(GREEN, 8)], axis=1)
    photos = ImageSplit(labels=np.asarray([0]), names=("a",), pictures=(ArrayPhoto(wide),))
    samples = {"mcti": np.zeros((1, 1, 8, 8, 3), np.uint8)}
    picture = class_sheet(photos, {0: "cat"}, samples, size=(8, 8), fit=fit)
    assert (columns_with(picture, GREEN).size > 0) == edges


def test_confusion_names_its_axes():
    picture = confusion_picture(np.eye(2, dtype=int), ["a", "b"])
    above, beside = picture[:16, 40:], picture[40:, :16]
    for band in (above, beside):
        assert (band < 100).any()
