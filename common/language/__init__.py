"""GPT-2 and GPT-J in Flax: the module, decoding, and loading in Hugging Face's layout."""

from common.language.checkpoint import LM as LM
from common.language.checkpoint import load_lm as load_lm
from common.language.checkpoint import save_lm as save_lm
from common.language.config import LMConfig as LMConfig
from common.language.decoding import beam_search as beam_search
from common.language.decoding import greedy as greedy
from common.language.generation import write_texts as write_texts
from common.language.known import describe_lm as describe_lm
from common.language.model import LanguageModel as LanguageModel
from common.language.model import empty_cache as empty_cache
