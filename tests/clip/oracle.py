"""A PyTorch CLIP in open_clip's layout, for the parts that transformers lacks.

Module names give the published keys; the arithmetic follows openai/CLIP: torch's own multi-head
attention, and for the ResNets a stem of three convolutions, average pools where others stride,
and an attention pool.
"""

from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional

from common.clip.config import CLIPAViTConfig


class QuickGELU(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(1.702 * x)


class ResidualBlock(nn.Module):
    def __init__(self, width, heads, mlp_width, activation):
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            OrderedDict(
                c_fc=nn.Linear(width, mlp_width),
                gelu=activation(),
                c_proj=nn.Linear(mlp_width, width),
            )
        )

    def forward(self, x, mask=None):
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False, attn_mask=mask)[0]
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Module):
    def __init__(self, width, layers, heads, mlp_width, activation):
        super().__init__()
        self.resblocks = nn.ModuleList(
            ResidualBlock(width, heads, mlp_width, activation) for _ in range(layers)
        )

    def forward(self, x, mask=None):
        states = [x]
        for block in self.resblocks:
            states.append(block(states[-1], mask))
        return states


class VisionTransformer(nn.Module):
    def __init__(self, c, activation):
        super().__init__()
        cells = (c.image_size // c.patch_size) ** 2
        self.class_embedding = nn.Parameter(torch.empty(c.width))
        self.positional_embedding = nn.Parameter(torch.empty(cells + 1, c.width))
        self.proj = nn.Parameter(torch.empty(c.width, c.projection))
        self.conv1 = nn.Conv2d(3, c.width, c.patch_size, c.patch_size, bias=False)
        self.averages = isinstance(c, CLIPAViTConfig)
        self.ln_pre = nn.Identity() if self.averages else nn.LayerNorm(c.width)
        self.transformer = Transformer(c.width, c.layers, c.heads, c.mlp_width, activation)
        self.ln_post = nn.LayerNorm(c.width)

    def forward(self, pixels):
        x = self.conv1(pixels)
        side = x.shape[-1]
        x = x.flatten(2).transpose(1, 2)
        token = self.class_embedding.expand(len(x), 1, -1)
        x = self.ln_pre(torch.cat([token, x], 1) + self.positional_embedding)
        states = self.transformer(x)
        pooled = states[-1][:, 1:].mean(1) if self.averages else states[-1][:, 0]
        pooled = self.ln_post(pooled)
        grid = states[-1][:, 1:].unflatten(1, (side, side))
        return {
            "features": pooled @ self.proj,
            "pooled": pooled,
            "grid": grid,
            "hidden_states": states,
        }


class Bottleneck(nn.Module):
    def __init__(self, wide_in, channels, stride):
        super().__init__()
        wide = 4 * channels
        self.conv1 = nn.Conv2d(wide_in, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, wide, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(wide)
        self.pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        self.downsample = None
        if stride > 1 or wide_in != wide:
            layers = [
                ("-1", nn.AvgPool2d(stride)),
                ("0", nn.Conv2d(wide_in, wide, 1, bias=False)),
                ("1", nn.BatchNorm2d(wide)),
            ]
            self.downsample = nn.Sequential(OrderedDict(layers))

    def forward(self, x):
        y = functional.relu(self.bn1(self.conv1(x)))
        y = functional.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(self.pool(y)))
        shortcut = x if self.downsample is None else self.downsample(x)
        return functional.relu(y + shortcut)


class AttentionPool(nn.Module):
    def __init__(self, cells, width, heads, projection):
        super().__init__()
        self.heads = heads
        self.positional_embedding = nn.Parameter(torch.empty(cells + 1, width))
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.c_proj = nn.Linear(width, projection)

    def forward(self, grid):
        x = grid.flatten(2).transpose(1, 2)
        x = torch.cat([x.mean(1, keepdim=True), x], 1) + self.positional_embedding
        query, key, value = (
            project(tokens).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for project, tokens in (
                (self.q_proj, x[:, :1]),
                (self.k_proj, x),
                (self.v_proj, x),
            )
        )
        pooled = functional.scaled_dot_product_attention(query, key, value)
        pooled = pooled.transpose(1, 2).flatten(1)
        return pooled, self.c_proj(pooled)


class ModifiedResNet(nn.Module):
    def __init__(self, c):
        super().__init__()
        half = c.width // 2
        self.conv1 = nn.Conv2d(3, half, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(half)
        self.conv2 = nn.Conv2d(half, half, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(half)
        self.conv3 = nn.Conv2d(half, c.width, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(c.width)
        wide = c.width
        for stage, blocks in enumerate(c.layers):
            channels = c.width * 2**stage
            strides = [1 if stage == 0 else 2] + [1] * (blocks - 1)
            layer = nn.Sequential()
            for stride in strides:
                layer.append(Bottleneck(wide, channels, stride))
                wide = 4 * channels
            setattr(self, f"layer{stage + 1}", layer)
        cells = (c.image_size // 32) ** 2
        self.attnpool = AttentionPool(cells, wide, c.heads, c.projection)

    def forward(self, pixels):
        x = functional.relu(self.bn1(self.conv1(pixels)))
        x = functional.relu(self.bn2(self.conv2(x)))
        x = functional.relu(self.bn3(self.conv3(x)))
        states = [functional.avg_pool2d(x, 2)]
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            states.append(layer(states[-1]))
        pooled, features = self.attnpool(states[-1])
        states = [state.permute(0, 2, 3, 1) for state in states]
        return {
            "features": features,
            "pooled": pooled,
            "grid": states[-1],
            "hidden_states": states,
        }


class OpenClip(nn.Module):
    """Built from our configuration; every weight and statistic is random."""

    def __init__(self, config, scale=0.05):
        super().__init__()
        t = self.config = config.text
        activation = {"gelu": nn.GELU, "quick_gelu": QuickGELU}[t.activation]
        self.positional_embedding = nn.Parameter(torch.empty(t.positions, t.width))
        self.text_projection = nn.Parameter(torch.empty(t.width, t.projection))
        self.logit_scale = nn.Parameter(torch.tensor(2.5))
        if hasattr(config.vision, "patch_size"):
            self.visual = VisionTransformer(config.vision, activation)
        else:
            self.visual = ModifiedResNet(config.vision)
        self.transformer = Transformer(t.width, t.layers, t.heads, t.mlp_width, activation)
        self.token_embedding = nn.Embedding(t.vocab_size, t.width)
        self.ln_final = nn.LayerNorm(t.width)
        randomise(self, scale)
        self.eval().requires_grad_(False)

    def text(self, embeddings, at):
        length = embeddings.shape[1]
        mask = torch.full((length, length), float("-inf")).triu(1) if self.config.causal else None
        states = self.transformer(embeddings + self.positional_embedding[:length], mask)
        last = self.ln_final(states[-1])
        pooled = last[torch.arange(len(last)), at]
        return {
            "projected": pooled @ self.text_projection,
            "pooled": pooled,
            "last_hidden_state": last,
            "hidden_states": states,
        }

    def encode_text(self, ids):
        """Whole rows of ids, pooled where open_clip does: at the largest one, or at the last."""
        last = self.config.pool == "last"
        at = torch.full((len(ids),), ids.shape[1] - 1) if last else ids.argmax(-1)
        return self.text(self.token_embedding(ids), at)["projected"]


@torch.no_grad()
def randomise(model, scale):
    """Random weights everywhere, so that no bias or statistic is at its neutral value.

    Deep ResNets need care: where activations grow from block to block the attention pool
    saturates, and its gradient becomes all rounding.
    """
    for name, tensor in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif tensor.ndim == 4 and tensor.shape[-1] <= 3:
            tensor.normal_(0, (2 / tensor[0].numel()) ** 0.5)
        elif tensor.ndim == 2:
            tensor.normal_(0, min(scale, tensor.shape[1] ** -0.5))
        elif tensor.ndim == 1 and name.endswith("weight"):
            residual = "layer" in name and "bn3" in name
            shortcut = "downsample" in name
            tensor.normal_(0.25 if residual else 0.5 if shortcut else 1, scale)
        elif tensor.ndim > 0:
            tensor.normal_(0, scale)
