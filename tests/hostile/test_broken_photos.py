"""Photos that are broken: all are named at once, before anything is encoded."""

import numpy as np
import pytest

from common.data import ImageSplit
from common.data.passes import cached_pass
from common.encoding import feature_pass
from common.errors import UserError
from common.photos.broken import BrokenExamples, load_all, named_together
from common.photos.photo import photo_file
from tests.hostile.photo_files import photo


def split_with(tmp_path, broken: int, sound: int = 3) -> ImageSplit:
    files = [photo(tmp_path / f"{number:03}.png") for number in range(broken + sound)]
    for file in files[sound:]:
        file.write_bytes(b"broken")
    names = tuple(file.name for file in files)
    return ImageSplit(np.zeros(len(files), int), names, tuple(map(photo_file, files)))


def encode(params, batch):
    return {"sum": batch.sum((1, 2, 3)) * params}


def pixels(split):
    return lambda row: np.asarray(split.load(row), np.float32)


class TestAllBrokenOnes:
    """Whoever mends one broken photo is not told of the next an hour later."""

    def test_in_a_pass(self, tmp_path):
        split = split_with(tmp_path, 5)
        with pytest.raises(UserError, match=r"5 pictures cannot be read: .*003\.png .*007\.png \("):
            feature_pass(encode, np.float32(1), pixels(split), len(split), batch_size=4)

    def test_over_the_parts_of_a_pass(self, tmp_path):
        split = split_with(tmp_path / "photos", 12, sound=1)
        with pytest.raises(UserError, match=r"12 pictures .*010\.png .* and 2 more: mend or"):
            cached_pass(
                encode,
                np.float32(1),
                pixels(split),
                len(split),
                names=("sum",),
                batch_size=8,
                part=8,
                directory=tmp_path / "cache",
                key=lambda rows: {"rows": str(rows)},
                title="Encoding",
                unit="photos",
            )

    def test_one_keeps_its_own_sentence(self, tmp_path):
        split = split_with(tmp_path, 1)
        said = r"^the picture .*003\.png cannot be read \(no kno"
        with pytest.raises(BrokenExamples, match=said):
            load_all(pixels(split), len(split))

    def test_of_all_splits_of_a_run(self, tmp_path):
        train, test = split_with(tmp_path / "train", 2), split_with(tmp_path / "test", 1)
        said = r"^3 pictures .*train/003.*train/004.*test/003"
        with pytest.raises(UserError, match=said), named_together(train, None, test):
            feature_pass(encode, np.float32(1), pixels(train), len(train), batch_size=4)

    def test_where_pixels_are_kept(self, tmp_path):
        split = split_with(tmp_path, 2)
        with pytest.raises(UserError, match="2 pictures cannot be read"):
            load_all(pixels(split), len(split))
        assert load_all(pixels(split.take([0, 1])), 2).shape == (2, 4, 6, 3)

    def test_a_photo_that_breaks_twice_is_one(self, tmp_path):
        split = split_with(tmp_path, 1).take([3, 3, 0])
        with pytest.raises(UserError, match=r"^the picture"):
            load_all(pixels(split), 3)

    def test_in_a_fingerprint(self, tmp_path):
        split = split_with(tmp_path, 0)
        for name in split.names[1:]:
            (tmp_path / name).unlink()
        with pytest.raises(UserError, match=r"^2 pictures cannot be read: .*001.*002"):
            _ = split.fingerprint

    def test_other_errors_stay_errors(self):
        def load(row):
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            load_all(load, 2)
