"""The worked examples of docs/extending.md run, and the page shows them as they are."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from absl import flags
from PIL import Image

from common.commands.evaluate import evaluate_run
from common.commands.export import export_run
from common.data import Dataset, open_dataset, sources
from common.errors import UserError
from common.page import write_page
from common.report import report
from common.runs import read_run
from common.training import Evaluation, train
from tests.door.pages import snippets
from tests.extending.linear_probe import LinearProbe
from tests.extending.photo_list import open_list
from tests.extending.same_class import SameClass

pytestmark = pytest.mark.usefixtures("quick_compiler")
FOLDER = Path(__file__).parent
EXAMPLES = ("linear_probe.py", "photo_list.py", "same_class.py", "toy_family.py")


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_page_shows_the_file(name):
    assert (FOLDER / name).read_text("utf-8") in snippets("docs/extending.md")


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_short(name):
    assert len((FOLDER / name).read_text("utf-8").splitlines()) < 150


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def few(classes):
    """A few photos of some of the bundled classes."""
    rare = open_dataset("pocket:rare")

    def part(split):
        rows = [r for c in range(classes) for r in np.flatnonzero(split.labels == c)[:8].tolist()]
        return [split.load(row) for row in rows], split.labels[rows]

    train, test = map(part, (rare.train, rare.test))
    return Dataset.from_arrays(*train, rare.classnames[:classes], test=test)


@pytest.fixture(scope="module")
def photos():
    return few(4)


def trained(method, folder, cache, photos, **fields):
    config = method.get_config(
        {"cache": str(cache), "progress": False, "data": photos.spec, **fields}
    )
    return train(method(config), folder)


@pytest.fixture(scope="module")
def probe(tmp_path_factory, cache, photos):
    folder = tmp_path_factory.mktemp("probe")
    return folder, trained(LinearProbe, folder, cache, photos)


def measured(method, folder, cache, monkeypatch):
    """What `evaluate` writes, with these flags."""
    given = SimpleNamespace(workdir=str(folder), data=None, cache=str(cache))
    monkeypatch.setattr(flags, "FLAGS", given)
    evaluate_run((method,))
    (file,) = (folder / "eval").glob("*.json")
    return json.loads(file.read_text())


def test_a_fourth_method_learns(probe):
    folder, result = probe
    assert result["metrics"]["accuracy"] > 0.5
    assert {"probe.safetensors", "confusion.png", "metrics.jsonl", "config.json"} <= {
        file.name for file in folder.iterdir()
    }


def test_a_fourth_method_is_evaluated(probe, cache, monkeypatch):
    folder, result = probe
    found = measured(LinearProbe, folder, cache, monkeypatch)
    assert found["metrics"] == result["metrics"] and found["baselines"] == result["baselines"]
    assert next((folder / "eval").glob("*-confusion.png")).is_file()


def test_a_method_may_do_without_a_dtype(probe, cache, monkeypatch):
    class Plain(LinearProbe):
        @staticmethod
        def get_config(arg=None):
            config = LinearProbe.get_config(arg)
            del config.dtype
            return config

        @classmethod
        def measure(cls, config, workdir, data):
            return Evaluation({"accuracy": 0.25})

    assert measured(Plain, probe[0], cache, monkeypatch)["metrics"] == {"accuracy": 0.25}


def test_a_fourth_method_refuses_other_classes(probe, cache):
    config = LinearProbe.get_config({"cache": str(cache)})
    with pytest.raises(UserError, match="measure on data of the same kind"):
        LinearProbe.measure(config, probe[0], few(3).spec)


def test_a_fourth_method_is_exported_reported_and_has_a_page(probe, tmp_path):
    folder, _ = probe
    export_run(LinearProbe, folder, tmp_path)
    written, exported = (x / "probe.safetensors" for x in (folder, tmp_path))
    assert exported.read_bytes() == written.read_bytes()
    text = report([read_run(folder)])
    assert "linear_probe" in text and "nearest_class_mean" in text
    run = read_run(folder)
    assert "linear_probe" in write_page(run.folder, run.result, run.config).read_text("utf-8")


def test_what_an_unfinished_run_has_learned_is_exported(probe, cache, photos, tmp_path):
    folder = tmp_path / "run"

    class Stopped(LinearProbe):
        def save(self, trainable, evaluation, workdir):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(Stopped, folder, cache, photos)
    export_run(LinearProbe, folder, tmp_path / "out")
    finished = probe[0] / "probe.safetensors"
    assert (tmp_path / "out" / "probe.safetensors").read_bytes() == finished.read_bytes()


@pytest.mark.tpu_backend
def test_a_fourth_method_is_compiled_for_a_tpu(cache):
    from common.aot.program import compile_for

    config = LinearProbe.get_config({"cache": str(cache), "mesh.data": -1})
    assert compile_for(config, "v5e:2x2").memory.peak > 0


def test_a_kind_of_data_set(monkeypatch, tmp_path):
    monkeypatch.setitem(sources.OPENERS, "list", open_list)
    lines = []
    for number, (part, name) in enumerate([("train", "a"), ("train", "b"), ("test", "b")]):
        Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(tmp_path / f"{number}.png")
        lines.append(f"{part},{name},{number}.png")
    (tmp_path / "photos.csv").write_text("\n".join(lines))
    found = open_dataset(f"list:{tmp_path / 'photos.csv'}")
    assert found.classnames == ("a", "b") and found.test.labels.tolist() == [1]
    assert found.test.load(0).getpixel((0, 0)) == (2, 2, 2)
    (tmp_path / "photos.csv").write_text("dev,a,0.png")
    with pytest.raises(UserError, match="write train or test"):
        open_dataset(f"list:{tmp_path / 'photos.csv'}")


def test_a_task_of_aape(tmp_path, cache, monkeypatch):
    folder, photos = tmp_path / "run", few(20)  # Of fewer classes CLIP's features miss none.
    result = trained(SameClass, folder, cache, photos, updates=24)
    assert set(result["baselines"]) == {"clip", "plain"}
    assert result["metrics"]["accuracy"] > result["baselines"]["clip"]["accuracy"]
    assert {file.name for file in (folder / "heads").iterdir()} == {
        "aape.safetensors",
        "plain.safetensors",
    }
    found = measured(SameClass, folder, cache, monkeypatch)
    assert found["metrics"] == result["metrics"] and found["baselines"] == result["baselines"]
