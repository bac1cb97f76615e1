"""Pictures of the tokens while they are learned."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import mcti_jax
from common.diffusion import load_stable_diffusion
from common.errors import UserError
from common.evaluation.figures import image_grid
from configs.mcti import get_config
from mcti_jax import method
from mcti_jax.previews import check_preview, preview_texts
from tests.hostile import commands
from tests.hostile.test_runs_of_tokens import write_photos
from tests.mcti.tiny_models import write_tiny_models

NAMES = ("Red dog", "dog2", "cat")


def changed(**fields):
    config = get_config("preview_every=10")
    config.preview.update(fields)
    return config


def test_a_prompt_is_drawn_for_each_of_the_first_learned_classes():
    texts = preview_texts(changed(prompts=("a {}", "<cat> on {}"), classes=2), NAMES, (1, 2))
    assert texts == ["a <dog2>", "a <cat>", "<cat> on <dog2>", "<cat> on <cat>"]
    assert preview_texts(changed(classes=0), NAMES, (0, 1, 2)) == [
        f"a photo of a <{word}>" for word in ("red-dog", "dog2", "cat")
    ]
    assert preview_texts(changed(prompts=("the <dog2>",)), NAMES, (0,)) == ["the <dog2>"]


@pytest.fixture(scope="module")
def sd():
    return load_stable_diffusion("pocket", networks=False)


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ((), r"preview\.prompts is empty"),
        (("a <fox>",), "<fox> was not learned; the words are <cat>, <dog2>, <red-dog>"),
        (("a {}" + " dog" * 200,), "tokens"),
    ],
)
def test_what_cannot_be_drawn_is_refused(sd, prompts, message):
    check_preview(changed(), sd, NAMES, (0, 1, 2))
    with pytest.raises(UserError, match=message):
        check_preview(changed(prompts=prompts), sd, NAMES, (0, 1, 2))
    config = changed(prompts=prompts)
    config.preview_every = 0
    check_preview(config, sd, NAMES, (0, 1, 2))


def test_words_without_brackets_are_told(sd, capsys):
    check_preview(changed(prompts=("a {} by a red dog", "<cat>")), sd, NAMES, (0, 1, 2))
    assert "'a {} by a red dog' is drawn without <red-dog>, which" in capsys.readouterr().out


def test_a_sampler_that_does_not_fit_is_refused(sd):
    config = changed()
    config.generate.steps = 5000
    with pytest.raises(UserError, match="steps"):
        check_preview(config, sd, NAMES, (0, 1, 2))


@pytest.mark.parametrize("number", ["number=0", "number=65", "classes=-1", "seed=-1"])
def test_numbers_out_of_range(number):
    with pytest.raises(
        UserError, match=rf"preview\.{number.partition('=')[0]}=\S+ is out of range"
    ):
        mcti_jax.MCTI(get_config(f"preview.{number}"))


@pytest.mark.usefixtures("quick_compiler", "shapes_found_once")
def test_a_preview_shows_the_tokens_and_changes_nothing(tmp_path, compiled):
    sd, clip = write_tiny_models(tmp_path)
    write_photos(tmp_path / "photos", "cat", "dog")
    fields = f"model={sd},clip={clip},data=folder:{tmp_path}/photos,learning_rate=0.01"
    fields += ",updates=4,steps_per_call=2,shots=2,alpha=0,progress=false,mesh.data=1"
    fields += ",generate.per_class=0,generate.steps=2"
    fields += f",cache={tmp_path}/c,compile_cache={compiled}"
    more = ",preview_every=2,preview.classes=1,preview.number=2,preview.seed=3"
    for name, given in (("with", fields + more), ("without", fields)):
        config = f"--config=mcti.py:{given}"
        done = commands.run("mcti_jax.train", config, f"--workdir={tmp_path}/{name}")
        assert done.status == 0, done.err
    files = sorted((tmp_path / "with/tokens").iterdir())
    for file in files:
        assert file.read_bytes() == (tmp_path / "without/tokens" / file.name).read_bytes()
    assert not list(tmp_path.glob("without/pictures/*/preview.png"))
    early, late = (tmp_path / f"with/pictures/{s:08d}/preview.png" for s in (2, 4))
    assert early.read_bytes() != late.read_bytes()

    learned = mcti_jax.load(tmp_path / "with")
    text = preview_texts(changed(classes=1), learned.classnames, [0])[0]
    drawn = learned.draw(text, n=2, seed=3, steps=2)
    grid = image_grid(np.stack([np.asarray(x) for x in drawn])[None], [text])
    with Image.open(late) as picture:
        np.testing.assert_array_equal(np.asarray(picture), grid)


def test_a_preview_shows_the_runs_own_variant(monkeypatch):
    """Plain textual inversion, which is trained beside it, is not drawn."""
    seen, picture = [], np.zeros((1, 1, 3), np.uint8)

    def draw(*arguments):
        seen.append(arguments)
        return picture

    monkeypatch.setattr(method, "draw_preview", draw)
    run = SimpleNamespace(
        config=changed(),
        tokens=lambda trainable: trainable["by variant"],
        material=SimpleNamespace(sd="sd", classnames=NAMES),
        layout=SimpleNamespace(learned=(1, 2)),
    )
    own, other = np.zeros((3, 1, 4)), np.ones((3, 1, 4))
    drawn = method.MCTI.preview(run, {"by variant": [own, other]}, {})
    assert drawn["preview"] is picture
    ((config, *rest),) = seen
    assert config == run.config and rest[1] is own and rest[2:] == [NAMES, (1, 2)]
