"""Reading learned tokens, from whichever tool they come."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import ml_dtypes
import numpy as np

from common.diffusion.words import BRACKETED, word_key
from common.errors import UserError
from common.paths import AnyPath, as_path, on_disk
from common.text import counted, some
from common.weights.pickles import Placeholder
from common.weights.safetensors_file import read_safetensors
from common.weights.torch_archive import unpickle_torch_archive
from mcti_jax.formats.tokens import LearnedToken, is_word, require_widths, token_word
from mcti_jax.formats.trainer_files import called_by_folders, finished, halves_joined
from mcti_jax.widths import KEYS, join

_TORCH_SUFFIXES = (".bin", ".pt")
_SUFFIXES = (".safetensors", *_TORCH_SUFFIXES)
# What both of XL's tensors are the vectors of.
_BOTH = "clip_l and clip_g"
# Keys under which other trainers store vectors without saying their word.
_NAMELESS = ("emb_params", "*", _BOTH)
# What trainers of pivotal tuning call the two.
_OTHER_KEYS = {f"text_encoders_{number}": key for number, key in enumerate(KEYS)}
# What fits a CLIP prompt between its start and its end.
_MOST_VECTORS = 75
_WIDEST = 2**14
_LONGEST_WORD = 100
_PRECISIONS = (np.float16, np.float32, np.float64, ml_dtypes.bfloat16)


def read_tokens(path: AnyPath | str) -> list[LearnedToken]:
    """Read a file of learned tokens, or every such file of a directory.

    Understood are safetensors and `.bin` files with one tensor per word (one word or many),
    the `.pt` of web UIs and of textual inversion's own code, kohya's safetensors (`emb_params`),
    and for Stable Diffusion XL files with one word's `clip_l` and `clip_g`, or in a directory the
    two files of diffusers' trainer. A directory without such files may hold one sub-directory per
    class; where that trainer gave one word to several of them, as the paper's code does, the
    tokens are called by their sub-directories. Of what it saved on the way only the last is read.
    Reading runs no code from the files.

    Args:
      path: A file or a directory.

    Raises:
      UserError: There are no tokens, two claim the same word, widths differ from each other, or
        a file is damaged or not an embedding.
    """
    path = as_path(path)
    origin: dict[str, AnyPath] = {}
    tokens = []
    read = [(file, token) for file in finished(_token_files(path)) for token in read_file(file)]
    for file, token in called_by_folders(halves_joined(read)):
        key = word_key(token.token)
        if key in origin:
            raise UserError(
                f"{str(origin[key])!r} and {str(file)!r} both claim the word "
                f"{token.token}; keep one of them, or read them one at a time."
            )
        origin[key] = file
        tokens.append(token)
        what, wanted_by = f"{token.token} in {str(file)!r}", f"the file of {tokens[0].token}"
        require_widths(what, token.widths, tokens[0].widths, wanted_by)
    return tokens


def read_file(file: AnyPath) -> list[LearnedToken]:
    """Read one file of learned tokens; see `read_tokens`."""
    with on_disk(file) as copy:
        return _read(copy)


def _read(file: Path) -> list[LearnedToken]:
    if file.suffix not in _TORCH_SUFFIXES:
        return _from_tensors(file, *read_safetensors(file))
    loaded = unpickle_torch_archive(file)
    if not isinstance(loaded, dict):
        raise UserError(f"{str(file)!r} holds no word beside its tensor; save it as a dict.")
    if "string_to_param" in loaded:
        return _from_web_ui(file, loaded)
    return _from_tensors(file, loaded, {})


def _token_files(path: AnyPath) -> list[AnyPath]:
    if path.is_file():
        if path.suffix not in _SUFFIXES:
            raise UserError(
                f"{str(path)!r} is not an embedding: its name has to end in "
                f"{' or '.join(_SUFFIXES)}."
            )
        return [path]
    if not path.is_dir():
        raise UserError(f"there is no file or directory {str(path)!r} of learned tokens.")
    for pattern in ("*", "*/*"):
        files = sorted(
            file
            for file in path.glob(pattern)
            if file.suffix in _SUFFIXES and file.is_file() and not file.name.startswith(".")
        )
        if files:
            return files
    raise UserError(f"{str(path)!r} holds no learned tokens ({', '.join(_SUFFIXES)}).")


def _from_web_ui(file: AnyPath, loaded: Mapping[str, object]) -> list[LearnedToken]:
    params = loaded["string_to_param"]
    if isinstance(params, Placeholder):  # A ParameterDict, in textual inversion's own code.
        params = params.get("_parameters")
    if not isinstance(params, dict) or len(params) != 1:
        raise UserError(f"{str(file)!r} must hold exactly one embedding under string_to_param.")
    keys = {"token": "name", "step": "step", "base_model": "sd_checkpoint_name"}
    plain = {field: loaded.get(key) for field, key in keys.items()}
    metadata = {name: str(fact) for name, fact in plain.items() if isinstance(fact, str | int)}
    if not isinstance(loaded.get("name"), str):
        metadata.pop("token", None)
    return _from_tensors(file, {"*": next(iter(params.values()))}, metadata)


def _from_tensors(
    file: AnyPath, tensors: Mapping[str, object], metadata: Mapping[str, str]
) -> list[LearnedToken]:
    if not tensors:
        raise UserError(f"{str(file)!r} holds no tensors; was its writing cut short?")
    for key, tensor in tensors.items():
        _require_embedding(file, str(key), tensor)
    facts = {name: text for name, text in metadata.items() if name != "token"}
    tokens = []
    for key, parts in _words(file, tensors).items():
        nameless = key in _NAMELESS
        named = metadata.get("token") or token_word(file.stem) if nameless else str(key)
        widths = tuple(part.shape[1] for part in parts)
        token = LearnedToken(_typable(named), join(parts), facts, widths=widths)
        if nameless and not BRACKETED.fullmatch(metadata.get("token", "")):
            # The tools that such files are for go by the file's name.
            others = dict.fromkeys(filter(_is_spelling, (file.stem, named)))
            spellings = tuple(word for word in others if word != token.token)
            token = replace(token, spellings=spellings)
        tokens.append(token)
    return tokens


def _words(file: AnyPath, tensors: Mapping[str, np.ndarray]) -> dict[str, tuple[np.ndarray, ...]]:
    """Return the vectors of each word, for each text encoder that it has them for."""
    vectors = {
        _OTHER_KEYS.get(key, key): _vectors(file, str(key), tensor)
        for key, tensor in tensors.items()
    }
    if not set(KEYS) & set(vectors):
        return {key: (part,) for key, part in vectors.items()}
    if set(vectors) != set(KEYS):
        raise UserError(
            f"{str(file)!r} holds {some(vectors)}: an embedding for Stable Diffusion XL has "
            f"{' and '.join(KEYS)} and nothing else."
        )
    parts = tuple(vectors[key] for key in KEYS)
    if len(set(map(len, parts))) > 1:
        counts = " and ".join(f"{counted(len(vectors[key]), 'vector')} of {key}" for key in KEYS)
        raise UserError(f"{str(file)!r} holds {counts}, not as many of both: get it again.")
    return {_BOTH: parts}


def _typable(word: str) -> str:
    """Replace spaces in a name, which other tools allow: a prompt is split at spaces."""
    return word if is_word(word) and len(word) <= _LONGEST_WORD else token_word(word)


def _is_spelling(text: str) -> bool:
    """Return whether a prompt can hold `text`, whose words may be several."""
    words = text.split()
    return bool(words) and all(is_word(word) and not BRACKETED.match(word) for word in words)


def _vectors(file: Path, key: str, tensor: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # Of float64, what float32 cannot hold becomes infinite.
        vectors = np.atleast_2d(np.array(tensor, np.float32))
    if not vectors.size:
        raise UserError(f"{str(file)!r} has no vectors for {key!r}: get the file again.")
    if not np.isfinite(vectors).all():
        raise UserError(
            f"{str(file)!r} holds NaN or infinity for {key!r}: its training diverged; train it "
            "again with a smaller learning rate, or get the file again."
        )
    return vectors


def _require_embedding(file: AnyPath, key: str, tensor: object) -> None:
    if not isinstance(tensor, np.ndarray):
        raise UserError(
            f"{str(file)!r} is not an embedding: its entry {key!r} is of type "
            f"{type(tensor).__name__}, not a tensor of vectors."
        )
    is_layer = key.endswith((".weight", ".bias"))
    is_float = tensor.dtype in _PRECISIONS
    shaped = tensor.ndim in (1, 2) and tensor.shape[-1] <= _WIDEST
    if is_layer or not is_float or not shaped or len(np.atleast_2d(tensor)) > _MOST_VECTORS:
        raise UserError(
            f"{str(file)!r} is a model, not an embedding: it holds {key!r} of shape "
            f"{list(tensor.shape)}; an embedding is a file of some kilobytes with "
            "[vectors, width] for each word."
        )
