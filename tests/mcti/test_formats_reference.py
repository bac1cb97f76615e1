"""Exported tokens in PyTorch and in diffusers' `load_textual_inversion`."""

import json

import numpy as np
import pytest

from mcti_jax.export import export
from mcti_jax.formats import LearnedToken, read_tokens, write_token

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.reference

WIDTH = 16
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789<>-_"


def token_of(vectors):
    values = np.random.default_rng(vectors).normal(size=(vectors, WIDTH)).astype(np.float32)
    return LearnedToken(f"<toy-{vectors}>", values, {"step": "7", "base_model": "pocket"})


@pytest.fixture
def pipeline(tmp_path_factory):
    """A text tower and a tokenizer of single letters under diffusers' loader."""
    folder = tmp_path_factory.mktemp("tokenizer")
    words = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    config = transformers.CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=WIDTH,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
    )

    pipeline = diffusers.loaders.TextualInversionLoaderMixin()
    pipeline.hf_device_map, pipeline.components = None, {}
    pipeline.tokenizer = transformers.CLIPTokenizer.from_pretrained(folder)
    pipeline.text_encoder = transformers.CLIPTextModel(config)
    return pipeline


def rows_of(pipeline, token):
    words = pipeline.maybe_convert_prompt(token.token, pipeline.tokenizer)
    ids = pipeline.tokenizer(words, add_special_tokens=False).input_ids
    return pipeline.text_encoder.get_input_embeddings().weight.detach().numpy()[ids]


@pytest.mark.parametrize("vectors", [1, 3])
@pytest.mark.parametrize(
    ("name", "passed"),
    [("diffusers", {}), ("bin", {}), ("a1111", {}), ("kohya", {"token": "<toy-{}>"})],
)
def test_diffusers_loads_what_is_exported(tmp_path, pipeline, name, passed, vectors):
    token = token_of(vectors)
    write_token(tmp_path / "run" / "tokens", token, "diffusers")
    [path] = export(tmp_path / "run", name, tmp_path / "out")
    passed = {key: text.format(vectors) for key, text in passed.items()}
    pipeline.load_textual_inversion(str(path), **passed)
    np.testing.assert_array_equal(rows_of(pipeline, token), token.vectors)


def test_diffusers_loads_one_file_of_a_folder(tmp_path, pipeline):
    tokens = [token_of(1), token_of(3)]
    for token in tokens:
        path = write_token(tmp_path, token, "diffusers")
        pipeline.load_textual_inversion(str(tmp_path), weight_name=path.name)
    for token in tokens:
        np.testing.assert_array_equal(rows_of(pipeline, token), token.vectors)


def test_torch_reads_the_web_ui_file_without_running_code(tmp_path):
    token = token_of(3)
    loaded = torch.load(write_token(tmp_path, token, "a1111"), weights_only=True)
    vectors = loaded["string_to_param"].pop("*")
    assert (vectors.dtype, vectors.requires_grad) == (torch.float32, False)
    np.testing.assert_array_equal(vectors.numpy(), token.vectors)
    assert loaded == {
        "string_to_token": {"*": 265},
        "string_to_param": {},
        "name": "<toy-3>",
        "step": 7,
        "sd_checkpoint": None,
        "sd_checkpoint_name": "pocket",
    }


def test_web_ui_file_written_by_torch(tmp_path):
    token = token_of(2)
    content = {
        "string_to_token": {"*": 265},
        "string_to_param": {"*": torch.nn.Parameter(torch.from_numpy(token.vectors))},
        "name": "toy",
        "step": 99,
        "sd_checkpoint": "abcdef12",
        "sd_checkpoint_name": "v1-5",
    }
    torch.save(content, tmp_path / "toy.pt")
    [read] = read_tokens(tmp_path)
    assert (read.token, read.metadata) == ("toy", {"step": "99", "base_model": "v1-5"})
    np.testing.assert_array_equal(read.vectors, token.vectors)


def test_file_of_textual_inversions_own_code(tmp_path):
    token = token_of(2)
    words = torch.nn.ParameterDict({"*": torch.nn.Parameter(torch.from_numpy(token.vectors))})
    content = {"string_to_token": {"*": torch.tensor(265)}, "string_to_param": words}
    torch.save(content, tmp_path / "toy.pt")
    [read] = read_tokens(tmp_path)
    assert (read.token, read.spellings, read.metadata) == ("<toy>", ("toy",), {})
    np.testing.assert_array_equal(read.vectors, token.vectors)


def test_row_of_a_table_written_by_torch(tmp_path):
    """The reference implementation saves such a view: the file holds the whole table."""
    table = torch.randn(50, WIDTH)
    torch.save({"<a>": table[48:49], "<b>": table[10:12].half()}, tmp_path / "learned_embeds.bin")
    first, second = read_tokens(tmp_path)
    np.testing.assert_array_equal(first.vectors, table[48:49].numpy())
    np.testing.assert_array_equal(second.vectors, table[10:12].half().float().numpy())
