"""What users write on the command line, and what becomes of it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ml_collections import ConfigDict, config_dict

from common.config import apply_arg, choose_config, flatten, read_config, to_json
from common.errors import UserError
from configs import aape, aape_retrieval, mcti

ROOT = Path(__file__).parents[1]


def make_config() -> ConfigDict:
    return ConfigDict(
        {
            "data": "pocket:nameless",
            "seed": 1,
            "rate": 0.1,
            "flag": False,
            "shape": (1, 2),
            "words": (),
            "mesh": {"data": -1},
            "limit": config_dict.placeholder(float),
        }
    )


@pytest.mark.parametrize(
    ("arg", "name", "value"),
    [
        ("seed=7", "seed", 7),
        ("seed=-7", "seed", -7),
        ("rate=1e-3", "rate", 1e-3),
        ("rate=1", "rate", 1.0),
        ("rate=inf", "rate", float("inf")),
        ("flag", "flag", True),
        ("flag=true", "flag", True),
        ("flag=False", "flag", False),
        ("flag=0", "flag", False),
        ("data=folder:../x", "data", "folder:../x"),
        ("data=a=b:c", "data", "a=b:c"),
        ("data=", "data", ""),
        ("mesh.data=2", "mesh.data", 2),
        ("shape=(3,4)", "shape", (3, 4)),
        ("shape=[3]", "shape", (3,)),
        ("words=(a,b)", "words", ("a", "b")),
        ("limit=2.5", "limit", 2.5),
    ],
)
def test_values_take_the_type_of_their_field(arg, name, value):
    found = flatten(apply_arg(make_config(), arg))[name]
    assert found == value
    assert type(found) is type(value)


def test_several_settings():
    config = apply_arg(make_config(), "seed=3,shape=(5,6),flag,data=coop:d")
    assert (config.seed, config.shape, config.flag, config.data) == (3, (5, 6), True, "coop:d")


@pytest.mark.parametrize("arg", [None, ""])
def test_no_settings(arg):
    assert apply_arg(make_config(), arg) == make_config()


@pytest.mark.parametrize(
    ("arg", "message"),
    [
        ("sed=2", "'sed' is not a field of the config; did you mean 'seed'?"),
        ("zzz=2", "'zzz' is not a field of the config; it has data, flag"),
        ("mesh=2", "'mesh' is a group of fields; did you mean 'mesh.data'?"),
        ("seed", "'seed' needs a value: write seed=VALUE"),
        ("seed=x", "seed='x' is not a whole number"),
        ("seed=1.5", "seed='1.5' is not a whole number"),
        ("rate=fast", "rate='fast' is not a number"),
        ("rate=nan", "rate='nan' is not a number"),
        ("flag=maybe", "flag='maybe' is neither true nor false"),
        ("shape=(1,x)", "shape='x' is not a whole number"),
    ],
)
def test_bad_settings_are_refused(arg, message):
    with pytest.raises(UserError) as caught:
        apply_arg(make_config(), arg)
    assert message in str(caught.value)


def test_json_and_back(tmp_path):
    config = apply_arg(make_config(), "shape=(3,4)")
    (tmp_path / "config.json").write_text(to_json(config))
    assert json.loads(to_json(config))["shape"] == [3, 4]
    back = read_config(tmp_path)
    assert flatten(back) == flatten(config)
    assert back.is_locked


def write_run(tmp_path: Path, **changes: object) -> Path:
    fields = {"method": "a:A", "data": "d", "model": "m", "seed": 0, "group": {"x": 5}}
    (tmp_path / "config.json").write_text(json.dumps(fields | changes))
    return tmp_path


def test_fields_younger_than_a_run_take_their_defaults(tmp_path, capsys):
    ours = {"method": "a:A", "data": "", "group": {"x": 1, "y": (2, 3)}, "late": {"z": 4}}
    other = {"method": "b:B", "late": {"z": 9}}
    workdir = write_run(tmp_path, gone=7)
    found = flatten(read_config(workdir, ConfigDict(other), ConfigDict(ours)))
    kept = {"method": "a:A", "data": "d", "model": "m", "seed": 0, "group.x": 5, "gone": 7}
    assert found == kept | {"group.y": (2, 3), "late.z": 4}
    said = capsys.readouterr().out
    assert said.endswith("their defaults: group.y=(2, 3), late.z=4.\n")
    assert "unknown here, which change nothing: 'model', 'seed', 'gone'.\n" in said
    known = {"model": "", "seed": 0, "gone": 0, "group": {"x": 1}, "late": {}}
    read_config(workdir, ConfigDict(ours | known))
    assert capsys.readouterr().out == ""


def test_what_is_no_run_of_the_command(tmp_path):
    defaults = [ConfigDict({"method": name}) for name in ("a:A", "b:B")]
    with pytest.raises(UserError, match="method='c:C', but this command is for a:A or b:B"):
        read_config(write_run(tmp_path, method="c:C"), *defaults)
    (tmp_path / "config.json").write_text('{"seed": 1, "model": "m"}')
    with pytest.raises(UserError, match="has no field 'data'"):
        read_config(tmp_path, *defaults)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(UserError, match="holds no JSON object"):
        read_config(tmp_path)


def test_a_folder_without_a_run(tmp_path):
    with pytest.raises(UserError, match="holds no run"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        read_config(tmp_path)


# ---- The command line, in a process of its own: flags are global.

COMMAND = """
from common.config import define_flags, read_flags
from common.errors import run_command

def main(_):
    run = read_flags()
    print(run.workdir, run.config.to_json())

run_command(main, define_flags)
"""

FILE = """
from ml_collections import ConfigDict
from common.config import apply_arg

def get_config(arg=None):
    return apply_arg(ConfigDict({"seed": 1, "name": "x", "mesh": {"data": -1}}), arg)
"""


@pytest.fixture
def command(tmp_path):
    (tmp_path / "ok.py").write_text(FILE)
    (tmp_path / "broken.py").write_text("def get_config(arg=None):\n    return 1 / 0\n")
    (tmp_path / "value.py").write_text("def get_config(arg=None):\n    return int(arg)\n")
    (tmp_path / "nothing.py").write_text("def get_config(arg=None):\n    return 3\n")

    def run(*arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-c", COMMAND, *arguments],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


@pytest.mark.multiprocess
def test_the_command_line(command):
    done = command("--workdir=w", "--config=ok.py:seed=2,name=folder:../x", "--config.mesh.data=4")
    assert done.returncode == 0, done.stderr
    workdir, _, config = done.stdout.partition(" ")
    assert workdir == "w"
    assert json.loads(config) == {"seed": 2, "name": "folder:../x", "mesh": {"data": 4}}


@pytest.mark.multiprocess
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "missing --config: name a config file"),
        (("--config=ok.py",), "missing --workdir"),
        (("--workdir=s3://b/w", "--config=ok.py"), "is not a folder: give a path, or gs://"),
        (("--workdir=w", "--config=absent.py:a=1"), "there is no file 'absent.py'"),
        (("--workdir=w", "--config=ok.py:sed=2"), "did you mean 'seed'?"),
        (("--workdir=w", "--config=ok.py", "--config.mesh.dat=2"), "did you mean 'mesh.data'?"),
        (("--workdir=w", "--config=ok.py", "--config.seed=x"), "is not a whole number"),
        (("--workdir=w", "--config=broken.py"), "broken.py, line 2: ZeroDivisionError"),
        (("--workdir=w", "--config=value.py:x"), "value.py, line 2: ValueError: invalid"),
        (("--workdir=w", "--config=nothing.py"), "get_config() returned no ConfigDict"),
        (("--workdir=w", "--config=ok.py", "--wokdir=w"), "Unknown command line flag"),
        (("--workdir=w", "--config=ok.py", "more"), "unexpected argument 'more'"),
    ],
)
def test_a_bad_command_line_is_one_sentence_and_status_2(command, arguments, message):
    done = command(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_a_program_gives_fields_by_name(tmp_path):
    fields = {
        "data": tmp_path,
        "updates": np.int64(7),
        "learning_rate": 1,
        "generate": {"steps": 3, "prompt": "a {}"},
        "generate.batch": 5,
    }
    config = choose_config(mcti.get_config, None, fields)
    assert config.data == str(tmp_path) and config.updates == 7
    assert config.learning_rate == 1.0 and isinstance(config.learning_rate, float)
    assert dict(config.generate, per_class=0) == dict(
        mcti.defaults().generate, steps=3, prompt="a {}", batch=5, per_class=0
    )
    paper = choose_config(mcti.get_config, None, {"recipe": "oxford_flowers", "updates": 7})
    assert paper.init_word == "flower" and paper.updates == 7
    assert choose_config(aape.get_config, None, {"compare": ["aape_only"]}).compare == (
        "aape_only",
    )


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"updats": 3}, "'updats' is not a field of the config; did you mean 'updates'"),
        ({"updates": "many"}, "updates='many' is not a whole number, as this field is: give one"),
        ({"updates": True}, "updates=True is not a whole number"),
        ({"generate": {"step": 3}}, r"'generate.step' is not a field .* 'generate.steps'"),
        ({"generate": 3}, "'generate' is a group of fields"),
        ({"data": ["a"]}, "data=.* is not a text, as this field is"),
    ],
)
def test_a_program_s_mistakes_are_one_sentence(fields, sentence):
    with pytest.raises(UserError, match=sentence):
        choose_config(mcti.get_config, None, fields)


def test_a_config_or_fields():
    config = mcti.get_config()
    assert choose_config(mcti.get_config, config, {}) is config
    with pytest.raises(TypeError, match="not both"):
        choose_config(mcti.get_config, config, {"updates": 3})


@pytest.mark.multiprocess
@pytest.mark.parametrize(
    "file, override, field, value",
    [
        ("mcti", "recipe=oxford_flowers", "resolution", 512),
        ("mcti", "paper=flowers", "init_word", "flower"),
        ("protext", "recipe=dtd", "depth", 9),
        ("aape", "preset=paper", "aggregator.kind", "paper"),
        ("aape_retrieval", "recipe=coco", "data", aape_retrieval.RECIPES["coco"]),
    ],
)
def test_an_override_of_a_field_that_sets_others_sets_them(command, file, override, field, value):
    overrides = f"--config.{override}", "--config.keep=7", "--workdir=run"
    for named in (["--config", f"configs/{file}.py"], [f"--config=configs/{file}.py:seed=3"]):
        config = printed_config(command(*named, *overrides))
        assert flatten(config)[field] == value
        assert config.keep == 7
        assert config.seed == (3 if len(named) == 1 else 0)


@pytest.mark.multiprocess
def test_other_overrides_win_over_a_recipe_s(command):
    overrides = "--config.recipe=dtd", "--config.updates=5", "--workdir=run"
    config = printed_config(command("--config=configs/mcti.py", *overrides))
    assert (config.resolution, config.updates) == (512, 5)


def printed_config(done):
    assert done.returncode == 0, done.stderr
    return ConfigDict(json.loads(done.stdout[done.stdout.index("{") :]))
