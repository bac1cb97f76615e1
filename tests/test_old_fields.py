"""Fields that earlier versions called otherwise: every old name, by every way in."""

import json
import shutil
import sys

import pytest
from absl import flags
from ml_collections import config_flags

from common.config import choose_config, flatten, read_config, to_json
from common.config_file import SETS_OTHERS, ConfigFile
from common.old_spellings import tell
from configs import aape, aape_captioning, aape_retrieval, aape_vqa, mcti, protext
from tests.hostile import commands

OLD = {
    "mcti": (mcti, "paper=oxford_flowers", "recipe=oxford_flowers"),
    "mcti, an old set": (mcti, "paper=flowers", "recipe=oxford_flowers"),
    "protext": (protext, "dataset=dtd", "recipe=dtd"),
    "protext, an old set": (protext, "dataset=flowers", "recipe=oxford_flowers"),
    "protext, code": (protext, "recipe=yaml", "recipe_from=code"),
    "protext, paper": (protext, "recipe=paper", "recipe_from=paper"),
    "protext, prompts": (protext, "prompts=my/c.json", "prompts.source=json:my/c.json"),
    "protext, a bare name": (protext, "prompts=corpus", "prompts.source=json:corpus"),
    "protext, pattern": (protext, "pattern=It has {phrase}.", "prompts.pattern=It has {phrase}."),
    "protext, source": (protext, "source=templates", "prompts.kind=templates"),
    "aape": (aape, "paper=dtd", "recipe=dtd"),
    "aape, prompts": (aape, "prompts=c.json.gz", "prompts.source=json:c.json.gz"),
    "aape, features": (aape, "prompts=features:a.npz", "prompts.source=features:a.npz"),
    "retrieval": (aape_retrieval, "paper=coco", "recipe=coco"),
    "captioning": (aape_captioning, "paper=flickr30k", "recipe=flickr30k"),
}
EARLIER = {
    "mcti_jax": {"paper": "recipe"},
    "aape_jax": {"paper": "recipe"},
    "protext_jax": {
        "dataset": "recipe",
        "recipe": "recipe_from",
        "prompts": "prompts.source",
        "pattern": "prompts.pattern",
        "source": "prompts.kind",
    },
}
"""Today's names of what each package once wrote into `config.json`."""

VALUES = {"recipe_from": {"code": "yaml"}, "prompts.source": {"pocket": ""}}


@pytest.fixture(autouse=True)
def _unsaid():
    """Nothing was said yet, as in a new process."""
    tell.cache_clear()


def behind_the_colon(module, setting, *_):
    return module.get_config(setting)


def as_a_field(module, setting, *_):
    name, _, value = setting.partition("=")
    return choose_config(module.get_config, None, {name: value})


def as_an_override(module, setting, _, monkeypatch):
    values = flags.FlagValues()
    config_flags.DEFINE_config_file("config", flag_values=values)
    values["config"].parser = ConfigFile(values["config"].parser)
    argv = ["train", f"--config={module.__file__}", f"--config.{setting}"]
    monkeypatch.setattr(sys, "argv", argv)
    values["config"].parser.respell(argv)
    values(argv)
    return choose_config(module.get_config, values.config, {})


def as_an_old_run(module, setting, folder, _):
    name, _, value = setting.partition("=")
    written = earlier(module.defaults().to_dict()) | {name: value}
    (folder / "config.json").write_text(json.dumps(written))
    return read_config(folder, module.defaults())


def as_a_changed_config(module, setting, *_):
    name, _, value = setting.partition("=")
    config = earlier(module.defaults().to_dict()) | {name: value}
    return choose_config(module.get_config, type(module.defaults())(config), {})


def earlier(config):
    """What an earlier version would have written for a config."""
    names = EARLIER[config["method"].partition("_jax")[0] + "_jax"]
    fields = flatten(config)
    old = {name: VALUES.get(new, {}).get(fields[new], fields[new]) for name, new in names.items()}
    gone = {name.partition(".")[0] for name in names.values()}
    return {name: value for name, value in config.items() if name not in gone} | {
        name: value.removeprefix("json:") for name, value in old.items()
    }


WAYS = {
    "behind the colon": behind_the_colon,
    "as a field": as_a_field,
    "as an override": as_an_override,
    "in an old run": as_an_old_run,
    "in a whole config": as_a_changed_config,
}
WRITTEN = ("in an old run", "in a whole config")
CASES = {
    f"{name}, {way}": (WAYS[way], module, old, new)
    for name, (module, old, new) in OLD.items()
    for way in WAYS
    # AAPE's prompts were a group in what earlier versions wrote down.
    if not (module is aape and old.startswith("prompts=") and way in WRITTEN)
}


def todays(way, module, setting):
    """The config that today's spelling makes: defaults with one change where none is derived."""
    name, _, value = setting.partition("=")
    moved = way is as_an_override and name in SETS_OTHERS
    if moved or way in (behind_the_colon, as_a_field):
        return module.get_config(setting)
    config = module.defaults()
    config.update_from_flattened_dict({name: value})
    return config


@pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")  # of ml_collections
@pytest.mark.parametrize(("way", "module", "old", "new"), CASES.values(), ids=CASES)
def test_an_old_name_is_read_and_said_once(way, module, old, new, tmp_path, monkeypatch, capsys):
    config = way(module, old, tmp_path, monkeypatch)
    assert flatten(config) == flatten(todays(way, module, new))
    said = capsys.readouterr().out
    assert said.count("today") == 1 and "unknown" not in said and "older" not in said
    before, after = said.partition(" called ")[::2]
    assert old in before and new in after


def test_a_default_run_is_written_in_todays_names_alone():
    for module in (mcti, protext, aape, aape_captioning, aape_retrieval, aape_vqa):
        names = set(json.loads(to_json(module.get_config())))
        assert not names & {"paper", "dataset", "pattern", "source"}
        assert ("recipe" in names) == (module is not aape_vqa)


@pytest.mark.parametrize("module", [mcti, protext, aape, aape_captioning, aape_retrieval])
def test_an_old_default_run_is_todays(module, tmp_path, capsys):
    (tmp_path / "config.json").write_text(json.dumps(earlier(module.defaults().to_dict())))
    assert read_config(tmp_path, module.defaults()) == module.defaults().lock()
    said = capsys.readouterr().out
    assert said.count("\n") == (module is protext)


@pytest.mark.parametrize("module", [protext, aape])
def test_the_path_of_a_file_is_enough(module, capsys):
    for path in ("a.json", "~/a", "./a.csv"):
        assert module.get_config(f"prompts.source={path}").prompts.source == f"json:{path}"
    for source in ("pocket", "web", "json:a", "features:a.npz", "web:a.json"):
        assert module.get_config(f"prompts.source={source}").prompts.source == source
    assert capsys.readouterr().out == ""


def test_several_at_once_are_one_line(capsys):
    config = protext.get_config("protocol=base_to_novel,dataset=ucf,recipe=paper,seed=3")
    assert config == protext.get_config(
        "protocol=base_to_new,recipe=ucf101,recipe_from=paper,seed=3"
    )
    assert capsys.readouterr().out == (
        "protocol=base_to_novel, dataset=ucf, recipe=paper are called protocol=base_to_new, "
        "recipe=ucf101, recipe_from=paper today, and are read as those.\n"
    )


def test_the_last_of_both_names_counts():
    assert mcti.get_config("paper=dtd,recipe=eurosat").recipe == "eurosat"
    assert mcti.get_config("recipe=dtd,paper=eurosat").recipe == "eurosat"


def test_an_old_name_that_a_config_never_had():
    done = commands.run("aape_jax.train", "--config=aape_vqa.py", "--config.paper=coco")
    assert done.status == 2 and "'paper' is not a field of the config" in done.err


# ---- A run of an earlier version.


@pytest.fixture(scope="module")
def world(tmp_path_factory, quick_compiler):
    """A small run on text alone, what starts it, and a copy as an earlier version wrote it."""
    folder = tmp_path_factory.mktemp("world")
    corpus = folder / "corpus.json"
    corpus.write_text(json.dumps({"fish": ["A fish.", "Fins."], "star": ["A star.", "Red."]}))
    counts = "updates=4,steps_per_call=2,log_every=2,save_every=2,epochs=4,batch=2"
    where = f"cache={folder}/features,compile_cache={folder}/xla,mesh.data=1"
    arg = f"data=none,depth=1,protocol=all_classes,held_out=0,baselines=(),{counts},{where}"
    started = [f"--config=protext.py:prompts.source={corpus},{arg}", f"--workdir={folder}/run"]
    done = commands.run("protext_jax.train", *started)
    assert done.status == 0, done.err
    shutil.copytree(folder / "run", folder / "old")
    written = json.loads((folder / "old/config.json").read_text())
    assert written["prompts"]["source"] == f"json:{corpus}"
    old = earlier(written)
    assert old["prompts"] == str(corpus) and not set(old) & {"recipe_from"}
    (folder / "old/config.json").write_text(json.dumps(old))
    return folder, f"--config=protext.py:{arg}", f"--config.prompts={corpus}"


def test_an_old_run_is_resumed(world, tmp_path):
    folder, config, override = world
    workdir = tmp_path / "run"
    shutil.copytree(folder / "old", workdir)
    (workdir / "result.json").unlink()
    (workdir / "prompts.safetensors").unlink()
    shutil.rmtree(workdir / "checkpoints/00000004")
    done = commands.run("protext_jax.train", config, override, f"--workdir={workdir}")
    assert done.status == 0, done.err
    assert f"is called prompts.source=json:{folder}/corpus.json today" in done.out
    lines = [json.loads(x) for x in (workdir / "metrics.jsonl").read_text().splitlines()]
    assert sum("loss" in line and line["step"] == 2 for line in lines) == 1  # Not from the start.
    for name in ("prompts.safetensors", "config.json"):
        assert (workdir / name).read_bytes() == (folder / "run" / name).read_bytes()


def test_an_old_run_is_evaluated_exported_and_reported(world, tmp_path):
    folder, config, override = world
    out, names = tmp_path / "classes.safetensors", tmp_path / "names.json"
    names.write_text('["fish"]')
    old = f"--workdir={folder}/old"
    for command, *options in (
        ("protext_jax.train", config, override, old),
        ("protext_jax.evaluate", old),
        ("protext_jax.export", old, f"--classes={names}", f"--out={out}"),
        ("common.report", str(folder / "old"), f"--out={tmp_path}/report.md"),
    ):
        done = commands.run(command, *options)
        assert done.status == 0, done.err
        assert "today" in done.out or command == "common.report"
    assert out.exists()
