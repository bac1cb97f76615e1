"""SigLIP's tokenizers: SigLIP's own reads cleaned text, SigLIP 2's is Gemma's in lower case.

Texts end in an end token and have no start token.
"""

from common.clip.pieces_tokenizer import PiecesTokenizer
from common.clip.siglip_pieces import SIGLIP


class SigLIPTokenizer(PiecesTokenizer):
    """Text to token ids; see `Tokenizer`."""

    longest = 64
    read = SIGLIP.read
