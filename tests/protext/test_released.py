"""Checkpoints of ProText's own code and of CoOp's, as Dassl writes them."""

import json
import pickle

import numpy as np
import pytest
from safetensors.numpy import load_file

import protext_jax
from benchmarks.archives import Program, checkpoint_archive, named, text
from common.clip import load_clip
from common.errors import UserError
from protext_jax.classifier import class_features
from protext_jax.learned import LearnedPrompts
from protext_jax.released import read_checkpoint
from tests.hostile import commands

pytestmark = pytest.mark.usefixtures("quick_compiler")

NAMES = ["dog", "mug"]


def vectors(length, seed=0, width=128):
    return 0.1 * np.random.default_rng(seed).standard_normal((length, width)).astype(np.float32)


def protext_state(length=4):
    deep = "text_encoder.transformer.resblocks.{}.VPT_shallow"
    # Tenth before second, as a dict sorted by text has them.
    blocks = {deep.format(i): vectors(length, i) for i in (2, 1)}
    whole = {"clip_model_zs.ln_final.weight": vectors(1), "image_encoder.proj": vectors(2)}
    prefix = {"prompt_learner.token_prefix": np.zeros((2, 1, 128), np.float32)}
    out = {"text_encoder.transformer.resblocks.1.attn.out_proj.weight": vectors(3)}
    return {"prompt_learner.ctx": vectors(length), **prefix, **blocks, **whole, **out}


def dassl(state):
    """A checkpoint as Dassl writes it: the warm-up keeps its successor, an object."""
    program = Program()
    weight = {key: program.tensor(x) for key, x in state.items()}
    successor = program.made("torch.optim.lr_scheduler", "CosineAnnealingLR", {"T_max": b"K\x05"})
    content = {
        "state_dict": weight,
        "epoch": 50,
        "optimizer": {"state": pickle.EMPTY_DICT},
        "scheduler": {"successor": successor},
        "val_result": None,
    }
    return program.archive(program.value(content))


def write(folder, state):
    file = folder / "model.pth.tar-50"
    file.write_bytes(dassl(state))
    return file


def test_the_prompts_of_protext(tmp_path):
    file = write(tmp_path, protext_state())
    expected = np.stack([vectors(4, seed) for seed in (0, 1, 2)])
    np.testing.assert_array_equal(read_checkpoint(file)["prompts"], expected)
    trained = protext_jax.load_checkpoint(file, "pocket")
    clip = load_clip("pocket")
    facts = {"half": "True"}
    learned = LearnedPrompts({"prompts": expected}, facts)
    theirs = class_features(clip, learned, "a photo of a {}.", NAMES)
    np.testing.assert_array_equal(trained.class_features(NAMES), theirs)


@pytest.mark.parametrize(("length", "words"), [(2, "X X {}."), (4, "X X X X {}.")])
def test_the_context_of_coop(tmp_path, length, words):
    parts = {
        "token_prefix": np.zeros((2, 1, 128), "f4"),
        "token_suffix": np.zeros((2, 9, 128), "f4"),
    }
    file = write(tmp_path, {"ctx": vectors(length), **parts})
    trained = protext_jax.load_checkpoint(file, "pocket")
    assert trained.prompts.arrays["prompts"].shape == (1, length, 128)
    learned = LearnedPrompts({"prompts": vectors(length)[None]}, {})
    theirs = class_features(load_clip("pocket"), learned, words, NAMES)
    np.testing.assert_array_equal(trained.class_features(NAMES), theirs)
    assert not trained.prompts.half


def test_export_of_a_checkpoint(tmp_path):
    file, out = write(tmp_path, protext_state()), tmp_path / "out.safetensors"
    (tmp_path / "names.json").write_text(json.dumps(NAMES))
    arguments = (f"--workdir={file}", f"--out={out}")
    done = commands.run("protext_jax.export", *arguments)
    assert done.status == 2 and "give --model and --classes" in done.err
    done = commands.run(
        "protext_jax.export", *arguments, "--model=pocket", f"--classes={tmp_path / 'names.json'}"
    )
    assert done.status == 0, done.err
    features = protext_jax.load_checkpoint(file, "pocket").class_features(NAMES)
    np.testing.assert_allclose(load_file(out)["class_embeddings"], features, atol=1e-6)


def without(state, *keys):
    return {key: x for key, x in state.items() if key not in keys}


DEEP = "text_encoder.transformer.resblocks.{}.VPT_shallow"
REFUSED = {
    "another model": ({"x": vectors(2)}, "holds no prompts of ProText or CoOp"),
    "each class's own": ({"ctx": np.zeros((2, 4, 128), np.float32)}, r"\(CSC\)"),
    "MaPLe": (
        {"prompt_learner.ctx": vectors(2), "prompt_learner.compound_prompts_text.0": vectors(2)},
        "which is not of ProText or CoOp",
    ),
    "CoCoOp": ({"ctx": vectors(4), "meta_net.linear1.weight": vectors(2)}, "of text alone"),
    "pictures": (
        protext_state() | {"image_encoder.transformer.resblocks.1.VPT_shallow": vectors(4)},
        "which is not of ProText or CoOp",
    ),
    "a block left out": (without(protext_state(), DEEP.format(1)), "leave out a block"),
    "another shape": (protext_state() | {DEEP.format(2): vectors(3)}, "differ in shape"),
    "a vector": ({"ctx": vectors(1)[0]}, "differ in shape"),
    "NaN": ({"ctx": vectors(4) * np.float32(np.nan)}, "train the prompts again"),
    "another width": ({"ctx": vectors(4, width=64)}, "give the CLIP that they were trained with"),
}


@pytest.mark.parametrize(("state", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(tmp_path, state, sentence):
    with pytest.raises(UserError, match=sentence):
        protext_jax.load_checkpoint(write(tmp_path, state), "pocket")


def test_code_in_a_checkpoint_does_not_run(tmp_path):
    marked = tmp_path / "code-has-run"
    call = named("os", "system") + text(f"touch {marked}") + pickle.TUPLE1 + pickle.REDUCE
    program = Program()
    content = {"state_dict": {"ctx": vectors(4)}, "scheduler": call}
    (tmp_path / "x").write_bytes(program.archive(program.value(content)))
    with pytest.raises(UserError, match=r"asks for os\.system, which is not a tensor"):
        read_checkpoint(tmp_path / "x")
    assert not marked.exists()
    (tmp_path / "x").write_bytes(checkpoint_archive({"state_dict": {"ctx": vectors(4)}}))
    assert read_checkpoint(tmp_path / "x")["prompts"].shape == (1, 4, 128)
