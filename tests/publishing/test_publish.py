"""Finished runs given away: what is in the folder, how it is read back, what the hub is sent."""

import getpass
import json
import re
import shutil
import socket
from pathlib import Path
from typing import ClassVar

import huggingface_hub
import numpy as np
import pytest
import yaml
from huggingface_hub import constants
from PIL import Image

import aape_jax
import mcti_jax
import protext_jax
from common import UserError, open_dataset, train
from common.files import write_json
from common.hub import UploadError, local_run, parse_hub
from common.pictures import write_png
from common.publish import PUBLISHED, publish
from common.publishing.folder import readable
from mcti_jax.starts import learned_before
from tests.hostile import commands

pytestmark = pytest.mark.usefixtures("quick_compiler", "shapes_found_once")
PACKAGES = {"mcti": mcti_jax, "protext": protext_jax, "aape": aape_jax}
NAMES = ("cat", "dog", "owl")
TENSORS = {
    "mcti": {"tokens/cat.safetensors", "tokens/dog.safetensors", "tokens/owl.safetensors"},
    "protext": {"classes.safetensors", "prompts.safetensors"},
    "aape": {"classes.safetensors", "heads/aape.safetensors", "heads/paper.safetensors"},
}
ALWAYS = {"README.md", "config.json", "result.json"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A finished run of each method on photos of a folder, which is gone afterwards."""
    place = tmp_path_factory.mktemp("ann") / "home"
    rare = open_dataset("pocket:rare")
    photos, texts = place / "photos", place / "texts.json"
    for label, name in enumerate(NAMES):
        for row in np.flatnonzero(rare.train.labels == label)[:3].tolist():
            write_png(photos / name / f"{row}.png", np.asarray(rare.train.load(row)))
    write_json(texts, {x: [f"a {x}.", f"the {x} there."] for x in NAMES})
    common = {"data": f"folder:{photos}", "cache": str(place / "cache"), "progress": False}
    texts = {"prompts": {"source": f"json:{texts}"}}
    train(
        mcti_jax.MCTI(**common, alpha=0.0, updates=2, compare_ti=False, generate={"per_class": 0}),
        place / "mcti",
    )
    train(protext_jax.ProText(**common, **texts, epochs=1, baselines=()), place / "protext")
    few = {"updates": 2, "baselines": (), "compare": ()}
    train(aape_jax.Classification(**common, **texts, **few), place / "aape")
    return place


def asked():
    """Photos that no run has seen, as arrays."""
    rare = open_dataset("pocket:rare")
    return [np.asarray(rare.test.load(row)) for row in range(0, 200, 50)]


@pytest.fixture(scope="module")
def published(place):
    """What is published of each run; neither its photos nor its sentences are there any more."""
    answers = {}
    for name, package in PACKAGES.items():
        publish(place / name, str(place / "out" / name), license="mit")
        answers[name] = package.load(place / name).classify(asked())
    shutil.rmtree(place / "photos")
    (place / "texts.json").unlink()
    return place / "out", answers


def files_in(folder):
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}


def cached(folder, home, name):
    """Lay a folder into the hub's cache as its client does: links to files elsewhere."""
    model = home / f"models--{name.replace('/', '--')}"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text("0" * 40)
    for number, file in enumerate(sorted(files_in(folder))):
        blob, link = model / "blobs" / str(number), model / "snapshots" / ("0" * 40) / file
        for path in (blob, link):
            path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / file, blob)
        link.symlink_to(blob)


@pytest.fixture
def hub(published, tmp_path, monkeypatch):
    """The hub's cache with each run in it, and no network."""
    for name in PACKAGES:
        cached(published[0] / name, tmp_path, f"ann/{name}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path


@pytest.mark.parametrize("name", PACKAGES)
def test_a_published_run_answers_as_the_run_did(hub, published, name):
    answers = PACKAGES[name].load(f"hf:ann/{name}").classify(asked())
    assert answers.classnames == NAMES
    assert np.array_equal(answers.probabilities, published[1][name].probabilities)


@pytest.mark.parametrize("name", PACKAGES)
def test_nothing_but_what_was_learned_is_given_away(place, published, name):
    folder = published[0] / name
    assert files_in(folder) == ALWAYS | TENSORS[name]
    told = "\n".join(readable(folder / file) for file in files_in(folder))
    for private in (place, Path.home() / "x", Path.cwd(), "cache/", "checkpoints"):
        assert str(private) not in told
    for word in ("ann", re.escape(socket.gethostname()), re.escape(getpass.getuser())):
        assert not re.search(rf"\b{word}\b", told), word
    assert json.loads((folder / "config.json").read_text())["data"] == "folder:photos"
    assert "details" not in json.loads((folder / "result.json").read_text())


@pytest.mark.parametrize("name", PACKAGES)
def test_the_card_says_what_was_learned_and_how_well(place, published, name):
    text = (published[0] / name / "README.md").read_text()
    _, front, body = text.split("---\n", 2)
    front = yaml.safe_load(front)
    assert front["license"] == "mit" and front["library_name"] == "promptax"
    assert "promptax" in front["tags"] and "base_model" not in front  # pocket
    assert "cat, dog, owl" in body and "folder:photos" in body
    assert f"python -m {name}_jax.classify --workdir=hf:USER/NAME" in body
    result = json.loads((place / name / "result.json").read_text())
    assert f"{100 * result['metrics']['accuracy']:.1f}" in body


def test_commands_read_a_run_on_the_hub(hub, published, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photo = Image.fromarray(asked()[0])
    photo.save("photo.png")
    words = ("--images=photo.png", "--out=answers.csv")
    for name in PACKAGES:
        done = commands.run(f"{name}_jax.classify", f"--workdir=hf:ann/{name}", *words)
        assert done.status == 0, done.err
        assert published[1][name].names[0] in Path("answers.csv").read_text()
    drawn = ("--prompt=a <dog>", "--num=1", "--steps=1", "--out=dog.png")
    assert commands.run("mcti_jax.generate", "--workdir=hf:ann/mcti", *drawn).status == 0
    done = commands.run("mcti_jax.export", "--workdir=hf:ann/mcti@main", "--out=tokens")
    assert done.status == 0 and files_in(tmp_path / "tokens")
    done = commands.run("aape_jax.export", "--workdir=hf:ann/aape", "--out=heads")
    assert done.status == 0, done.err
    test = ("--data=pocket:rare", f"--cache={tmp_path / 'cache'}")
    done = commands.run("aape_jax.evaluate", "--workdir=hf:ann/aape", *test)
    assert done.status == 0, done.err


def test_a_card_shows_what_was_measured_with_the_settings_of_the_run(place, tmp_path, capsys):
    """Another blend of a finished run changes its result; what `evaluate` found before is older."""
    run = tmp_path / "aape"
    shutil.copytree(place / "aape", run)
    test = ("--data=pocket:rare", f"--cache={tmp_path / 'cache'}")
    assert commands.run("aape_jax.evaluate", f"--workdir={run}", *test).status == 0
    config = json.loads((run / "config.json").read_text())
    for number, (blend, shown) in enumerate([(config["classifier"]["blend"], True), (0.1, False)]):
        config["classifier"]["blend"] = blend
        (run / "config.json").write_text(json.dumps(config))
        publish(run, str(tmp_path / str(number)))
        card = (tmp_path / str(number) / "README.md").read_text()
        assert ("On pocket:rare:" in card) == shown
        told = "measured with other settings and is left out: evaluate it again."
        assert (told in capsys.readouterr().out) != shown


def test_tokens_may_start_from_a_run_on_the_hub(hub, place):
    config = mcti_jax.MCTI(data="pocket:rare", start="hf:ann/mcti").config
    own = mcti_jax.load(place / "mcti").tokens
    said = own[0].metadata["fingerprint"]
    known = learned_before(config, ("dog", "cat"), own[0].widths, said)
    assert {number: token.token for number, token in known.items()} == {0: "<dog>", 1: "<cat>"}


def test_a_run_that_the_hub_does_not_give_ends_in_a_sentence(hub):
    for name in PACKAGES:
        command = (f"{name}_jax.classify", "--workdir=hf:ann/gone", "--images=x.png")
        done = commands.run(*command)
        assert done.status == 2
    with pytest.raises(UserError, match=r"hf:ann/gone is not in the hub's cache .*hf auth login"):
        local_run("hf:ann/gone")


@pytest.mark.parametrize(
    "name", ["hf:", "hf:a", "hf:a/", "hf:a/b/c", "hf:../b", "hf:a b/c", "hf:a/b@"]
)
def test_what_is_not_a_run_on_the_hub(name):
    with pytest.raises(UserError, match="write hf:USER/NAME"):
        local_run(name)


def test_a_revision_may_be_named():
    assert parse_hub("hf:ann/dogs@v1.0") == ("ann/dogs", "v1.0")
    assert local_run("runs/mine") == Path("runs/mine")


class Api:
    """In the place of the hub's client."""

    calls: ClassVar[list] = []
    error = None

    def create_repo(self, repository, **options):
        self.calls.append(("create", repository, options))

    def upload_folder(self, *, folder_path, **options):
        if self.error:
            raise self.error
        self.calls.append(("commit", files_in(folder_path), options))
        return type("Commit", (), {"repo_url": f"https://huggingface.co/{options['repo_id']}"})


@pytest.fixture
def online(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "hf_token")
    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    monkeypatch.setattr(Api, "calls", [])
    return Api


def test_an_upload_is_one_commit(place, published, online):
    assert publish(place / "mcti", "hf:ann/dogs", private=True) == "https://huggingface.co/ann/dogs"
    create, commit = online.calls
    assert create == ("create", "ann/dogs", {"private": True, "exist_ok": True})
    kind, files, options = commit
    assert (kind, files) == ("commit", ALWAYS | TENSORS["mcti"])
    assert options["repo_id"] == "ann/dogs" and options["delete_patterns"] == ["tokens/*"]


def test_a_refusal_of_the_hub_is_one_sentence(place, published, online, monkeypatch):
    monkeypatch.setattr(online, "error", OSError("403 Forbidden\nmore"))
    with pytest.raises(
        UploadError, match=r"did not take ann/dogs \(403 Forbidden more\): see that the"
    ):
        publish(place / "mcti", "hf:ann/dogs")


def refused(*arguments):
    done = commands.run("common.publish", *map(str, arguments))
    assert done.status == 2
    [line] = done.err.splitlines()
    return line


def test_bad_uses_end_in_one_sentence(place, published, online, tmp_path, monkeypatch):
    run, out = place / "mcti", f"--to={tmp_path / 'out'}"
    assert "name one run" in refused(out)
    assert "holds no run" in refused(tmp_path, out)
    assert "write hf:USER/NAME" in refused(run, "--to=hf:dogs")
    assert "leave it out" in refused(run, "--to=hf:ann/dogs@main")
    assert "is not PATH=OWNER/NAME" in refused(run, out, "--model=x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    assert "is there already and is left alone" in refused(run, f"--to={tmp_path / 'full'}")
    unfinished = tmp_path / "unfinished"
    shutil.copytree(run, unfinished)
    (unfinished / "result.json").unlink()
    assert "train the run to its end first" in refused(unfinished, out)
    foreign = tmp_path / "foreign"
    shutil.copytree(run, foreign)
    write_json(foreign / "config.json", {"method": "evil:Method"})
    assert "--method=module:class" in refused(foreign, out)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    line = refused(run, "--to=hf:ann/dogs")
    assert "there is no token for the hub: log in with `hf auth login`, or set HF_TOKEN" in line
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set" in refused(run, "--to=hf:ann/dogs")
    assert online.calls == [] and not (tmp_path / "out").exists()


def test_a_dry_run_needs_no_hub_and_writes_a_folder(place, published, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    shutil.copytree(place / "mcti", tmp_path / "run")
    done = commands.run("common.publish", str(tmp_path / "run"), "--to=hf:ann/dogs", "--dry-run")
    assert done.status == 0, done.err
    folder = tmp_path / "run" / PUBLISHED
    assert files_in(folder) == ALWAYS | TENSORS["mcti"]
    assert "hf:ann/dogs" in (folder / "README.md").read_text()


def test_a_model_on_the_hub_is_named_and_diffusers_is_told_of(place, published, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(place / "mcti", run)
    config = json.loads((run / "config.json").read_text())
    write_json(run / "config.json", {**config, "model": "/data/sd15", "clip": "openai/clip"})
    assert "--model=/data/sd15=OWNER/NAME" in refused(run, f"--to={tmp_path / 'out'}")
    publish(run, str(tmp_path / "out"), models=["/data/sd15=ann/sd15"])
    text = (tmp_path / "out" / "README.md").read_text()
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["base_model"] == ["ann/sd15"] and front["library_name"] == "diffusers"
    assert 'from_pretrained("ann/sd15")' in text and "license" not in front
    assert json.loads((tmp_path / "out" / "config.json").read_text())["model"] == "ann/sd15"


def test_a_path_that_is_left_is_refused_and_nothing_is_written(place, published, tmp_path):
    run, out = tmp_path / "run", tmp_path / "out"
    shutil.copytree(place / "mcti", run)
    result = json.loads((run / "result.json").read_text())
    metrics = {**result["metrics"], "on /home/ann/photos/accuracy": 0.5}
    write_json(run / "result.json", {**result, "metrics": metrics})
    assert "would tell a path of this machine" in refused(run, f"--to={out}")
    assert not out.exists()


def test_classes_of_another_clip_are_refused(published, tmp_path):
    from common.clip.class_file import NAME, read_class_features, write_class_features

    for name in ("protext", "aape"):
        run = tmp_path / name
        shutil.copytree(published[0] / name, run)
        known = read_class_features(run / NAME)
        told = {**known.metadata, "fingerprint": "another"}
        write_class_features(run / NAME, known.features, known.classnames, told)
        with pytest.raises(UserError, match="are of another CLIP"):
            PACKAGES[name].load(run).classify(asked())
