"""Prompts on disk, and the class features that they make."""

import jax
import numpy as np
import pytest

from common.clip import load_clip
from common.errors import UserError
from common.files import write_json
from common.training.sharding import by_path
from common.training.unfinished import UnfinishedRun
from protext_jax.adapters import initial_adapter
from protext_jax.classifier import class_features
from protext_jax.files import (
    all_runs,
    chosen_file,
    read_learned,
    read_prompts,
    read_runs,
    write_latest,
    write_prompts,
    write_runs,
)
from protext_jax.interpret import nearest_words
from protext_jax.learned import LearnedPrompts
from protext_jax.runs import RunSetting
from tests.protext import plain
from tests.protext.tiny import settings

pytestmark = pytest.mark.usefixtures("quick_compiler")

RUN = RunSetting(0.03, 10, 0)
TEMPLATE = "a photo of a {}."


@pytest.fixture(scope="module")
def clip():
    return load_clip("pocket")


@pytest.fixture(scope="module")
def learned(clip):
    prompts = 0.1 * np.random.default_rng(0).standard_normal((3, 4, 128)).astype(np.float32)
    return LearnedPrompts.of(settings(), clip.fingerprint, {"prompts": prompts}, RUN)


def test_a_file_keeps_prompts_and_facts(learned, tmp_path):
    path = tmp_path / "prompts.safetensors"
    write_prompts(path, learned)
    again = read_prompts(path)
    np.testing.assert_array_equal(again.arrays["prompts"], learned.arrays["prompts"])
    assert again.metadata == learned.metadata
    assert again.metadata["template"] == TEMPLATE
    assert path.stat().st_size < 10_000


def test_a_file_says_how_many_updates_were_made(clip, tmp_path, monkeypatch):
    prompts = {"prompts": np.zeros((1, 3, 4, 128), np.float32)}

    def told(**changes):
        config = settings(**changes)
        write_runs(tmp_path, all_runs(config, clip.fingerprint, prompts), 0)
        return read_learned(config, tmp_path).metadata.get("updates")

    assert told(updates=30) == "30"
    stopping = {"updates": 30, "early_stop": 1, "eval_every": 5}
    assert told(**stopping) is None
    write_json(tmp_path / "result.json", {"updates": 15})
    assert told(**stopping) == "15"

    unfinished = UnfinishedRun(20, prompts, {"model": clip.fingerprint}, {})
    monkeypatch.setattr("protext_jax.files.read_config", lambda *_: settings(updates=30))
    monkeypatch.setattr("protext_jax.files.read_unfinished", lambda _: unfinished)
    write_latest(tmp_path)
    assert read_prompts(tmp_path / "prompts.safetensors").metadata["updates"] == "20"


def test_class_features(clip, learned):
    names = ["zor_vik", "red dog"]
    found = class_features(clip, learned, TEMPLATE, names)
    config, params = clip.config.text, clip.params["text"]
    for name, feature in zip(names, found, strict=True):
        # Names are spelled with spaces, however their data set does.
        (ids,) = clip.tokenizer([TEMPLATE.replace("{}", name.replace("_", " "))])
        wanted = plain.feature(config, params, ids, learned.arrays["prompts"].astype(float))
        np.testing.assert_allclose(feature, wanted, atol=1e-5)
    with pytest.raises(UserError, match="overwrite"):
        class_features(clip, learned, "{} texture.", names)


def test_an_untrained_adapter_is_clip(clip, tmp_path):
    (ids,) = clip.tokenizer([TEMPLATE.replace("{}", "dog")])
    wanted = plain.feature(clip.config.text, clip.params["text"], ids)
    for mapping in ("linear", "mlp"):
        adapter = {"adapter": initial_adapter(jax.random.key(0), mapping, 128)}
        learned = LearnedPrompts.of(settings(mapping=mapping), clip.fingerprint, adapter, RUN)
        assert set(learned.arrays) == set(by_path(adapter))
        path = tmp_path / "adapter.safetensors"
        write_prompts(path, learned)
        (found,) = class_features(clip, read_prompts(path), TEMPLATE, ["dog"])
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_another_model_is_refused(clip, learned):
    other = LearnedPrompts(learned.arrays, {**learned.metadata, "fingerprint": "0" * 16})
    learned.require_model(clip)
    with pytest.raises(UserError, match="learned with 'pocket'"):
        other.require_model(clip)
    with pytest.raises(UserError, match="learned with 'pocket'"):
        class_features(clip, other, TEMPLATE, ["dog"])


def test_no_names_make_no_classifier(clip, learned):
    with pytest.raises(UserError, match="names is empty"):
        class_features(clip, learned, TEMPLATE, [])


def test_files_that_are_none(tmp_path):
    with pytest.raises(UserError, match="no learned prompts"):
        read_prompts(tmp_path / "none.safetensors")
    (tmp_path / "a.safetensors").write_bytes(b"nothing")
    with pytest.raises(UserError, match="not a safetensors file"):
        read_prompts(tmp_path / "a.safetensors")


def test_which_file_holds_a_run(tmp_path):
    plain_run, sweep = settings(), settings(sweep=True)  # of six runs
    result = tmp_path / "prompts.safetensors"
    assert chosen_file(plain_run, tmp_path, None) == chosen_file(plain_run, tmp_path, 0) == result
    assert chosen_file(sweep, tmp_path, None) == result
    assert chosen_file(sweep, tmp_path, 0) == tmp_path / "sweep" / "0.safetensors"
    with pytest.raises(UserError, match=r"--run=1 is not a run of .*: give 0, or leave it out"):
        chosen_file(plain_run, tmp_path, 1)
    with pytest.raises(UserError, match=r"--run=6 is not a run of .*: give 0 to 5"):
        chosen_file(sweep, tmp_path, 6)


@pytest.mark.parametrize("lost", ["prompts.safetensors", "sweep/3.safetensors"])
def test_a_sweep_is_read_whole(clip, learned, tmp_path, lost):
    runs = [LearnedPrompts.of(settings(), clip.fingerprint, learned.arrays, RUN)] * 6
    write_runs(tmp_path, runs, 2)
    assert len(read_runs(settings(sweep=True), tmp_path)) == 6
    (tmp_path / lost).unlink()
    with pytest.raises(UserError, match=f"there are no learned prompts at .*{lost}"):
        read_runs(settings(sweep=True), tmp_path)


def test_nearest_words(clip):
    (dog,) = clip.tokenizer.encode("star")
    vector = clip.params["text"]["token_embedding"][dog][None, None]
    ((((word, cosine), *others),),) = nearest_words(clip, np.asarray(vector, np.float32), 3)
    assert word.strip() == "star" and cosine == pytest.approx(1, abs=1e-5)
    assert len(others) == 2
