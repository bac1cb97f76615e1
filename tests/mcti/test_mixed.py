"""Learned and named classes in one classifier."""

import json

import numpy as np
import pytest

import mcti_jax
from common.clip import load_clip
from common.data import open_dataset
from common.data.templates import TEMPLATES
from common.errors import UserError
from common.training.mesh import make_mesh
from configs.mcti import get_config
from mcti_jax.material import gather
from mcti_jax.method import MCTI
from mcti_jax.mixed import (
    NamedClasses,
    mixed_scores,
    named_features,
    named_texts,
    require_others,
)
from tests.hostile import commands

REFUSED = {
    "red fish": r"names is a single text, not a list: write \['red fish'\]",
    (1,): r"names\[0\] is of type int",
    ("red fish", "velyen"): "names repeats what is learned already, 'velyen': leave it out",
}
"""Names for `classify`, and what is said of them."""


def rows(*angles):
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_scores_are_among_all_classes():
    """Photos at angles; classes at 0 and 1 are learned, those at 2 and 3 have names."""
    learned, named = rows(0, 1), rows(2, 3)
    photos = 5 * rows(0.1, 0.4, 0.9, 1.6, 1.2), np.array([0, 0, 1, 1, 0])  # One goes to a name.
    others = NamedClasses(("c", "d"), 0.2 * rows(2.1, 1.4, 2.9), np.array([0, 0, 1]))
    found = mixed_scores(learned, named, photos, others)
    assert found == pytest.approx(
        {"mixed/learned": 3 / 5, "mixed/named": 2 / 3, "mixed/harmonic": 2 * 0.4 / (19 / 15)}
    )
    nobody = NamedClasses(("c",), others.features[:0], others.labels[:0])
    assert mixed_scores(learned, named, photos, nobody) == {}


def test_names_are_read_in_the_templates_of_training(tmp_path):
    clip, templates = load_clip("pocket"), TEMPLATES["photo"] + TEMPLATES["textual_inversion"][:2]
    texts = named_texts(clip, ("Red_star", "blue drop"), templates, tmp_path)
    expected = clip.text_features([t.replace("{}", "Red star") for t in templates])
    expected = expected / np.linalg.norm(expected, axis=-1, keepdims=True)
    np.testing.assert_allclose(texts[0], expected, atol=1e-6)
    mean = named_features(clip, ("Red_star",), templates, tmp_path)
    np.testing.assert_allclose(
        mean[0], expected.mean(0) / np.linalg.norm(expected.mean(0)), atol=1e-6
    )


def test_learned_classes_are_not_named_as_well():
    """In either spelling: names are read with spaces for underscores."""
    require_others(("red_fish", "dog"), ("blue fish", "dogs"), "names")
    with pytest.raises(UserError, match="names repeats what is learned already, 'red fish':"):
        require_others(("red_fish", "dog"), ("blue fish", "red fish"), "names")
    config = get_config("data=pocket:rare,alpha=0,beside=pocket:rare")
    with pytest.raises(UserError, match="beside='pocket:rare' repeats what is learned already"):
        gather(config)


@pytest.mark.usefixtures("quick_compiler", "shapes_found_once")
def test_a_run_beside_names_and_what_it_classifies(tmp_path, compiled):
    """Names that the pocket CLIP knows are found; the learned classes' softmax holds them."""
    fields = "data=pocket:second,shots=1,updates=4,alpha=0,generate.per_class=0,mesh.data=1"
    fields += f",cache={tmp_path}/c"
    beside = f"{fields},beside=pocket:rare"
    for name, given in (("alone", fields), ("beside", beside)):
        config = f"--config=mcti.py:{given},compile_cache={compiled}"
        done = commands.run("mcti_jax.train", config, f"--workdir={tmp_path}/{name}")
        assert done.status == 0, done.err
    result = json.loads((tmp_path / "beside/result.json").read_text())
    metrics, baselines = result["metrics"], result["baselines"]
    assert metrics["mixed/named"] > 0.5 and "mixed/learned" in metrics
    for name in ("nearest_class_mean", "names"):
        assert {"mixed/learned", "mixed/named"} <= set(baselines[name])
    assert "mixed/named" not in json.loads((tmp_path / "alone/result.json").read_text())["metrics"]
    first, second = (mcti_jax.load(tmp_path / name) for name in ("alone", "beside"))
    assert (first.class_features != second.class_features).any()
    names = open_dataset("pocket:rare").classnames
    kept = MCTI(get_config(beside)).load(make_mesh(1, 1)).frozen["kept"]
    assert kept.texts.shape[0] == len(names) and kept.texts.any(axis=(1, 2)).all()

    (tmp_path / "names.json").write_text('["pocket star", "blue fish"]')
    photo = tmp_path / "photo.png"
    second_test = open_dataset("pocket:rare").test
    second_test.load(0).save(photo)
    options = [f"--images={photo}", f"--names={tmp_path}/names.json", f"--out={tmp_path}/a.json"]
    done = commands.run("mcti_jax.classify", f"--workdir={tmp_path}/beside", *options)
    assert done.status == 0, done.err
    whole = second.classify([photo], ["pocket star", "blue fish"])
    assert whole.classnames == (*second.classnames, "pocket star", "blue fish")
    assert json.loads((tmp_path / "a.json").read_text())[0]["name"] == whole.names[0]
    assert second.classify([photo], iter(["blue fish"])).classnames[-1] == "blue fish"
    for names, sentence in REFUSED.items():
        with pytest.raises(UserError, match=sentence):
            second.classify([photo], names)
    plain = second.classify([photo])
    np.testing.assert_allclose(
        np.diff(np.log(plain.probabilities[0])),
        np.diff(np.log(whole.probabilities[0, : len(second.classnames)])),
        atol=1e-4,
    )
