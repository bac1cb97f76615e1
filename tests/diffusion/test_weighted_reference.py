"""Weighted and long prompts give the text states of AUTOMATIC1111's web UI.

The rules are written anew here over ids, as the web UI works, with transformers' text tower.
"""

import re

import numpy as np
import pytest

from common.diffusion import save_stable_diffusion
from common.diffusion.text_encoding import encode_weighted
from common.diffusion.weighted import weighted_spans

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.reference

SIZE, BACKTRACK = 75, 20
BREAK = ("BREAK", -1.0)
GRAMMAR = re.compile(r"\\[()\[\]\\]?|:\s*[+-]?[.\d]+\s*\)|[()\[\]]|[^\\()\[\]:]+|:")


def attention(prompt):
    """Texts and weights, by a list of entries that brackets multiply when they close."""
    entries, rounds, squares = [], [], []

    def multiply(start, factor):
        for entry in entries[start:]:
            entry[1] *= factor

    for token in GRAMMAR.findall(prompt):
        if token[0] == "\\":
            entries.append([token[1:], 1.0])
        elif token == "(":
            rounds.append(len(entries))
        elif token == "[":
            squares.append(len(entries))
        elif re.fullmatch(r":\s*[+-]?[.\d]+\s*\)", token) and rounds:
            multiply(rounds.pop(), float(token[1:-1]))
        elif token == ")" and rounds:
            multiply(rounds.pop(), 1.1)
        elif token == "]" and squares:
            multiply(squares.pop(), 1 / 1.1)
        else:
            for number, part in enumerate(re.split(r"\s*\bBREAK\b\s*", token)):
                entries.extend([[*BREAK]] if number else [])
                entries.append([part, 1.0])
    for start in rounds:
        multiply(start, 1.1)
    for start in squares:
        multiply(start, 1 / 1.1)
    merged = []
    for text, weight in entries or [["", 1.0]]:
        if merged and merged[-1][1] == weight:
            merged[-1][0] += text
        else:
            merged.append([text, weight])
    return [tuple(entry) for entry in merged]


def chunked(tokenizer, prompt):
    """Ids and weights of each chunk, filled up."""
    comma = tokenizer.encode(",")[0]
    chunks, ids, weights, last = [], [], [], -1

    def close():
        nonlocal ids, weights, last
        fill = SIZE - len(ids)
        chunks.append((ids + [None] * fill, weights + [1.0] * fill))
        ids, weights, last = [], [], -1

    for text, weight in attention(prompt):
        if (text, weight) == BREAK:
            close()
            continue
        for token in tokenizer.encode(text):
            if token == comma:
                last = len(ids)
            elif len(ids) == SIZE and last != -1 and SIZE - last <= BACKTRACK:
                later = ids[last + 1 :], weights[last + 1 :]
                ids, weights = ids[: last + 1], weights[: last + 1]
                close()
                ids, weights = later
            if len(ids) == SIZE:
                close()
            ids.append(token)
            weights.append(weight)
    if ids or not chunks:
        close()
    return chunks


def reference_states(tower, tokenizer, prompt):
    states = []
    for ids, weights in chunked(tokenizer, prompt):
        real = [token for token in ids if token is not None]
        padding = [tokenizer.pad] * (SIZE - len(real))
        row = [tokenizer.bos, *real, tokenizer.eos, *padding]
        with torch.no_grad():
            z = tower(torch.tensor([row])).last_hidden_state
        mean = z.mean()
        z = z * torch.tensor([1.0, *weights, 1.0])[None, :, None]
        states.append((z * (mean / z.mean()))[0].numpy())
    return np.concatenate(states)


@pytest.fixture(scope="module")
def tower(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sd")
    save_stable_diffusion(model, folder)
    return transformers.CLIPTextModel.from_pretrained(folder / "text_encoder").eval()


PROMPTS = {
    "plain": "a dog on a beach",
    "empty": "",
    "weights": "a (red:1.5) dog, [small] (very (big:0.5)) tree",
    "negative and none": "a (dog:-1) and a (cat:0)",
    "escapes": r"a \(dog\) and \[one\] \\ tree",
    "not closed": "a (dog and [a cat",
    "not opened": "a dog) and a cat] :1.2)",
    "BREAK": "a dog BREAK a (cat:1.3)",
    "BREAKs": "BREAK a dog BREAK BREAK",
    "75 tokens": "d" * 75,
    "76 tokens": "d" * 76,
    "150 tokens": "d" * 150,
    "151 weighted tokens": f"({'d' * 80}:1.4) {'c' * 71}",
    "a comma near the end": f"{'d' * 60}, {'c' * 30}",
    "a comma 20 before the end": f"{'d' * 55}, {'c' * 30}",
    "a comma 21 before the end": f"{'d' * 54}, {'c' * 30}",
    "a comma at the end": f"{'d' * 74}, {'c' * 30}",
    "a comma behind the end": f"{'d' * 75}, {'c' * 80}",
    "many commas": ", ".join(["(cats:1.2) and dogs"] * 20),
}


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
def test_text_states_are_the_web_uis(model, tower, prompt):
    (encoded,) = encode_weighted(model, [prompt], {})
    actual = encoded.states
    expected = reference_states(tower, model.tokenizer, prompt)
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, atol=2e-5, rtol=2e-4)


def test_random_prompts_are_read_alike():
    """But for a BREAK within brackets, which the web UI takes for a word of negative weight."""
    rng = np.random.default_rng(0)
    pieces = [
        "(",
        ")",
        "[",
        "]",
        "\\(",
        "\\]",
        "\\",
        ":1.3)",
        ":0.5)",
        " dog",
        ", ",
        ":",
        " BREAK ",
    ]
    for _ in range(2000):
        prompt = "".join(rng.choice(pieces, rng.integers(1, 12)))
        expected = [entry for entry in attention(prompt) if entry[0] and entry[1] >= 0]
        spans = [span for part in weighted_spans(prompt) for span in part if span.text]
        assert [(span.text, span.weight) for span in spans] == expected, prompt
