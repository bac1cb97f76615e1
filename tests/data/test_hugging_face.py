import io
import sys

import pytest
from PIL import Image

from common.data import open_dataset
from common.errors import UserError
from common.photos.broken import BrokenPicture

COLORS = {"dark": 10, "light": 240}


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        datasets = pytest.importorskip("datasets", reason="datasets is not installed")
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
        patch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
        datasets.disable_progress_bars()
        yield datasets


@pytest.fixture
def parquet(library, tmp_path):
    """A function that writes parts as parquet files and names them."""

    def write(columns=None, **parts) -> str:
        columns = columns or classes(library)
        for part, values in parts.items():
            table = library.Dataset.from_list(values, features=library.Features(columns))
            table.to_parquet(tmp_path / "set" / f"{part}-00000-of-00001.parquet")
        return f"hf:{tmp_path / 'set'}"

    return write


def classes(library, **columns):
    labels = library.ClassLabel(names=list(COLORS))
    return {"image": library.Image(), "label": labels} | columns


def picture(label=0, width=1):
    file = io.BytesIO()
    Image.new("RGB", (width, 2), (list(COLORS.values())[label],) * 3).save(file, "PNG")
    return {"bytes": file.getvalue(), "path": None}


def rows(*labels, **columns):
    pictures = [picture(label in (1, "b"), row + 1) for row, label in enumerate(labels)]
    pairs = zip(pictures, labels, strict=True)
    return [{"image": image, "label": label} | columns for image, label in pairs]


def test_parquet_files(parquet):
    dataset = open_dataset(parquet(train=rows(0, 1, 1), test=rows(1, 0)))

    assert dataset.name == "set" and dataset.classnames == ("dark", "light")
    assert dataset.train.labels.tolist() == [0, 1, 1] and dataset.test.labels.tolist() == [1, 0]
    assert [dataset.train.load(row).width for row in range(3)] == [1, 2, 3]
    assert [dataset.train.load(row).getpixel((0, 0))[0] for row in range(3)] == [10, 240, 240]
    assert dataset.train.names[1].endswith("set/train/1") and dataset.val is None
    assert len({dataset.train.fingerprint, dataset.test.fingerprint}) == 2


def test_parts_whose_labels_count_other_classes(parquet, library):
    """The library keeps the names of one file and the numbers of all."""
    spec = parquet(train=rows(0, 1, 1))
    shorter = classes(library, label=library.ClassLabel(names=["dark"]))
    parquet(shorter, test=rows(0, 0))
    assert open_dataset(spec).test.labels.tolist() == [0, 0]
    swapped = classes(library, label=library.ClassLabel(names=["light", "dark"]))
    parquet(swapped, test=rows(0, 1))
    with pytest.raises(UserError, match=r"the label 0 is 'light' in .*test-00000.* and 'dark' in"):
        open_dataset(spec)


def test_photos_in_folders_by_class(library, tmp_path, write_photo):
    for part, count in (("train", 2), ("test", 1)):
        for name, value in COLORS.items():
            for number in range(count):
                write_photo(tmp_path / "photos" / part / name / f"{number}.png", (value,) * 3)
    dataset = open_dataset(f"hf:{tmp_path / 'photos'}")
    same = open_dataset(f"folder:{tmp_path / 'photos'}")

    assert dataset.classnames == same.classnames
    assert dataset.train.fingerprint == same.train.fingerprint
    assert dataset.train.names[0] == str(tmp_path / "photos/train/dark/0.png")


@pytest.mark.parametrize(
    ("parts", "sizes"),
    [
        ({"train": 6, "validation": 2, "test": 4}, (6, 2, 4)),
        ({"train": 6, "validation": 2}, (6, None, 2)),
        ({"train": 6}, (4, None, 2)),
    ],
)
def test_parts(parquet, parts, sizes):
    spec = parquet(**{part: rows(*(n % 2 for n in range(size))) for part, size in parts.items()})
    dataset = open_dataset(spec, holdout=1)

    val = dataset.val and len(dataset.val)
    assert (len(dataset.train), val, len(dataset.test)) == sizes
    assert not set(dataset.train.names) & set(dataset.test.names)


def test_other_names_of_parts(parquet, library, monkeypatch):
    def named(**parts):
        tables = library.load_dataset(parquet(train=rows(0, 1)).removeprefix("hf:"))
        parts = dict.fromkeys(parts, tables["train"])
        monkeypatch.setattr(library, "load_dataset", lambda *_: parts)
        return open_dataset("hf:a/b")

    assert named(Train=1, valid=1, unlabelled=1).test.names[0] == "hf:a/b/val/0"
    monkeypatch.undo()
    with pytest.raises(UserError, match="has both 'val' and 'dev': take another set"):
        named(train=1, val=1, dev=1)
    monkeypatch.undo()
    with pytest.raises(UserError, match=r"has no train part \(it has test, other\)"):
        named(test=1, other=1)


def test_names_as_labels(parquet, library):
    columns = classes(library, label=library.Value("string"), note=library.Value("string"))
    spec = parquet(columns, train=rows(*"bab", note="x"), test=rows("a", note="y"))
    dataset = open_dataset(spec)
    assert dataset.classnames == ("a", "b") and dataset.train.labels.tolist() == [1, 0, 1]
    assert dataset.test.labels.tolist() == [0]
    with pytest.raises(UserError, match="test has the class 'c', which is not among the training"):
        open_dataset(parquet(columns, train=rows("a", note="x"), test=rows("c", note="y")))


def test_the_usual_columns_among_several(parquet, library):
    columns = {"mask": library.Image(), "coarse": library.ClassLabel(names=["all"])}
    spec = parquet(
        classes(library, **columns),
        train=rows(0, 1, mask=picture(width=9), coarse=0),
        test=rows(1, mask=picture(width=9), coarse=0),
    )
    dataset = open_dataset(spec)
    assert dataset.train.load(1).width == 2 and dataset.classnames == ("dark", "light")


def test_labels_that_were_not_published(parquet, capsys):
    spec = parquet(train=rows(0, 1, 0, 1), test=rows(-1, None))
    dataset = open_dataset(spec, holdout=1)
    assert dataset.test.labels.tolist() == [0, 1]
    assert "the last 1 of each class is tested on" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"the train labels of .* run from -1 to 1"):
        open_dataset(parquet(train=rows(0, None, 1), test=rows(0)))


def renamed(library, **names):
    return {names.get(name, name): kind for name, kind in classes(library).items()}


COLUMNS = {
    "no pictures": ({"label": "label"}, "has 0 columns of pictures .*columns are 'label'"),
    "pictures alone": ({"image": "image"}, "has 0 columns of class labels"),
    "numbers without names": (
        {"image": "image", "label": "int64"},
        "the column 'label' of .* holds int64 without names of classes: cast it",
    ),
    "two pictures": (
        {"left": "image", "right": "image", "label": "label"},
        "has 2 columns of pictures and none of them is called 'image' .*'left', 'right', 'label'",
    ),
    "two labels": (
        {"image": "image", "fine": "label", "coarse": "label"},
        "has 2 columns of class labels and none of them is called 'label'",
    ),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_that_do_not_fit(parquet, library, name):
    kinds, said = COLUMNS[name]
    makers = {"image": (library.Image(), picture()), "int64": (library.Value("int64"), 0)}
    makers["label"] = (library.ClassLabel(names=["a"]), 0)
    columns = {column: makers[kind][0] for column, kind in kinds.items()}
    row = {column: makers[kind][1] for column, kind in kinds.items()}
    with pytest.raises(UserError, match=said):
        open_dataset(parquet(columns, train=[row], test=[row]))


def test_pictures_that_are_not_there(parquet):
    row = {"image": None, "label": 0}
    broken = {"image": {"bytes": b"no picture", "path": None}, "label": 0}
    split = open_dataset(parquet(train=[row, broken, *rows(0)], test=rows(0))).train
    for number, said in enumerate(("its row holds no picture", "no known kind of picture")):
        with pytest.raises(BrokenPicture, match=said) as caught:
            split.load(number)
        assert f"set/train/{number}" in str(caught.value)
    assert split.load(2).size == (1, 2)


def test_configurations(parquet, library, tmp_path):
    spec = parquet(train=rows(0, 1), test=rows(1))
    folder = tmp_path / "set"
    listed = [
        f"- config_name: {name}\n  data_files:\n  - split: train\n    path: train*\n"
        f"  - split: test\n    path: {test}*\n"
        for name, test in (("one", "test"), ("two", "train"))
    ]
    (folder / "README.md").write_text("---\nconfigs:\n" + "".join(listed) + "---\n")
    assert len(open_dataset(f"{spec}:one").test) == 1
    assert len(open_dataset(f"{spec}:two").test) == 2
    with pytest.raises(UserError, match=r"\['one', 'two'\].* configuration as hf:NAME:CONFIG"):
        open_dataset(spec)
    with pytest.raises(UserError, match=r"datasets cannot provide hf:.*three"):
        open_dataset(f"{spec}:three")


@pytest.mark.parametrize(
    "name", ["parquet", "pandas", "a/b/c", "/gone/away", "../x/y", "./x", "a b/c", "mnist:x"]
)
def test_names_that_are_not_on_the_hub(library, name, monkeypatch):
    monkeypatch.setattr(library, "load_dataset", lambda *_: pytest.fail("it was asked for"))
    with pytest.raises(UserError, match="is neither a folder nor OWNER/NAME"):
        open_dataset(f"hf:{name}")


def test_without_a_network(library):
    with pytest.raises(UserError, match=r"provide hf:nobody/nothing \(.*[oO]ffline") as caught:
        open_dataset("hf:nobody/nothing")
    said = str(caught.value)
    assert "open it once where there is a network" in said and "\n" not in said


def test_files_that_are_damaged(parquet, tmp_path):
    spec = parquet(train=rows(0, 1), test=rows(1))
    file = next((tmp_path / "set").glob("train*"))
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(UserError, match=r"datasets cannot provide hf:.* \(.*Parquet"):
        open_dataset(spec)
    with pytest.raises(UserError, match="datasets cannot provide"):
        open_dataset(f"hf:{(tmp_path / 'empty').mkdir() or tmp_path / 'empty'}")


def test_versions_that_run_code_are_refused(library, monkeypatch):
    monkeypatch.setattr(library, "__version__", "2.19.0")
    with pytest.raises(UserError, match=r"needs datasets 5 or later, not 2\.19\.0: pip install -U"):
        open_dataset("hf:a/b")


def test_absence_is_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match="hf:a/b needs datasets: pip install datasets"):
        open_dataset("hf:a/b")
