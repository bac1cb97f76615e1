"""MetaCLIP 2's tokenizer, XLM-V's: pieces of words of some hundred languages."""

from typing import Any

from common.clip.pieces_file import SPACE, Dialect, character_maps, scored
from common.clip.pieces_tokenizer import PiecesTokenizer
from common.records import Record
from common.sizes import require

BOS, EOS, PAD = 0, 2, 1


def _unigram(record: Record, model: Record) -> Any:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    require(model, {"byte_fallback": (False,)})
    pieces = scored(model)
    backend = Tokenizer(models.Unigram(pieces, model.integer("unk_id", high=len(pieces) - 1)))
    maps = [normalizers.Precompiled(table) for table in character_maps(record)]
    backend.normalizer = normalizers.Sequence(maps)
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(SPACE, "always")]
    )
    backend.decoder = decoders.Metaspace(SPACE, "always")
    return backend


XLM = Dialect(
    words={
        "Unigram": {
            "bos_token": "<s>",
            "eos_token": "</s>",
            "pad_token": "<pad>",
            "unk_token": "<unk>",
        }
    },
    builders={"Unigram": _unigram},
    missing="which MetaCLIP 2's tokenizer is read from: copy that of facebook/xlm-v-base there",
    special=True,
)


class MetaCLIP2Tokenizer(PiecesTokenizer):
    """Text to token ids; see `Tokenizer`. Letters keep their case, accents and signs."""

    longest = 77
    read = XLM.read
