"""Runs whose folder `tokens` is not whole, and how they are made whole again."""

import json
import shutil

import numpy as np
import pytest

import mcti_jax
from common.errors import UserError
from common.paths import as_path
from configs.mcti import defaults
from mcti_jax.export import export, export_classes
from mcti_jax.formats import LearnedToken, write_token
from mcti_jax.method import MCTI
from mcti_jax.publishing import describe_tokens
from mcti_jax.saving import TOKENS, learned_tokens

NAMES = ("crane", "cat", "crane", "red dog")
STEMS = ("crane", "cat", "crane-2", "red-dog")
READERS = {
    "load": mcti_jax.load,
    "measure": lambda run: MCTI.measure(defaults(), run, None),
    "classes": lambda run: export_classes(run, run.parent / "out"),
    "publish": lambda run: describe_tokens(defaults(), run),
    "read": lambda run: MCTI(defaults()).read(run),
}


def write_run(folder, finished=True):
    """Write a run of four classes, of which two have one name."""
    config, vectors = defaults(), np.ones((len(NAMES), 1, 128), np.float32)
    for token in learned_tokens(config, vectors, NAMES, "print", 1):
        write_token(folder / TOKENS, token, "diffusers")
    (folder / "config.json").write_text(config.to_json())
    if finished:
        words = [f"<{stem}>" for stem in STEMS]
        rows = [{"word": w, "classname": c} for w, c in zip(words, NAMES, strict=True)]
        (folder / "result.json").write_text(json.dumps({"details": {"tokens": rows}}))
    return as_path(folder)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("number", range(4))
def test_a_missing_file_is_named(reader, number, tmp_path):
    run = write_run(tmp_path / "run")
    (run / TOKENS / f"{STEMS[number]}.safetensors").unlink()
    with pytest.raises(UserError) as caught:
        READERS[reader](run)
    named = f"{STEMS[number]}.safetensors (class {number}, {NAMES[number]!r})"
    assert f"has the tokens of 3 of 4 classes and lacks {named}: copy" in str(caught.value)
    assert "the command that trained it once more" in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("number", range(4))
def test_without_a_result_its_number_is(number, tmp_path):
    """Published runs do not tell what a class's file is called."""
    run = write_run(tmp_path / "run", finished=False)
    (run / TOKENS / f"{STEMS[number]}.safetensors").unlink()
    with pytest.raises(UserError, match=f"3 of 4 classes and lacks class {number}: copy"):
        mcti_jax.load(run)
    (run / "checkpoints").mkdir()
    with pytest.raises(UserError, match=r"or give python -m mcti_jax\.export --workdir="):
        mcti_jax.load(run)


def test_many_missing_files_are_counted(tmp_path):
    facts = {"class": "a", "class_index": f"{10**9}"}
    token = LearnedToken("<a>", np.ones((1, 8), np.float32), facts)
    write_token(tmp_path / TOKENS, token, "diffusers")
    (tmp_path / "config.json").write_text(defaults().to_json())
    with pytest.raises(UserError, match=r"lacks class 0, .*, class 4 and 999999995 more: copy"):
        mcti_jax.load(tmp_path)


def test_tokens_of_another_run_among_them(tmp_path):
    run = write_run(tmp_path / "run")
    facts, ones = {"class": "fox", "class_index": "1"}, np.ones((1, 128), np.float32)
    write_token(run / TOKENS, LearnedToken("<fox>", ones, facts), "diffusers")
    with pytest.raises(UserError, match="several tokens of class 1, <cat>, <fox>: keep the run's"):
        mcti_jax.load(run)


def test_a_whole_run_is_read_and_one_file_suffices_to_export_it(tmp_path):
    run = write_run(tmp_path / "run")
    assert mcti_jax.load(run).classnames == NAMES
    (run / TOKENS / "cat.safetensors").unlink()
    assert len(export(run, "kohya", tmp_path / "out")) == 3


def test_a_finished_run_without_its_folder(tmp_path):
    run = write_run(tmp_path / "run")
    shutil.rmtree(run / TOKENS)
    for ask in (mcti_jax.load, lambda run: export(run, "kohya", tmp_path / "out")):
        with pytest.raises(UserError, match=r"lacks its folder tokens: .*trained it once more"):
            ask(run)
