"""Values of fields that earlier versions spelled otherwise are read, and said once."""

import json

import pytest

from common.config import choose_config, read_config, to_json
from common.errors import UserError
from common.old_spellings import OLD_SPELLINGS, respelled, spelled_today, tell
from common.runs import read_run
from common.training.workdir import changed_fields, check_workdir
from configs import aape, mcti, protext

CONFIGS = {
    "protext protocol": (protext, "protocol=supervised", "protocol=all_classes"),
    "protext halves": (
        protext,
        "protocol=base_to_novel,recipe=dtd",
        "protocol=base_to_new,recipe=dtd",
    ),
    "protext set": (protext, "recipe=pets", "recipe=oxford_pets"),
    "aape protocol": (
        aape,
        "recipe=dtd,protocol=all_class,shots=4",
        "recipe=dtd,protocol=all_classes,shots=4",
    ),
    "aape preset": (
        aape,
        "preset=default,shots=4",
        "preset=projection,shots=4",
    ),
    "aape preset of a baseline's name": (
        aape,
        "preset=clip_adapter,shots=4",
        "preset=adapter_projection,shots=4",
    ),
    "aape set": (aape, "recipe=flowers", "recipe=oxford_flowers"),
    "mcti set": (mcti, "recipe=aircrafts", "recipe=fgvc_aircraft"),
}


@pytest.fixture(autouse=True)
def _unsaid():
    """Nothing was said yet, as in a new process."""
    tell.cache_clear()


@pytest.mark.parametrize(("method", "old", "new"), CONFIGS.values(), ids=CONFIGS)
def test_a_config_in_both_spellings_is_the_same(method, old, new, capsys):
    assert to_json(method.get_config(new)) == to_json(method.get_config(dict(_pairs(new))))
    assert capsys.readouterr().out == ""
    assert to_json(method.get_config(old)) == to_json(method.get_config(new))
    (line,) = capsys.readouterr().out.splitlines()
    (before, after) = next(
        pair for pair in zip(_pairs(old), _pairs(new), strict=True) if pair[0] != pair[1]
    )
    assert line == f"{'='.join(before)} is called {'='.join(after)} today, and is read as that."
    assert to_json(method.get_config(dict(_pairs(old)))) == to_json(method.get_config(new))


def _pairs(arg):
    pairs = [setting.split("=") for setting in arg.split(",")]
    return [(name, int(value) if value.isdigit() else value) for name, value in pairs]


def test_what_is_spelled_today_is_nowhere_an_old_spelling():
    for values in OLD_SPELLINGS.values():
        assert not set(values) & set(values.values())


def test_a_whole_config_is_read_like_its_fields():
    config = protext.get_config()
    config.protocol = "supervised"  # As `--config.protocol=supervised` does.
    chosen = choose_config(protext.get_config, config, {})
    assert chosen.protocol == "all_classes" and config.protocol == "supervised"
    assert choose_config(protext.get_config, chosen, {}) is chosen


def test_other_methods_spell_as_they_like():
    fields = {"method": "mine:Mine", "protocol": "supervised"}
    assert respelled(fields) == {} and spelled_today(fields) == fields
    fields["method"] = "aape_jax.method:Retrieval"
    today = {"method": "aape_jax:Retrieval", "protocol": "all_classes"}
    assert spelled_today(fields) == today
    odd = {"method": "aape_jax:Retrieval", "protocol": ["supervised"], "paper": 3}
    assert spelled_today(odd) == odd


def older_run(workdir, config, **changes):
    (workdir / "checkpoints" / "4").mkdir(parents=True)
    written = json.loads(to_json(config)) | changes
    (workdir / "config.json").write_text(json.dumps(written))
    return workdir


def test_a_saved_run_is_resumed_evaluated_and_reported(tmp_path, capsys):
    config = protext.get_config("protocol=all_classes,seed=3")
    workdir = older_run(tmp_path, config, protocol="supervised")
    assert read_config(workdir, protext.defaults()).protocol == "all_classes"
    assert "protocol=supervised is called protocol=all_classes today" in capsys.readouterr().out
    assert check_workdir(workdir, config) is None
    assert changed_fields(workdir, config) == {}
    with pytest.raises(UserError, match="protocol='all_classes', but now protocol='base_to_new'"):
        check_workdir(workdir, protext.get_config("protocol=base_to_new,seed=3"))
    result = {"method": "protext", "dataset": "d", "model": "m", "seed": 0, "updates": 4}
    (workdir / "result.json").write_text(json.dumps(result | {"metrics": {}, "baselines": {}}))
    assert read_run(workdir).config["protocol"] == "all_classes"


def test_a_run_older_than_a_changed_default_is_what_it_was(tmp_path, capsys):
    config = mcti.get_config("classification=both")
    workdir = older_run(tmp_path, config)
    written = json.loads((workdir / "config.json").read_text())
    del written["classification"]  # Before the field there was one term.
    (workdir / "config.json").write_text(json.dumps(written))
    assert read_config(workdir, mcti.defaults()).classification == "paper"
    assert "classification" not in capsys.readouterr().out
    assert changed_fields(workdir, config) == {"classification": "both"}
    with pytest.raises(UserError, match="classification"):
        check_workdir(workdir, config)
    check_workdir(workdir, mcti.get_config("classification=paper"))
