import io
import sys

import pytest
from PIL import Image

from common.data import open_dataset
from common.errors import UserError

COLORS = {"dark": 10, "light": 240}


@pytest.fixture(scope="module")
def tiny_set(tmp_path_factory):
    """A function that prepares a set with tensorflow-datasets' own tools and names it."""
    folder = tmp_path_factory.mktemp("tfds")
    with pytest.MonkeyPatch.context() as patch:
        # The library reads this once, when it is imported.
        patch.setenv("TFDS_DATA_DIR", str(folder))
        tfds = pytest.importorskip(
            "tensorflow_datasets", reason="tensorflow-datasets is not installed"
        )
        pytest.importorskip("array_record", reason="array_record is not installed")

        def prepare(name: str, parts: dict[str, int], **others: str) -> str:
            """Others are further features, by the feature that they are copies of."""
            kinds = {
                "image": tfds.features.Image(shape=(None, None, 3)),
                "label": tfds.features.ClassLabel(names=list(COLORS)),
            }
            kinds |= {other: kinds[of] for other, of in others.items()}
            features = tfds.features.FeaturesDict(kinds)

            def examples(count: int):
                for row, example in _examples(count):
                    copies = {x: _png(99, 1) if of == "image" else 0 for x, of in others.items()}
                    yield row, example | copies

            methods = {
                "VERSION": tfds.core.Version("1.0.0"),
                "_info": lambda self: tfds.core.DatasetInfo(builder=self, features=features),
                "_split_generators": lambda self, downloads: {
                    part: examples(count) for part, count in parts.items()
                },
                "_generate_examples": examples,
            }
            # Every set is registered under its class's name for the rest of the process.
            builder = type(name.title(), (tfds.core.GeneratorBasedBuilder,), methods)
            builder(data_dir=folder, file_format="array_record").download_and_prepare()
            return f"tfds:{name}"

        yield prepare


def _examples(count: int):
    for row in range(count):
        label = list(COLORS)[row % 2]
        yield row, {"image": _png(COLORS[label], width=row + 1), "label": label}


def _png(grey: int, width: int) -> io.BytesIO:
    file = io.BytesIO()
    Image.new("RGB", (width, 2), (grey,) * 3).save(file, "PNG")
    file.seek(0)
    return file


def test_reads_labelled_pictures_without_tensorflow(tiny_set):
    dataset = open_dataset(tiny_set("plain", {"train": 6, "test": 4}))

    assert dataset.classnames == ("dark", "light")
    assert (len(dataset.train), len(dataset.test), dataset.val) == (6, 4, None)
    for row, label in enumerate(dataset.train.labels):
        grey = list(COLORS.values())[label]
        assert dataset.train.load(row).getpixel((0, 0)) == (grey,) * 3
    assert sorted(dataset.train.load(row).width for row in range(6)) == [1, 2, 3, 4, 5, 6]
    assert len({dataset.train.fingerprint, dataset.test.fingerprint}) == 2
    assert "tensorflow" not in sys.modules


def test_the_usual_features_among_several(tiny_set):
    """The pets have masks of pictures beside them, and species beside the breeds."""
    more = {"mask": "image", "genus": "label", "above": "image"}
    dataset = open_dataset(tiny_set("several", {"train": 4, "test": 2}, **more))
    for row, label in enumerate(dataset.train.labels):
        grey = list(COLORS.values())[label]
        assert dataset.train.load(row).getpixel((0, 0)) == (grey,) * 3


@pytest.mark.parametrize(
    ("name", "parts", "test_size", "has_val"),
    [
        ("three", {"train": 6, "validation": 2, "test": 4}, 4, True),
        ("validated", {"train": 6, "validation": 2}, 2, False),
        ("untested", {"train": 6, "extra": 2}, 2, False),
    ],
)
def test_parts(tiny_set, name: str, parts: dict[str, int], test_size: int, has_val: bool):
    dataset = open_dataset(tiny_set(name, parts), holdout=1)

    assert len(dataset.test) == test_size
    assert (dataset.val is not None) == has_val
    assert not set(dataset.train.names) & set(dataset.test.names)


def test_unknown_sets_and_sets_without_train(tiny_set):
    with pytest.raises(UserError, match="has no train part"):
        open_dataset(tiny_set("untrained", {"test": 4}))
    with pytest.raises(UserError, match="cannot provide 'no_such_set_at_all'"):
        open_dataset("tfds:no_such_set_at_all")


def test_absence_is_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)

    with pytest.raises(UserError, match="tfds:mnist needs tensorflow-datasets: pip install"):
        open_dataset("tfds:mnist")
