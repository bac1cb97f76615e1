"""Questions after examples: what the prompts hold, and how answers are judged."""

import itertools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aape_jax.captioning import method
from aape_jax.captioning.few_shot_vqa import FewShotVQA
from aape_jax.captioning.method import Captioning
from aape_jax.captioning.question_prompts import join
from aape_jax.datasets.questions import is_question_set
from aape_jax.vqa.features import QuestionSet
from common.errors import UserError
from common.hosts import place
from common.language.sharding import lm_rules
from common.training import Evaluation
from common.training.mesh import make_mesh
from common.training.sharding import shardings
from tests.aape.caption_problem import CELLS, LM, install, pictures, settings, tiny_lm, views
from tests.aape.problem import vectors
from tests.aape.rows import rows_of

pytestmark = pytest.mark.usefixtures("quick_compiler")
ANSWERS = ("red", "no")


def part(images, answers=ANSWERS):
    """Two questions about each image, by turns, so that those of one image stand apart."""
    return QuestionSet(
        pictures=pictures(images),
        captions=((),) * images,
        texts=("what colour?",) * images + ("is it red?",) * images,
        image=np.tile(np.arange(images), 2),
        answers=((answers[0],) * 3,) * images + ((answers[1],),) * images,
    )


def seen(shown):
    """Features of pictures, which are told by their names."""
    numbers = {n: [int(x.removeprefix("image-")) for x in own.names] for n, own in shown.items()}
    every = {"train": views(np.arange(4) % 3, 0), "test": views(np.arange(3) % 3, 1)}
    return {name: every[name].take(np.array(own)) for name, own in numbers.items()}


@pytest.fixture(scope="module")
def lm():
    return tiny_lm()


@pytest.fixture(scope="module")
def roomy(lm):
    """What would read longer prompts; nothing is asked of it."""
    return replace(lm, config=replace(lm.config, positions=256))


def asked(lm, shots=(0, 2), **changes):
    config = settings(**{"vqa.shots": str(tuple(shots)).replace(" ", ""), **changes})
    return FewShotVQA(lm, part(4), part(3), config, CELLS)


def test_a_prompt_holds_examples_of_other_images_and_the_question(roomy):
    vqa = asked(roomy)
    prompts = vqa.prompts[2]
    assert prompts.ids.shape[:2] == (6, 3) and prompts.images.shape == (6, 2)
    for row, images, ids, mask in zip(
        vqa.rows, prompts.images, prompts.ids, prompts.mask, strict=True
    ):
        assert len(set(images.tolist())) == 2
        told = [roomy.tokenizer.decode(i[m].tolist()) for i, m in zip(ids, mask, strict=True)]
        for text in told[:2]:
            assert text in ("Q: what colour? A: red\n", "Q: is it red? A: no\n")
        assert told[2] == f"Q: {vqa.test.texts[row]} A:"
        assert mask[:, -1].all(), "texts are padded on the left"
    assert {int(image) for image in prompts.images.reshape(-1)} == {0, 1, 2, 3}
    np.testing.assert_array_equal(prompts.asked, vqa.test.image[vqa.rows])


def test_the_same_seed_draws_the_same_examples(roomy):
    one, two, other = asked(roomy), asked(roomy), asked(roomy, **{"vqa.seed": 1})
    np.testing.assert_array_equal(one.prompts[2].images, two.prompts[2].images)
    assert (one.prompts[2].images != other.prompts[2].images).any()


def test_examples_do_not_depend_on_what_else_is_asked_for(roomy):
    among, alone = asked(roomy, shots=(0, 1, 2)), asked(roomy, shots=(2,))
    np.testing.assert_array_equal(among.rows, alone.rows)
    np.testing.assert_array_equal(among.prompts[2].images, alone.prompts[2].images)
    np.testing.assert_array_equal(among.prompts[2].ids, alone.prompts[2].ids)


def test_images_and_texts_take_turns(lm):
    prefixes = [jnp.asarray(vectors(2, CELLS, LM.width, seed=seed)) for seed in range(2)]
    ids = jnp.arange(2 * 2 * 3).reshape(2, 2, 3)
    mask = jnp.array([[[False, True, True], [True, True, True]]] * 2)
    whole, real = join(lm, lm.params, prefixes, ids, mask)
    assert whole.shape == (2, 2 * (CELLS + 3), LM.width)
    words = lm.params["token_embedding"]
    for number, start in enumerate((0, CELLS + 3)):
        behind = start + CELLS
        np.testing.assert_array_equal(whole[:, start:behind], prefixes[number])
        np.testing.assert_allclose(whole[:, behind : behind + 3], words[ids[:, number]], rtol=1e-6)
    expected = [True] * CELLS + [False, True, True] + [True] * (CELLS + 3)
    assert real.tolist() == [expected] * 2


def test_answers_are_cut_and_judged(lm, monkeypatch):
    vqa = asked(lm, shots=(0,))
    said = itertools.cycle(["Red dogs run"] * 3 + ["no"] * 3)
    monkeypatch.setattr(
        "aape_jax.captioning.few_shot_vqa.write_texts",
        lambda lm, params, prompts, mask, length: [next(said) for _ in prompts],
    )
    answers = vqa.answer(
        seen(vqa.shown),
        {"aape": lambda views: jnp.zeros((len(views.x), CELLS, LM.width))},
        lm.params,
    )
    assert answers["aape"][0] == ["Red"] * 3 + ["no"] * 3
    # Three people who agree are compared with as they wrote, as in the original.
    expected = {"0_shot/accuracy": 0.5, "0_shot/accuracy_yes_no": 1.0, "0_shot/accuracy_other": 0.0}
    assert vqa.scores(answers["aape"]) == expected
    assert vqa.page(answers["aape"]).shape[2] == 3


def test_dealing_questions_out_changes_no_answer(lm):
    vqa = asked(lm, shots=(1,), images_at_once=5)

    def show(views):
        return jnp.asarray(views.grid)[..., :1] * jnp.linspace(-1, 1, LM.width)

    alone = vqa.answer(seen(vqa.shown), {"aape": show}, lm.params)
    mesh = make_mesh(4, 2)
    tree = {"lm": lm.params}
    spread = place(tree, shardings(tree, lm_rules("lm"), mesh))["lm"]
    with jax.set_mesh(mesh):
        assert vqa.answer(seen(vqa.shown), {"aape": show}, spread) == alone
    assert len(set(alone["aape"][1])) > 1, "a model that says one thing would show nothing"


def test_fewer_questions_may_be_asked(roomy):
    vqa = asked(roomy, **{"vqa.questions": 4})
    assert len(vqa.rows) == 4 and vqa.prompts[0].ids.shape[:2] == (4, 1)


def write_untrained(config, workdir):
    """What a run without updates would write."""
    method = Captioning(config)
    method.load(make_mesh(1, 1))
    learned = jax.device_get(method.init(jax.random.key(0)))
    method.save(learned, Evaluation({}), workdir)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({}, ["aape", "none"]),
        ({"lm.aape_position": "none", "map_updates": 16}, ["none"]),
        ({"pictures": 0}, ["aape", "none"]),
    ],
)
def test_a_captioning_run_answers_questions(monkeypatch, tmp_path, changes, named):
    install(monkeypatch)
    config = settings(**{"vqa.shots": "(1,)", "compare": "()", **changes})
    write_untrained(config, tmp_path)
    found = {"train": part(4), "test": part(3)}
    monkeypatch.setattr(method, "read_questions", lambda spec: found)
    monkeypatch.setattr(method, "encode_images", lambda shown, *_: seen(shown))
    # What the run learned from is not opened.
    monkeypatch.setattr(method, "open_caption_set", lambda _: pytest.fail("captions were opened"))
    rows = rows_of(Captioning, config, tmp_path, "pocket:questions")
    # The first row is the run's own, whatever it shows.
    assert list(rows) == ["aape", *named[1:], "blind", "most_frequent"]
    # One kind of question in two, and of three people two others gave the answer.
    assert rows["most_frequent"]["1_shot/accuracy"] == pytest.approx(1 / 2 * 2 / 3)
    assert {"1_shot/accuracy", "1_shot/accuracy_other"} <= set(rows["aape"])
    assert (tmp_path / "eval" / "answers.png").is_file() == bool(config.pictures)


def test_answers_of_another_data_set_are_refused(lm):
    with pytest.raises(UserError, match="none of the 2 answers of the examples answers"):
        FewShotVQA(lm, part(4), part(3, answers=("cat", "dog")), settings(), CELLS)
    # Without examples nothing is expected of them.
    config = settings(**{"vqa.shots": "(0,)"})
    FewShotVQA(lm, part(4), part(3, answers=("cat", "dog")), config, CELLS)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"shots": (5,)}, "vqa.shots=5, but only 4 images have examples"),
        ({"shots": (-1,)}, "vqa.shots=-1 is out of range"),
        ({"shots": ()}, "give numbers of examples"),
        ({"vqa.questions": -1}, "vqa.questions=-1"),
    ],
)
def test_options_that_cannot_be(lm, changes, sentence):
    with pytest.raises(UserError, match=sentence):
        asked(lm, **changes)


def test_prompts_beyond_the_models_positions_are_refused(lm):
    """Before a picture is encoded."""
    with pytest.raises(UserError, match=r"vqa\.shots=4: images, texts and an answer of 140 tokens"):
        asked(lm, shots=(0, 4))


def test_only_pictures_of_prompts_are_encoded(lm):
    few = asked(lm, shots=(0,), **{"vqa.questions": 2})
    asked_about = {few.test.pictures.names[x] for x in few.prompts[0].asked}
    assert set(few.shown) == {"test"} and set(few.shown["test"].names) == asked_about
    one = asked(lm, shots=(1,), **{"vqa.questions": 2, "vqa.seed": 3})
    examples, met = one.prompts[1].images[:, 0], []
    names = {one.train.pictures.names[x] for x in examples}
    assert set(one.shown["train"].names) == names != set(one.train.pictures.names)

    def show(images):
        met.append(images.x)
        return jnp.zeros((len(images.x), CELLS, LM.width))

    one.answer(seen(one.shown), {"aape": show}, lm.params)
    every = seen({"train": one.train.pictures, "test": one.test.pictures})
    np.testing.assert_array_equal(met[0], every["train"].x[examples])
    np.testing.assert_array_equal(met[1], every["test"].x[one.prompts[1].asked])


def test_which_strings_mean_questions():
    assert is_question_set("pocket:questions") and is_question_set("easy_vqa:data")
    assert not is_question_set("pocket:captions") and not is_question_set("karpathy:a,b")
