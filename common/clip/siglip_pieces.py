"""The pieces of SigLIP's tokenizers, which `tokenizers` finds in texts.

SigLIP's own is a unigram model of cleaned text, SigLIP 2's the byte-pair encoding of Gemma.
"""

import string
from typing import Any

from common.bpe import numbers_of, pairs_of
from common.clip.pieces_file import LONGEST, SPACE, Dialect, character_maps, scored
from common.records import Record
from common.sizes import require

_PUNCTUATION = "".join(rf"\{sign}" for sign in string.punctuation)
_BPE = {
    "dropout": (0.0,),
    "continuing_subword_prefix": ("",),
    "end_of_word_suffix": ("",),
    "fuse_unk": (True,),
    "byte_fallback": (True,),
    "ignore_merges": (False,),
}


def _unigram(record: Record, model: Record) -> Any:
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    pieces = scored(model)
    unknown = model.integer("unk_id", high=len(pieces) - 1)
    fallback = model.boolean("byte_fallback", default=False)
    backend = Tokenizer(models.Unigram(pieces, unknown, fallback))
    mapped = [normalizers.Precompiled(table) for table in character_maps(record)]
    backend.normalizer = normalizers.Sequence(
        [
            normalizers.Lowercase(),
            normalizers.Replace(Regex(f"[{_PUNCTUATION}]"), ""),
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Strip(),
            *mapped,
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    backend.pre_tokenizer = pre_tokenizers.Metaspace(SPACE, "always")
    backend.decoder = decoders.Sequence(
        [decoders.ByteFallback(), decoders.Metaspace(SPACE, "always")]
    )
    return backend


def _byte_pairs(record: Record, model: Record) -> Any:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    require(model, _BPE)
    numbers = numbers_of(model.record("vocab"))
    merges = pairs_of(model.content.get("merges", []), numbers, record.where)
    unknown = model.text("unk_token", longest=LONGEST, default="<unk>")
    backend = Tokenizer(
        models.BPE(numbers, merges, fuse_unk=True, byte_fallback=True, unk_token=unknown)
    )
    backend.normalizer = normalizers.Sequence(
        [normalizers.Lowercase(), normalizers.Replace(" ", SPACE)]
    )
    backend.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    backend.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return backend


SIGLIP = Dialect(
    words={
        "Unigram": {"eos_token": "</s>", "pad_token": "</s>", "unk_token": "<unk>"},
        "BPE": {"eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>"},
    },
    builders={"Unigram": _unigram, "BPE": _byte_pairs},
    missing="which SigLIP's tokenizer is read from: copy the model's there; one of spiece.model is "
    "in google/siglip-base-patch16-224",
)
"""Special words have their ids already; in a text they are letters, as where SigLIP was trained."""
