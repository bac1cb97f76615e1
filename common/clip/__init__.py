"""CLIP in Flax: towers, tokenizer, preprocessing, and loading in the published layouts."""

from common.clip.checkpoint import load_clip as load_clip
from common.clip.checkpoint import load_text_tower as load_text_tower
from common.clip.checkpoint import save_clip as save_clip
from common.clip.checkpoint import save_text_tower as save_text_tower
from common.clip.config import CLIPConfig as CLIPConfig
from common.clip.config import ResNetConfig as ResNetConfig
from common.clip.config import TextConfig as TextConfig
from common.clip.config import ViTConfig as ViTConfig
from common.clip.encode import encode_image as encode_image
from common.clip.encode import encode_text as encode_text
from common.clip.layers import Block as Block
from common.clip.model import CLIP as CLIP
from common.clip.outputs import ImageOutput as ImageOutput
from common.clip.predictions import Predictions as Predictions
from common.clip.preprocess import Preprocess as Preprocess
from common.clip.resnet import ModifiedResNet as ModifiedResNet
from common.clip.text import TextOutput as TextOutput
from common.clip.text import TextTower as TextTower
from common.clip.text import pool_positions as pool_positions
from common.clip.tokenizer import Tokenizer as Tokenizer
from common.clip.vit import ViT as ViT
