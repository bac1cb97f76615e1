"""Pictures between JAX, whose channels come last, and PyTorch, whose channels come first."""

import numpy as np


def to_torch(x):
    import torch

    return torch.from_numpy(np.array(x)).permute(0, 3, 1, 2).contiguous()


def to_numpy(x):
    return x.detach().permute(0, 2, 3, 1).numpy()
