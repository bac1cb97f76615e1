"""The contract of a method: no hook may be missing, no config changes, nothing is handed on."""

import ast
import functools
import inspect
import json
import textwrap
from pathlib import Path

import jax
import numpy as np
import pytest

import aape_jax
import mcti_jax
import protext_jax
from common.config import spelled_today
from common.errors import UserError
from common.training import Evaluation, Method, RunInputs
from common.training.mesh import make_mesh
from common.training.method import (
    find_method,
    method_class,
    require_method,
    require_same_shapes,
)
from tests.training.toy import Toy, get_config

HOOKS = ("name", "get_config", "load", "init", "optimizer", "loss", "evaluate", "save", "read")
METHODS = (
    *(mcti_jax.MCTI, protext_jax.ProText),
    *(aape_jax.Classification, aape_jax.Retrieval, aape_jax.VQA, aape_jax.Captioning),
)


@functools.cache
def made(method):
    """The method, and its config as it was given and as it is afterwards."""
    given = method.get_config()
    before = given.to_json()
    return method(given), before, given.to_json()


@pytest.mark.parametrize(
    ("given", "said"),
    [("mcti", "of type str"), (None, "of type NoneType"), (mcti_jax.MCTI, "the class MCTI")],
)
def test_what_is_no_method_is_named(given, said):
    with pytest.raises(UserError, match=f"method is {said}: give a method with its fields, as MC"):
        require_method(given)


@pytest.mark.parametrize("hook", HOOKS)
def test_a_missing_hook_is_an_error_at_construction(hook):
    body = {name: vars(Toy)[name] for name in HOOKS if name != hook}
    with pytest.raises(TypeError, match=rf"abstract.*\b{hook}\b"):
        type("Half", (Method,), body)(get_config())


def test_those_are_all_hooks_that_have_to_be_there():
    assert Method.__abstractmethods__ == set(HOOKS)


@pytest.mark.parametrize("method", METHODS)
def test_signatures_are_those_of_the_contract(method):
    """But for further arguments with defaults."""
    for hook in HOOKS[2:]:
        wanted = list(inspect.signature(getattr(Method, hook)).parameters)
        assert list(inspect.signature(getattr(method, hook)).parameters)[: len(wanted)] == wanted


@pytest.mark.parametrize("method", METHODS)
def test_the_config_that_was_given_stays_as_it_was_and_the_methods_own_never_changes(method):
    made_of_it, before, after = made(method)
    assert after == before
    with pytest.raises(AttributeError, match="immutable"):
        made_of_it.config.seed = 1
    with pytest.raises(AttributeError, match="immutable"):
        made_of_it.config.mesh.data = 3


@pytest.mark.parametrize("method", METHODS)
def test_completing_a_config_again_changes_nothing(method):
    once = made(method)[0].config
    assert method(once).config == once


def test_a_config_without_a_field_of_the_loop_is_refused_at_construction():
    config = get_config().unlock()
    del config.keep
    with pytest.raises(UserError, match="has no field 'keep', which the loop needs"):
        Toy(config)


def attributes_kept(function):
    """The attributes of `self` that a hook assigns."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    targets = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    return {
        node.attr
        for node in targets
        if isinstance(node.ctx, ast.Store) and getattr(node.value, "id", "") == "self"
    }


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("hook", [*HOOKS[3:], "stops", "measure", "tables"])
def test_no_hook_leaves_anything_for_another(method, hook):
    assert attributes_kept(getattr(method, hook)) == set()


def test_what_a_hook_keeps_is_seen():
    assert attributes_kept(Toy.load) == set() != attributes_kept(mcti_jax.MCTI._plan)


def test_hooks_behind_load_keep_nothing(tmp_path):
    method = Toy(get_config())
    inputs = method.load(make_mesh(1, 1))
    before = dict(vars(method))
    trainable = method.init(jax.random.key(0))
    evaluation = method.evaluate(trainable, inputs.frozen)
    method.save(jax.device_get(trainable), evaluation, tmp_path)
    assert vars(method) == before


def test_a_config_is_enough_to_find_its_method():
    found = find_method(aape_jax.Retrieval.get_config("seed=7"))
    assert type(found) is aape_jax.Retrieval and found.config.seed == 7


def test_the_config_names_a_method_by_its_package():
    for method in METHODS:
        config = method.get_config()
        assert method_class(config.method) is method
        assert config.method == f"{method.__module__.partition('.')[0]}:{method.__name__}"


@pytest.mark.parametrize(
    ("written", "today"),
    [
        ("mcti_jax.method:MCTI", "mcti_jax:MCTI"),
        ("aape_jax.tasks.classification:Classification", "aape_jax:Classification"),
        ("aape_jax.tasks.vqa:VQA", "aape_jax:VQA"),
        ("protext_jax:ProText", "protext_jax:ProText"),
        ("my.methods.probe:Probe", "my.methods.probe:Probe"),
        ("my_jax.methods:Probe", "my_jax.methods:Probe"),
        (3, 3),
    ],
)
def test_spellings_of_earlier_versions(written, today):
    found = spelled_today({"method": written, "seed": 0})
    assert {name: found[name] for name in ("method", "seed")} == {"method": today, "seed": 0}


def test_a_method_without_outlines_is_compiled_from_its_data():
    inputs = Toy(get_config()).abstract(make_mesh(1, 1))
    assert isinstance(inputs, RunInputs)
    leaves = jax.tree.leaves(inputs.frozen)
    assert leaves and all(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in leaves)


def test_shapes_of_another_data_set_are_refused():
    with pytest.raises(UserError, match=r"\(2,\)\}, and these data and models need .*\(3,\)\}"):
        require_same_shapes({"x": np.zeros(2)}, {"x": np.zeros(3)}, Path("run"))


def test_the_loop_writes_the_pictures_and_files_of_an_evaluation(tmp_path):
    from common.training import train

    class Telling(Toy):
        def evaluate(self, trainable, frozen):
            found = super().evaluate(trainable, frozen)
            return Evaluation(found.metrics, pictures=found.pictures, files={"words": {"a": "b"}})

    config = get_config("updates=5,eval_every=0,progress=false")
    train(Telling(config), tmp_path / "run")
    assert (tmp_path / "run" / "black.png").is_file()
    assert json.loads((tmp_path / "run" / "words.json").read_text()) == {"a": "b"}
