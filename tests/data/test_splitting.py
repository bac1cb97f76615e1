import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.data.sources import open_dataset
from common.data.splitting import stratified_parts
from common.pocket.datasets import open_pocket
from tests.hostile import commands

SHARES = {"train": 0.7, "test": 0.2, "val": 0.1}


def test_every_class_is_split_alike():
    labels = np.repeat(np.arange(6), 50)
    parts = stratified_parts(labels, np.arange(300), SHARES, seed=0)
    for part, share in SHARES.items():
        assert np.bincount(labels[parts[part]]).tolist() == [50 * share] * 6
    assert sorted(np.concatenate(list(parts.values()))) == list(range(300))


def test_groups_stay_together_and_parts_keep_their_size():
    rng = np.random.default_rng(0)
    labels, groups = np.repeat(np.arange(4), 100), rng.integers(120, size=400)
    parts = stratified_parts(labels, groups, SHARES, seed=1)
    part_of = {group: part for part, rows in parts.items() for group in groups[rows]}
    assert all(part_of[groups[row]] == part for part, rows in parts.items() for row in rows)
    for part, share in SHARES.items():
        assert np.bincount(labels[parts[part]]) == pytest.approx([100 * share] * 4, abs=6)


def test_a_large_group_goes_where_it_fits():
    groups = np.array([9, 9, 9, 9, 9, 9, 0, 1, 2, 3])
    for seed in range(5):
        parts = stratified_parts(np.zeros(10, int), groups, {"train": 0.7, "test": 0.3}, seed)
        assert {part: len(rows) for part, rows in parts.items()} == {"train": 7, "test": 3}


def test_small_classes_are_learned_first_and_tested_second():
    parts = stratified_parts(np.array([0, 1, 1]), np.arange(3), SHARES, seed=0)
    assert {part: len(rows) for part, rows in parts.items()} == {"train": 2, "test": 1, "val": 0}


def test_the_seed_decides():
    labels, groups = np.zeros(100, int), np.arange(100)
    first, again, other = (stratified_parts(labels, groups, SHARES, s) for s in (0, 0, 1))
    assert first["test"].tolist() == again["test"].tolist() != other["test"].tolist()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("photos")
    train = open_pocket("rare").train
    for row in range(48):
        name = train.names[row].replace("/", "-")
        target = root / f"class {train.labels[row] % 3}" / f"{name}.png"
        target.parent.mkdir(exist_ok=True)
        train.load(row).resize((128, 128)).save(target)
    return root


def test_the_command_writes_what_coop_reads(folder, tmp_path):
    out = tmp_path / "split.json"
    done = commands.run("common.split", f"folder:{folder}", f"--out={out}")
    assert done.status == 0, done.err
    dataset = open_dataset(f"coop:{out}")
    assert dataset.classnames == ("class 0", "class 1", "class 2")
    sizes = [len(x) for x in (dataset.train, dataset.test, dataset.val)]
    assert sum(sizes) == 48 and sizes == pytest.approx([34, 10, 4], abs=2)
    assert dataset.train.load(0).size == (128, 128)


@pytest.mark.parametrize("named", [False, True])
def test_the_split_may_lie_in_a_folder_that_is_a_link(folder, tmp_path, named):
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "here").symlink_to(tmp_path / "far" / "away")
    (tmp_path / "photos").symlink_to(folder)
    out = tmp_path / "here" / "split.json"
    done = commands.run(
        "common.split", f"folder:{tmp_path / 'photos' if named else folder}", f"--out={out}"
    )
    assert done.status == 0, done.err
    dataset = open_dataset(f"coop:{out}")
    assert dataset.train.load(0).size == (128, 128)


def test_two_sizes_of_a_photo_are_in_one_part(folder, tmp_path):
    root = tmp_path / "photos"
    (root / "a").mkdir(parents=True)
    for number, path in enumerate(sorted((folder / "class 0").glob("*"))):
        with Image.open(path) as photo:
            photo.save(root / "a" / f"{number}.png")
            photo.resize((90, 90)).save(root / "a" / f"{number}-small.png")
    out = root / "split.json"
    done = commands.run("common.split", f"folder:{root}", f"--out={out}", "--val=0.3")
    assert done.status == 0, done.err
    parts = json.loads(out.read_text())
    assert set(parts) == {"train", "val", "test"}
    stems = [
        {Path(path).stem.removesuffix("-small") for path, *_ in rows} for rows in parts.values()
    ]
    assert sum(map(len, stems)) == len(set.union(*stems)) == 16


def test_a_photo_of_two_classes_is_named(folder, tmp_path):
    root = tmp_path / "photos"
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
        for number, path in enumerate(sorted((folder / f"class {name == 'b':d}").glob("*"))[:5]):
            Image.open(path).save(root / name / f"{number}.png")
    Image.open(root / "a" / "0.png").resize((64, 64)).save(root / "b" / "copy.png")
    out = root / "split.json"
    done = commands.run("common.split", f"folder:{root}", f"--out={out}")
    assert done.status == 0, done.err
    printed = " ".join(done.out.split())
    assert "near-duplicates of two classes" in printed and "copy.png" in printed
    parts = json.loads(out.read_text())
    holding = [
        part
        for part, rows in parts.items()
        for path, *_ in rows
        if path.endswith(("a/0.png", "copy.png"))
    ]
    assert len(holding) == 2 and len(set(holding)) == 1


@pytest.mark.parametrize(
    "options, sentence",
    [
        (["folder:gone"], "the data folder 'gone' does not exist"),
        (["pocket:rare"], "'pocket:rare' is not folder:PATH"),
        (["folder:gone", "--val=0.5", "--test=0.5"], "leave nothing to train on"),
        ([], "name one data set"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path, options, sentence):
    out = tmp_path / "split.json"
    done = commands.run("common.split", *options, f"--out={out}")
    assert done.status == 2 and sentence in done.err
    assert not out.exists()
