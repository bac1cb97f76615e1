"""The command that asks about photos, with a classifier that looks at file names alone."""

import csv
import io
import json

import numpy as np
import pytest
from absl import flags
from PIL import Image

from common.clip import Predictions
from common.commands import classify
from common.data.loose import loose_photos
from common.errors import UserError

NAMES = ("cat", "dog", "fox")


class ByFileName:
    """Is sure of the class in the file's name, and takes the one behind it for the second."""

    def __init__(self):
        self.asked = []

    def classify(self, photos, names=NAMES):
        self.asked.append(len(photos))
        rows = np.array([[name in path.stem for name in names] for path in photos], float)
        return Predictions.from_logits(2 * rows + 0.1 * np.roll(rows, 1, axis=1), tuple(names))


@pytest.fixture
def folder(tmp_path):
    photos = tmp_path / "photos"
    for name in ("2-cat.png", "10-dog.png", "inner/1-fox.png"):
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(photos / name)
    (photos / "notes.pdf").write_bytes(b"")
    return photos


@pytest.fixture
def command(monkeypatch):
    """Runs the command with these options; returns the classifier."""
    values = flags.FlagValues()
    monkeypatch.setattr(flags, "FLAGS", values)

    def define(kind, *arguments, **options):
        getattr(flags, kind)(*arguments, flag_values=values, **options)

    def run(*line):
        define("DEFINE_string", "workdir", None, "Folder.")
        define("DEFINE_multi_string", "images", None, "Photos.")
        define("DEFINE_string", "out", None, "File.")
        define("DEFINE_string", "classes", None, "Names.")
        values(["classify", "--workdir=run", *line])
        learned = ByFileName()
        classify.classify_run(lambda workdir: learned)
        return learned

    return run


def test_folders_lists_and_files_are_found_in_order(folder, tmp_path, monkeypatch):
    names = ["2-cat.png", "10-dog.png", "inner/1-fox.png"]
    everything = tuple(folder / name for name in names)
    assert loose_photos([str(folder)]) == everything
    lines = tmp_path / "list.txt"
    lines.write_text(f"{everything[1]}\n\n{everything[0]}\n")
    assert loose_photos([str(lines), str(everything[2])]) == (
        everything[1],
        everything[0],
        everything[2],
    )
    monkeypatch.setattr("sys.stdin", io.StringIO(lines.read_text()))
    assert loose_photos(["-"]) == (everything[1], everything[0])


def test_a_link_to_a_folder_above_adds_no_photo(folder):
    found = loose_photos([str(folder)])
    (folder / "inner" / "up").symlink_to("..")
    assert loose_photos([str(folder)]) == found


def test_what_is_no_photo_is_refused_in_a_sentence(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    lines = tmp_path / "list.txt"
    lines.write_text("gone.png\n")
    for source, fault in {
        str(tmp_path / "empty"): "holds no photos",
        str(tmp_path / "gone"): "there is no file or folder",
        str(lines): "lists 'gone.png', which is not a file",
    }.items():
        with pytest.raises(UserError, match=fault):
            loose_photos([source])


@pytest.mark.parametrize("suffix", classify.FORMATS)
def test_every_format_holds_the_class_and_the_runner_up(command, folder, tmp_path, suffix):
    out = tmp_path / f"answers{suffix}"
    command(f"--images={folder}", f"--out={out}")
    text = out.read_text()
    match suffix:
        case ".csv":
            records = list(csv.DictReader(text.splitlines()))
        case ".json":
            records = json.loads(text)
        case _:
            records = [json.loads(line) for line in text.splitlines()]
    assert [record["name"] for record in records] == ["cat", "dog", "fox"]
    assert [record["second"] for record in records] == ["dog", "fox", "cat"]
    weights = np.exp([2, 0.1, 0])
    assert float(records[0]["probability"]) == pytest.approx(weights[0] / weights.sum(), abs=1e-6)
    assert float(records[0]["second_probability"]) == pytest.approx(
        weights[1] / weights.sum(), abs=1e-6
    )


def test_a_comma_in_a_path_stays_one_field(command, folder, tmp_path):
    photo = folder / 'a, "b" cat.png'
    Image.new("RGB", (4, 4)).save(photo)
    command(f"--images={photo}", f"--out={tmp_path / 'x.csv'}")
    (record,) = csv.DictReader((tmp_path / "x.csv").read_text().splitlines())
    assert record["image"] == str(photo)


def test_many_photos_are_asked_about_some_at_a_time(command, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(classify, "_AT_ONCE", 2)
    assert command(f"--images={folder}", f"--out={tmp_path / 'x.csv'}").asked == [2, 1]


def test_without_a_file_the_answers_are_printed(command, folder, capsys, monkeypatch):
    monkeypatch.setattr(classify, "_SHOWN", 2)
    command(f"--images={folder}")
    printed = capsys.readouterr().out
    assert "2-cat.png: cat 77.8%, dog 11.6%" in printed
    assert "and 1 more photos" in printed and "1-fox.png" not in printed


def test_names_of_one_s_own_take_the_place_of_the_run_s(command, folder, tmp_path):
    (tmp_path / "names.json").write_text('["fox"]')
    out = tmp_path / "x.json"
    command(f"--images={folder}", f"--classes={tmp_path / 'names.json'}", f"--out={out}")
    records = json.loads(out.read_text())
    assert {record["name"] for record in records} == {"fox"}
    assert {record["second"] for record in records} == {""}


def test_an_empty_name_is_refused_before_anything_is_read(command, tmp_path):
    (tmp_path / "names.json").write_text('["fox", "", "dog"]')
    with pytest.raises(UserError, match=r"--classes=.*names.json has an empty name, ''"):
        command("--images=gone", f"--classes={tmp_path / 'names.json'}")


def test_another_kind_of_file_is_refused_before_anything_is_read(command, tmp_path):
    with pytest.raises(UserError, match=r"ends in none of \.csv, \.json, \.jsonl"):
        command("--images=gone", f"--out={tmp_path / 'x.xlsx'}")
