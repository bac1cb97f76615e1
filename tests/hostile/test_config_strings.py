"""Config strings and options that are damaged, hostile or written in another way."""

import sys
from pathlib import Path

import pytest
from absl import flags
from ml_collections import ConfigDict

from common.checks import Range, check_ranges
from common.config import apply_arg, flatten
from common.config_file import ConfigFile, WholeNumber, find_config
from common.errors import UserError
from common.seeds import check_seeds
from common.training.config_fields import RANGES

ROOT = Path(__file__).parents[2]


def make_config() -> ConfigDict:
    fields = {"data": "pocket:a", "prompt": "a {}", "seed": 1, "updates": 9, "rate": 0.1}
    groups = {"mesh": {"data": -1}, "grid": {"seed": (0,), "rates": (0.1, 0.2)}}
    return ConfigDict(fields | {"flag": False, "names": (), "shape": (1, 2)} | groups)


READ = {
    "a whole number with an exponent": ("updates=1e3", "updates", 1000),
    "a whole float": ("updates=3.0", "updates", 3),
    "a number with underscores": ("updates=1_000", "updates", 1000),
    "the largest seed": (f"seed={2**64 - 1}", "seed", 2**64 - 1),
    "spaces around": (" seed = 7 ", "seed", 7),
    "a comma at the end": ("seed=7,", "seed", 7),
    "several commas": (",,seed=7,,", "seed", 7),
    "a comma in a text": ("data=karpathy:a.json,photos", "data", "karpathy:a.json,photos"),
    "a comma in a sentence": ("prompt=a photo, of a {}", "prompt", "a photo, of a {}"),
    "a text with a comma ahead of a field": ("data=a,b,seed=7", "data", "a,b"),
    "a list without brackets": ("names=one,two", "names", ("one", "two")),
    "a list with quotes": ("names=('one','two')", "names", ("one", "two")),
    "commas in quotes": ("names=('one, 1', \"it's, 2\")", "names", ("one, 1", "it's, 2")),
    "quotes within": ("names=(it's, 'tis one's)", "names", ("it's", "'tis one's")),
    "an empty list": ("names=()", "names", ()),
    "an opened bracket at the end": ("data=folder:a(1", "data", "folder:a(1"),
    "a closed bracket alone": ("data=folder:a)1", "data", "folder:a)1"),
    "brackets of two kinds": ("prompt=[a (b, c)]", "prompt", "[a (b, c)]"),
    "an equals sign in a text": ("data=folder:a=b", "data", "folder:a=b"),
    "colons": ("data=::", "data", "::"),
    "nothing": ("data=", "data", ""),
}


@pytest.mark.parametrize(("arg", "name", "value"), READ.values(), ids=READ)
def test_what_is_plain_is_read(arg, name, value):
    found = flatten(apply_arg(make_config(), arg))[name]
    assert found == value and type(found) is type(value)


def test_a_text_with_a_comma_leaves_the_next_setting_alone():
    config = apply_arg(make_config(), "data=a,b,flag,names=x,y,seed=7")
    assert (config.data, config.flag, config.names, config.seed) == ("a,b", True, ("x", "y"), 7)


def test_of_two_settings_the_last_one_counts():
    config = apply_arg(make_config(), "data=a,b,seed=1,seed=2,data=c,d")
    assert (config.seed, config.data) == (2, "c,d")


REFUSED = {
    "a colon first": (":seed=1", "':seed' is not a field of the config; did you mean 'seed'?"),
    "two colons": ("::", "'::' is not a field of the config"),
    "an equals sign alone": ("=", "'' is not a field of the config"),
    "a value alone": ("=3", "'' is not a field"),
    "dots": ("..=1", "'..' is not a field"),
    "a group": ("mesh=1", "'mesh' is a group of fields"),
    "below a field": ("seed.x=1", "'seed.x' is not a field"),
    "an unclosed bracket ahead of a comma": ("shape=(3,seed=7", "lacks ')'"),
    "an unclosed bracket of the other kind": ("names=[a,b", "lacks ']'"),
    "brackets in the wrong order": ("prompt=[a (b], c)", "lacks ']'"),
    "a misspelt switch behind a text": ("data=a,flagg", "'flagg' is not a field"),
    "a misspelt field behind a text": ("data=a,sed=3", "did you mean 'seed'?"),
    "an equals sign behind a comma": ("prompt=a, where x=1", "write that as --config.prompt=VALUE"),
    "no value": ("updates", "'updates' needs a value"),
    "half a number": ("updates=1.5", "updates='1.5' is not a whole number"),
    "a huge exponent": ("updates=1e400", "is not a whole number"),
    "a large float": ("updates=1e300", "is not a whole number"),
    "5000 digits": ("updates=" + "9" * 5000, "is not a whole number"),
    "30 digits": ("updates=" + "9" * 30, "is out of range: the largest is 2"),
    "infinitely many": ("updates=inf", "is not a whole number"),
    "a rate too large": ("rate=1e400", "rate='1e400' is too large for a number"),
    "not a number": ("rate=nan", "rate='nan' is not a number"),
    "minus not a number": ("rate=-NaN", "is not a number"),
    "a rate in words": ("rate=fast", "rate='fast' is not a number"),
    "hexadecimal": ("updates=0x10", "is not a whole number"),
    "a list for a number": ("updates=(1)", "is not a whole number"),
    "a text in a list of numbers": ("shape=(1,x)", "shape='x' is not a whole number"),
    "a switch in words": ("flag=perhaps", "is neither true nor false"),
    "a zero byte": ("data=a\0b", "holds a control character, '\\x00'"),
    "an escape sequence": ("data=a\x1b[2J", "holds a control character, '\\x1b'"),
    "a line break": ("prompt=a\nb", "holds a control character, '\\n'"),
    "not UTF-8": ("data=folder:a\udcff", "holds a byte that is not UTF-8"),
    "a text of 20,000 letters": ("data=" + "a" * 20_000, "has 20000 letters, more than 10000"),
    "a name of 20,000 letters": ("a" * 20_000 + "=1", "is not a field of the config"),
}


@pytest.mark.parametrize(("arg", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_plain_is_refused_in_one_short_sentence(arg, message):
    before = make_config()
    config = make_config()
    with pytest.raises(UserError) as caught:
        apply_arg(config, arg)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 400 and "\x1b" not in str(caught.value)
    assert config == before


OUT_OF_RANGE = {
    "no steps in a call": ("steps_per_call", 10**9),
    "more updates than devices count": ("updates", 2**31),
    "no checkpoint": ("keep", 0),
    "a million checkpoints": ("keep", 10**6),
    "a batch of none": ("batch", 0),
    "a batch of less than none": ("batch", -4),
    "a batch of a billion": ("batch", 10**9),
    "a rate below zero": ("learning_rate", -0.1),
    "an infinite rate": ("learning_rate", float("inf")),
    "a rate that is not a number": ("learning_rate", float("nan")),
    "a decay below zero": ("weight_decay", -1.0),
    "a momentum above one": ("momentum", 1.5),
    "a beta below zero": ("beta1", -0.5),
    "photos below zero": ("shots", -2),
    "photos kept below zero": ("holdout", -1),
}


@pytest.mark.parametrize(("name", "value"), OUT_OF_RANGE.values(), ids=OUT_OF_RANGE)
def test_numbers_have_bounds(name, value):
    with pytest.raises(UserError, match=rf"^{name}=.* is out of range: give a .*number"):
        check_ranges(ConfigDict({name: value}), RANGES)


def test_ranges_of_groups_and_lists():
    names = ("grid.rates", "absent", "mesh.absent")
    check_ranges(make_config(), dict.fromkeys(names, Range(0, 1)))
    with pytest.raises(UserError, match=r"grid\.rates=0\.2 is out of range: .* up to 0\.1\."):
        check_ranges(make_config(), {"grid.rates": Range(high=0.1)})
    with pytest.raises(UserError, match=r"give a number of at least 0\."):
        check_ranges(make_config(), {"mesh.data": Range(0)})


@pytest.mark.parametrize("name", ["seed", "grid.seed"])
@pytest.mark.parametrize("value", [-1, 2**64])
def test_every_seed_has_bounds(name, value):
    config = make_config()
    config.update_from_flattened_dict({name: (value,) if name == "grid.seed" else value})
    with pytest.raises(UserError, match=rf"{name}={value} is out of range"):
        check_seeds(config)


# ---- The file


NO_FILE = {
    "absent": "absent.py",
    "in another folder": "elsewhere/mcti.py",
    "absent among ours": "configs/absent.py",
    "ours, but not a config": "configs/__init__.py",
    "a folder": ".",
    "nothing": "",
    "above": "configs/../setup.py",
    "5000 letters": "a" * 5000,
    "a zero byte": "a\0b",
}


@pytest.mark.parametrize("name", NO_FILE.values(), ids=NO_FILE)
def test_files_that_are_not_there(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"there is no file|is not the name of a file") as caught:
        find_config(name)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("name", ["configs/mcti.py", "mcti.py"])
def test_our_configs_are_found_wherever_one_is(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert find_config(name) == ROOT / "configs" / "mcti.py"
    assert "is taken from" in capsys.readouterr().out
    (tmp_path / "mcti.py").touch()
    assert find_config("mcti.py") == Path("mcti.py")


def test_where_a_config_is_from_is_said_once(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    file = ConfigFile(Plain())
    file.parse("configs/mcti.py")
    assert file.hint("updates")
    assert capsys.readouterr().out.count("is taken from") == 1


class Plain(flags.ArgumentParser):
    """Reads a config as `ml_collections` does, but without its file."""

    def parse(self, path):
        return apply_arg(make_config(), path.partition(":")[2])


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("updates", "'updates' is a field of the config: write --config.updates=VALUE."),
        ("mesh.data", "write --config.mesh.data=VALUE."),
        ("wokdir", ""),
    ],
)
def test_a_field_given_as_an_option_is_hinted_at(name, hint, tmp_path, monkeypatch):
    (tmp_path / "a.py").touch()
    monkeypatch.setattr(sys, "argv", ["train", f"--config={tmp_path}/a.py", f"--{name}=3"])
    file = ConfigFile(Plain())
    file.parse(f"{tmp_path}/a.py")
    assert file.hint(name).endswith(hint)


@pytest.mark.parametrize("text", ["1e3", "1000", "1000.0"])
def test_options_read_whole_numbers_alike(text):
    assert WholeNumber().parse(text) == 1000


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--config.updates=many", "updates='many' is not a whole number"),
        ("--config.rate=1e400", "is too large"),
        ("--config.data=a\x1b[2J", "holds a control character"),
        ("--config.flag=maybe", "is neither true nor false"),
        ("--config.sed=3", "did you mean 'seed'?"),
        ("--config.=3", "'' is not a field"),
        ("--config.mesh=3", "'mesh' is a group of fields"),
    ],
)
def test_overrides_are_refused_by_name(option, message, tmp_path, monkeypatch):
    (tmp_path / "a.py").touch()
    monkeypatch.setattr(sys, "argv", ["train", option])
    with pytest.raises(UserError) as caught:
        ConfigFile(Plain()).parse(f"{tmp_path}/a.py")
    assert message in str(caught.value)
