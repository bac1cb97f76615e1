"""Files of learned tokens, written here and by other tools, as they are read."""

import pickle
import zipfile

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from common.errors import UserError
from common.weights.files import write_tensors
from mcti_jax.formats import read_tokens, require_usable, typed_words, write_token
from mcti_jax.formats.torch_archive import torch_archive
from mcti_jax.sheet import gather_tokens
from tests.mcti.some_token import some_token


def write_bytes(path, content):
    path.write_bytes(content)
    return path


def test_directory_is_read_in_order_of_names(tmp_path):
    for word in ("<b>", "<a>", "<c>"):
        write_token(tmp_path, some_token(word), "diffusers")
    (tmp_path / "README.md").write_text("not an embedding")
    (tmp_path / ".a-unfinished.safetensors").write_text("")
    assert [token.token for token in read_tokens(tmp_path)] == ["<a>", "<b>", "<c>"]


def test_directory_with_one_folder_per_class(tmp_path):
    for word in ("<a>", "<b>"):
        content = torch_archive({word: some_token(word).vectors})
        (tmp_path / word.strip("<>")).mkdir()
        write_bytes(tmp_path / word.strip("<>") / "learned_embeds.bin", content)
    assert [token.token for token in read_tokens(tmp_path)] == ["<a>", "<b>"]


def test_bundle_of_many_words(tmp_path):
    vectors = {word: some_token(word, vectors=2).vectors for word in ("<a>", "<bb>", "<ccc>")}
    write_tensors(tmp_path / "all.safetensors", vectors, {"base_model": "pocket"})
    tokens = read_tokens(tmp_path / "all.safetensors")
    assert {token.token for token in tokens} == set(vectors)
    for token in tokens:
        np.testing.assert_array_equal(token.vectors, vectors[token.token])
        assert token.metadata == {"base_model": "pocket"}


def test_nameless_file_is_called_after_its_name(tmp_path):
    save_file({"emb_params": np.ones((2, 8), np.float32)}, tmp_path / "My Dog.safetensors")
    [token] = read_tokens(tmp_path)
    assert token.token == "<my-dog>"


def test_name_with_spaces_becomes_one_word(tmp_path):
    content = {"string_to_param": {"*": np.ones((1, 8), np.float32)}, "name": "my old dog"}
    [token] = read_tokens(write_bytes(tmp_path / "x.pt", torch_archive(content)))
    assert token.token == "<my-old-dog>"


def test_single_vector_without_its_axis_gets_one(tmp_path):
    save_file({"<a>": np.arange(8, dtype=np.float32)}, tmp_path / "a.safetensors")
    [token] = read_tokens(tmp_path)
    np.testing.assert_array_equal(token.vectors, [np.arange(8)])


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
def test_other_precisions_become_float32(tmp_path, dtype):
    save_file({"<a>": np.array([[0.5, -2, 3]], dtype)}, tmp_path / "a.safetensors")
    [token] = read_tokens(tmp_path)
    assert token.vectors.dtype == np.float32
    np.testing.assert_array_equal(token.vectors, [[0.5, -2, 3]])


@pytest.mark.parametrize(
    "tensors",
    [
        {"<a>": np.ones((49408, 8), np.float32)},
        {"conv": np.ones((4, 4, 3, 3), np.float32)},
        {"position_ids": np.ones((1, 77), np.int64)},
        {"<a>": np.ones((1, 8), np.float32), "layer.weight": np.ones((8, 8), np.float32)},
        {"norm.bias": np.ones(8, np.float32)},
    ],
    ids=["vocabulary", "convolution", "integers", "matrix", "bias"],
)
def test_whole_model_is_no_embedding(tmp_path, tensors):
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match=r"model\.safetensors' is a model, not an embedding"):
        read_tokens(tmp_path)


def test_checkpoint_with_nested_weights_is_no_embedding(tmp_path):
    content = torch_archive({"epoch": 3, "state_dict": {"w": np.ones((2, 2), np.float32)}})
    with pytest.raises(UserError, match="not an embedding: its entry 'epoch' is of type int"):
        read_tokens(write_bytes(tmp_path / "last.bin", content))


def xl_tensors(**changes):
    rng = np.random.default_rng(0)
    sizes = {"clip_l": 768, "clip_g": 1280}
    return {key: rng.normal(size=(2, d)).astype(np.float32) for key, d in sizes.items()} | changes


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_embedding_for_two_text_encoders(suffix, tmp_path):
    """Called by its file, as kohya's and the web UIs' are; vectors side by side."""
    towers, path = xl_tensors(), tmp_path / f"Negative XL{suffix}"
    if suffix == ".pt":
        path.write_bytes(torch_archive(towers))
    else:
        save_file(dict(reversed(towers.items())), path)
    [token] = read_tokens(tmp_path)
    assert (token.token, token.spellings) == ("<negative-xl>", ("Negative XL",))
    assert token.widths == (768, 1280)
    np.testing.assert_array_equal(token.vectors, np.concatenate([*towers.values()], axis=1))
    for vectors in typed_words([token]).values():
        assert list(vectors) == ["clip_l", "clip_g"]
        np.testing.assert_array_equal(vectors["clip_g"], towers["clip_g"])
    with pytest.raises(UserError, match=r"768 and 1280 wide \(Stable Diffusion XL\), but 768 was"):
        require_usable([token], (768,), "sd")
    with pytest.raises(UserError, match=r"768 wide .*but 768 and 1280 was .*XL\) by model=xl"):
        require_usable([some_token(width=768)], (768, 1280), "xl")
    with pytest.raises(UserError, match=r"are 768 and 1280 wide.*but 2048 was"):
        require_usable([token], (2048,), "sd")


def test_embedding_of_pivotal_tuning(tmp_path):
    towers = xl_tensors()
    keys = ("text_encoders_1", "text_encoders_0")
    save_file(dict(zip(keys, reversed(towers.values()), strict=True)), tmp_path / "toy.safetensors")
    [token] = read_tokens(tmp_path)
    assert (token.token, token.widths) == ("<toy>", (768, 1280))
    np.testing.assert_array_equal(token.vectors, np.concatenate([*towers.values()], axis=1))


@pytest.mark.parametrize(
    ("tensors", "sentence"),
    [
        ({"clip_g": np.ones((1, 1280), np.float32)}, "holds 'clip_g': an embedding for .* clip_l"),
        (xl_tensors(clip_l_out=np.ones((2, 768), np.float32)), "clip_g and nothing else"),
        (xl_tensors(clip_l=np.ones((3, 768), np.float32)), "3 vectors of clip_l and 2 vectors of"),
        (xl_tensors(clip_g=np.full((2, 1280), np.nan, np.float32)), "NaN or infinity for 'clip_g'"),
    ],
)
def test_what_is_not_a_pair(tensors, sentence, tmp_path):
    save_file(tensors, tmp_path / "xl.safetensors")
    with pytest.raises(UserError, match=sentence):
        read_tokens(tmp_path)


def test_width_of_another_base_model(tmp_path):
    write_token(tmp_path, some_token(width=1024), "diffusers")
    tokens = read_tokens(tmp_path)
    require_usable(tokens, (1024,), "a model")
    with pytest.raises(UserError, match=r"1024 wide \(Stable Diffusion 2.*768 .*Diffusion 1"):
        require_usable(tokens, (768,), "another")


def test_widths_must_agree(tmp_path):
    write_token(tmp_path, some_token("<a>", width=768), "diffusers")
    write_token(tmp_path, some_token("<b>", width=1024), "a1111")
    with pytest.raises(UserError, match=r"<b> in .*b\.pt' are 1024 wide"):
        read_tokens(tmp_path)


def test_two_files_with_one_word(tmp_path):
    write_token(tmp_path / "1", some_token(), "diffusers")
    write_token(tmp_path / "2", some_token(), "diffusers")
    with pytest.raises(UserError, match=r"1/dog2.*2/dog2.*both claim the word <dog2>"):
        read_tokens(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.safetensors", b"", "too short"),
        ("a.safetensors", b"\x10" + b"\0" * 7 + b"half", "damaged"),
        ("a.bin", b"no zip file", "damaged"),
        ("a.bin", torch_archive({}), "holds no tensors"),
        ("a.bin", torch_archive(np.ones((1, 8), np.float32)), "no word beside its tensor"),
        ("a.pt", torch_archive({"string_to_param": {}}), "exactly one embedding"),
        ("a.pt", torch_archive({"string_to_param": 7}), "exactly one embedding"),
        ("a.bin", torch_archive({"<a>": np.ones((0, 8), np.float32)}), "has no vectors"),
        ("a.bin", torch_archive({"<a>": np.full((1, 8), np.nan, np.float32)}), "diverged"),
        ("a.txt", b"", "not an embedding"),
    ],
)
def test_bad_files_end_in_a_sentence(tmp_path, name, content, sentence):
    with pytest.raises(UserError, match=sentence):
        read_tokens(write_bytes(tmp_path / name, content))


def test_safetensors_with_bytes_left_over(tmp_path):
    path = write_token(tmp_path, some_token(), "diffusers")
    with pytest.raises(UserError, match="is damaged"):
        read_tokens(write_bytes(path, path.read_bytes() + bytes(8)))


def test_safetensors_without_entries(tmp_path):
    save_file({}, tmp_path / "a.safetensors")
    with pytest.raises(UserError, match="holds no tensors"):
        read_tokens(tmp_path)


@pytest.mark.parametrize("path", ["", "absent"])
def test_nothing_to_read(tmp_path, path):
    with pytest.raises(UserError, match="learned tokens"):
        read_tokens(tmp_path / path)


def test_reading_runs_no_code(tmp_path):
    class Attack:
        def __reduce__(self):
            return open, (str(tmp_path / "harm"), "w")

    with zipfile.ZipFile(tmp_path / "a.bin", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"<a>": Attack()}))
    with pytest.raises(UserError, match="convert it to safetensors"):
        read_tokens(tmp_path / "a.bin")
    assert not (tmp_path / "harm").exists()


def write_saved(folder, value, word="<person-toy>", name="learned_embeds.bin"):
    """What the trainer of the paper's code leaves for one class."""
    content = torch_archive({word: np.full((1, 8), value, np.float32)})
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / name, content)


def test_one_word_for_every_class_is_that_of_the_folders(tmp_path, capsys):
    for number, name in enumerate(("Siberian husky", "beagle", "mug 2")):
        write_saved(tmp_path / name, number)
        write_saved(tmp_path / name, 9, name="learned_embeds-steps-500.bin")
    tokens = {token.token: float(token.vectors[0, 0]) for token in read_tokens(tmp_path)}
    assert tokens == {"<siberian-husky>": 0, "<beagle>": 1, "<mug-2>": 2}
    assert "3 tokens are called <person-toy>" in "".join(capsys.readouterr())
    [alone] = read_tokens(tmp_path / "beagle")
    assert alone.token == "<person-toy>"


def test_of_what_was_saved_on_the_way_the_last_is_read(tmp_path):
    for step in (500, 1500, 1000):
        write_saved(tmp_path, step, name=f"learned_embeds-steps-{step}.bin")
    [token] = read_tokens(tmp_path)
    assert token.vectors[0, 0] == 1500


def test_both_files_of_xl_given_one_by_one_are_one_word(tmp_path):
    write_halves(tmp_path)
    files = [tmp_path / name for name in ("learned_embeds.bin", "learned_embeds_2.bin")]
    (whole,), (given,) = read_tokens(tmp_path), gather_tokens(None, files)
    assert (given.token, given.widths) == (whole.token, whole.widths)
    np.testing.assert_array_equal(given.vectors, whole.vectors)


def write_halves(folder, word="<toy>", step="", vectors=(2, 2)):
    """What diffusers' trainer for XL leaves: a file for each text encoder."""
    names = (f"learned_embeds{step}.bin", f"learned_embeds_2{step}.bin")
    folder.mkdir(parents=True, exist_ok=True)
    for name, count, width in zip(names, vectors, (768, 1280), strict=True):
        content = {word: np.full((count, width), len(step) + width, np.float32)}
        write_bytes(folder / name, torch_archive(content))


def test_both_files_of_the_trainer_for_xl_are_one_word(tmp_path):
    for name in ("cup", "mug"):
        write_halves(tmp_path / name)
        write_halves(tmp_path / name, step="-steps-500")
    tokens = read_tokens(tmp_path)
    assert [token.token for token in tokens] == ["<cup>", "<mug>"]
    for token in (*tokens, *read_tokens(tmp_path / "cup")):
        assert (token.widths, token.vectors.shape) == ((768, 1280), (2, 2048))
        np.testing.assert_array_equal(token.by_encoder["clip_l"], 768)
        np.testing.assert_array_equal(token.by_encoder["clip_g"], 1280)


def test_files_for_xl_that_do_not_belong_together(tmp_path):
    write_halves(tmp_path / "a", vectors=(2, 3))
    with pytest.raises(UserError, match="hold 2 and 3 vectors of <toy>"):
        read_tokens(tmp_path / "a")
    write_halves(tmp_path / "c")
    content = (tmp_path / "c/learned_embeds.bin").read_bytes()
    write_bytes(tmp_path / "c/learned_embeds.pt", content)
    with pytest.raises(UserError, match="both claim the word <c>"):
        read_tokens(tmp_path / "c")
    for name in ("learned_embeds.bin", "learned_embeds_2.bin"):
        write_saved(tmp_path / "d", 1, name=name)
    with pytest.raises(UserError, match="both claim the word <d>"):
        read_tokens(tmp_path / "d")
    write_halves(tmp_path / "b", step="-steps-500")
    write_halves(tmp_path / "b", step="-steps-1000")
    (tmp_path / "b/learned_embeds_2-steps-1000.bin").unlink()
    with pytest.raises(UserError, match="both claim the word <b>"):
        read_tokens(tmp_path / "b")


def test_words_of_their_own_are_kept(tmp_path):
    write_saved(tmp_path / "a", 1, "<one>")
    write_saved(tmp_path / "b", 2, "<two>")
    assert [token.token for token in read_tokens(tmp_path)] == ["<one>", "<two>"]


def test_folders_that_would_have_one_word(tmp_path):
    write_saved(tmp_path / "a b", 1)
    write_saved(tmp_path / "a-b", 2)
    with pytest.raises(UserError, match="both claim the word <a-b>"):
        read_tokens(tmp_path)
