"""Recall over a gallery that eight devices share."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from aape_jax.datasets.caption_set import open_caption_set
from aape_jax.retrieval.features import RetrievalFeatures, open_retrieval_set
from aape_jax.retrieval.recall import nearest, recalls
from common.errors import UserError
from common.training.mesh import make_mesh
from tests.aape.feature_files import captioned
from tests.aape.problem import vectors


def plain(queries, own, gallery, ids, rank):
    order = np.argsort(-(queries @ gallery.T), axis=1)[:, :rank]
    return float((ids[order] == own[:, None]).any(axis=1).mean())


def test_recall_is_the_plain_ranking_whatever_the_devices():
    gallery, ids = vectors(43, 12, seed=1), np.random.default_rng(0).integers(0, 9, 43)
    own = np.random.default_rng(1).integers(0, 9, 13)
    near = np.array([np.flatnonzero(ids == label)[0] for label in own])
    queries = gallery[near] + 1.5 * vectors(13, 12, seed=2)
    expected = {f"recall_at_{k}": plain(queries, own, gallery, ids, k) for k in (1, 5, 10)}
    assert 0 < expected["recall_at_1"] < expected["recall_at_5"]
    assert recalls(queries, own, gallery, ids, make_mesh(8, 1), at_once=4) == expected


def test_a_gallery_smaller_than_the_devices():
    gallery = vectors(5, 12)
    found = recalls(gallery, np.arange(5), gallery, np.arange(5), make_mesh(8, 1), at_once=8)
    assert found == {"recall_at_1": 1.0, "recall_at_5": 1.0}


def test_a_million_captions_rank_without_a_device_that_holds_all_similarities():
    mesh, queries, captions = make_mesh(8, 1), 64, 1_000_000
    shapes = {"queries": (queries, 768), "gallery": (captions, 768), "ids": (captions,)}
    specs = {"queries": P(), "gallery": P("data"), "ids": P("data")}
    with jax.set_mesh(mesh):
        arguments = {
            name: jax.ShapeDtypeStruct(
                shape,
                np.int32 if name == "ids" else np.float32,
                sharding=NamedSharding(mesh, specs[name]),
            )
            for name, shape in shapes.items()
        }
        run = jax.jit(nearest, static_argnames=("count", "at_once"))
        program = run.lower(**arguments, count=10, at_once=16).compile()
    # A device's block of similarities, sorted with its indices; nothing that grows with queries.
    block = 16 * captions / 8 * 4
    assert program.memory_analysis().temp_size_in_bytes < 6 * block < queries * captions * 4


def test_a_file_of_captions(tmp_path):
    parts = open_retrieval_set(f"features:{captioned(tmp_path)}", "")
    assert parts["test"].owner.tolist()[:6] == [0, 1, 1, 2, 2, 2]


def test_an_image_without_captions():
    with pytest.raises(UserError, match="image number 1 has no caption"):
        RetrievalFeatures(vectors(3, 8), vectors(2, 8), np.array([0, 2]), "")


def test_captions_of_another_width():
    with pytest.raises(UserError, match="width 8 and the captions 6"):
        RetrievalFeatures(vectors(2, 8), vectors(2, 6), np.array([0, 1]), "")


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("folder:x", "is not a captioned data set"),
        ("pocket:captions", "cannot encode 'pocket:captions'"),
        ("features:none.npz", "cannot be read"),
    ],
)
def test_strings_that_name_nothing(spec, sentence):
    with pytest.raises(UserError, match=sentence):
        open_retrieval_set(spec, "")


def test_a_fingerprint_is_of_pictures_and_captions_not_of_features():
    texts = open_caption_set("pocket:captions")["test"]
    again = open_caption_set("pocket:captions")["test"]
    assert texts.fingerprint == again.fingerprint
    other = replace(texts, captions=(("another",), *texts.captions[1:]))
    fewer = replace(texts, pictures=texts.pictures.take(np.arange(199, -1, -1)))
    assert len({texts.fingerprint, other.fingerprint, fewer.fingerprint}) == 3
