"""The method from its config on: what is learned from what, and what is reported."""

import json

import jax
import numpy as np
import pytest

from common.clip import Tokenizer, load_clip
from common.errors import UserError
from common.training.mesh import make_mesh
from protext_jax.learned import LearnedPrompts
from protext_jax.method import ProText
from protext_jax.options import with_data
from protext_jax.runs import make_runs
from protext_jax.trained import TrainedPrompts
from protext_jax.training_texts import gather_texts
from tests.hostile.test_protext_settings import write
from tests.protext import plain
from tests.protext.tiny import settings

pytestmark = pytest.mark.usefixtures("quick_compiler")

CORPUS = {
    "red_star": ["A red star.", "The star is red.", "A photo of a star."],
    "fish": ["A fish with orange stripes.", "A fish."],
}


@pytest.fixture(scope="module")
def clip():
    return load_clip("pocket")


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.json"
    path.write_text(json.dumps(CORPUS))
    return path


@pytest.fixture
def config(corpus, tmp_path):
    """Changes of the default config for the corpus, as `settings` takes them."""

    def make(**changes):
        where = {"prompts.source": f"json:{corpus}", "cache": str(tmp_path / "cache")}
        return with_data(settings(**{**where, "held_out": 0, "epochs": 7, **changes}))

    return make


def loaded(config):
    method = ProText(config)
    return method, method.load(make_mesh(1, 1))


def test_a_file_of_sentences_is_a_complete_data_set(config, clip):
    own = config()
    assert (own.data, own.targets) == ("none", ())
    texts = gather_texts(own, clip.tokenizer)
    assert texts.names == ("red_star", "fish") and texts.dataset is None
    assert texts.sentences == (*CORPUS["red_star"], *CORPUS["fish"])
    assert texts.label.tolist() == [0, 0, 0, 1, 1]
    assert ProText(own).complete(own).updates == 7


def test_sentences_are_tokenised_once(config, monkeypatch):
    asked = []
    encode_all = Tokenizer.encode_all

    def counted(tokenizer, texts):
        asked.extend(texts)
        return encode_all(tokenizer, texts)

    monkeypatch.setattr(Tokenizer, "encode_all", counted)
    loaded(config(**{"prompts.pattern": "Look: {phrase}"}))
    assert asked.count("Look: A red star.") == 2  # for its length, and to be encoded


def test_templates_are_inputs_and_sentences_are_targets(config, clip):
    method, found = loaded(config(fast=False))
    text, params = clip.config.text, clip.params["text"]
    (ids,) = clip.tokenizer(["The star is red."])
    np.testing.assert_allclose(
        found.frozen["targets"][1], plain.feature(text, params, ids), atol=1e-5
    )
    np.testing.assert_array_equal(
        found.frozen["ids"], clip.tokenizer(["a photo of a red star.", "a photo of a fish."])
    )
    assert found.source.batch(0)["rows"].shape == (1, 5)
    assert method.objective.weight == 1000 and method.objective.pairs == 5


@pytest.mark.parametrize(
    ("length", "underscores", "spelled"),
    [
        (4, False, "a photo of a red star."),
        (4, True, "a photo of a red star."),
        (5, False, "X X X X X red star."),
        (5, True, "X X X X X red_star."),
    ],
)
def test_how_training_spells_a_class(config, clip, length, underscores, spelled):
    own = config(length=length, **{"faithful": {"underscores": underscores, "half": False}})
    texts = gather_texts(own, clip.tokenizer)
    np.testing.assert_array_equal(texts.templates.ids[0], clip.tokenizer([spelled])[0])


def test_an_adapter_learns_from_names_as_it_is_measured_with_them(config):
    method, found = loaded(config(mapping="linear"))
    np.testing.assert_allclose(found.frozen["templates"], method.measured.unprompted, atol=1e-6)


def test_held_out_sentences_leave_one_to_learn_from(config, clip):
    texts = gather_texts(config(held_out=2), clip.tokenizer)
    assert texts.sentences == (CORPUS["red_star"][0], CORPUS["fish"][0])
    assert texts.held_label.tolist() == [0, 0, 1]


def test_class_means(config, clip):
    method, found = loaded(config(targets_of="class_mean", fast=False))
    assert found.frozen["targets"].shape == (2, 128)
    assert method.plan.label.tolist() == [0, 1]
    np.testing.assert_allclose(np.linalg.norm(found.frozen["targets"], axis=1), 1, rtol=1e-5)


def test_runs_of_a_grid(config):
    grid = {"learning_rate": (0.03, 0.01), "epochs": (), "seed": (1, 2)}
    method, found = loaded(config(sweep=True, grid=grid))
    start = method.init(jax.random.key(0))["prompts"]
    assert start.shape == (4, 3, 4, 128)
    np.testing.assert_array_equal(start[0], start[2])  # the same seed
    assert not np.array_equal(start[0], start[1])
    layout = found.source.batch(3)["layout"]
    assert layout.rows.shape[:2] == (4, 1)


def test_base_classes_only(tmp_path, clip):
    own = with_data(settings(cache=str(tmp_path)))
    texts = gather_texts(own, clip.tokenizer)
    assert len(texts.dataset.classnames) == 24
    assert texts.names == texts.dataset.classnames[:12]
    assert own.targets == ("pocket:second", "pocket:rare_sketch")


def test_a_run_says_where_cupl_is_clip(config, tmp_path):
    spec = write(tmp_path, "photos", [*CORPUS, "ant"], test=(0, 1, 2))
    method, _ = loaded(config(data=spec, baselines=("cupl",)))
    line = "cupl has clip's number where classes are without sentences: the test (1 of 3)."
    assert line in method.remarks


@pytest.mark.parametrize("shown", [(0, 1, 2, 3), (2, 3)])
def test_export_and_classify_choose_among_the_learned_classes(config, clip, tmp_path, shown):
    spec = write(tmp_path, "photos", [*CORPUS, "ant", "cow"], test=shown)
    own = config(data=spec, protocol="base_to_new")
    prompts = {"prompts": np.zeros((3, 4, 128), np.float32)}
    learned = LearnedPrompts.of(own, clip.fingerprint, prompts, make_runs(own)[0])
    assert TrainedPrompts(own, learned, model=clip).classnames == tuple(CORPUS)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"length": 5, "template": "a photo of a {}."}, "overwrite the class name"),
        ({"prompts.kind": "books"}, "kind='books'"),
        ({"prompts.source": "pocket", "data": "none"}, "prompts.source=FILE.json"),
        ({"data": "pocket:nothing"}, "no bundled data set"),
    ],
)
def test_texts_that_do_not_fit(config, clip, changes, sentence):
    with pytest.raises(UserError, match=sentence):
        gather_texts(config(**changes), clip.tokenizer)


@pytest.mark.parametrize("updates", [0, 3])
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"length": 0}, "length=0"),
        ({"held_out": -2}, "held_out=-2"),
        ({"protocol": "novel"}, "base_to_new"),
        ({"faithful": {"half": True, "underscores": False}}, "fast=False"),
        ({"early_stop": -1}, "early_stop=-1"),
        ({"early_stop": 1}, "give eval_every and held_out above 0"),
        ({"early_stop": 1, "eval_every": 5, "held_out": 1, "sweep": True}, "no sweep"),
        ({"loss": "l3"}, "loss='l3' is unknown; choose one of l2, l1"),
        ({"mapping": "conv"}, "mapping='conv'"),
        ({"dtype": "int8"}, "dtype='int8'"),
        ({"learning_rate": 0.0}, "learning_rate=0.0 is out of range"),
        ({"baselines": ("cupl", "tip")}, "baselines='tip' is unknown"),
    ],
)
def test_options_that_do_not_fit(config, updates, changes, sentence):
    own = config(updates=updates, **changes)
    with pytest.raises(UserError, match=sentence):
        ProText(own)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"coop_shots": 2}, "coop_shots=2 needs photos"),
        ({"descriptors": "none.json"}, "none.json"),
        ({"words": "none.json"}, "none.json"),
    ],
)
def test_what_baselines_need_is_looked_for_before_training(config, changes, sentence):
    with pytest.raises(UserError, match=sentence):
        loaded(config(**changes))


def test_sentences_alone_can_be_measured_on_pictures_of_other_classes(config):
    method, _ = loaded(config(targets=("pocket:second",)))
    (test,) = method.measured.sets
    assert (test.prefix, len(test.classnames)) == ("second/", 16)


def test_more_prompted_blocks_than_there_are(config):
    with pytest.raises(UserError, match=r"depth=5 is more than the 4 blocks"):
        loaded(config(depth=5))
