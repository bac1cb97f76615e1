"""The literal layer, the losses and a few steps of training, against PyTorch in float32."""

import jax
import numpy as np
import optax
import pytest

from aape_jax.core.objective import Objective
from aape_jax.core.optimizer import make_optimizer
from tests.aape.problem import CLASSES, IMAGES, KEY, WIDTH, batch, disturbed, settings

pytestmark = pytest.mark.reference
torch = pytest.importorskip("torch")
F = torch.nn.functional
HEADS, STEPS, RATE = 4, 4, 0.05
BATCH = batch()


def tensor(array):
    return torch.tensor(np.asarray(array))


def leaves(params):
    flat = {
        jax.tree_util.keystr(p, simple=True, separator="/"): leaf
        for p, leaf in jax.tree_util.tree_leaves_with_path(params)
    }
    return {name: tensor(leaf).requires_grad_() for name, leaf in flat.items()}


def numbers(tensor):
    return tensor.detach().numpy()


def paper_layer(p, prompts, mask, labels):
    """PyTorch's own attention on the whole sequence, of which the first row is kept."""

    def own(name):
        return {key: p[f"aggregator/{name}/{key}"] for key in ("kernel", "bias")}

    def norm(name, x):
        scale, bias = (p[f"aggregator/{name}/{key}"] for key in ("scale", "bias"))
        return F.layer_norm(x, (WIDTH,), scale, bias, eps=1e-5)

    def dense(name, x):
        layer = own(name)
        return F.linear(x, layer["kernel"].T, layer["bias"])

    mean = (prompts * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    token = (mean + p["aggregator/offset"][labels, 0])[:, None]
    sequence = torch.cat([token, prompts], dim=1)
    padding = torch.cat([torch.ones(len(mask), 1, dtype=bool), mask], dim=1)
    projections = [own(name) for name in ("query", "key", "value")]
    normed = norm("attention_norm", sequence).transpose(0, 1)
    mixed, _ = F.multi_head_attention_forward(
        normed,
        normed,
        normed,
        WIDTH,
        HEADS,
        torch.cat([each["kernel"].T for each in projections]),
        torch.cat([each["bias"] for each in projections]),
        None,
        None,
        False,
        0.0,
        own("out")["kernel"].T,
        own("out")["bias"],
        key_padding_mask=~padding,
    )
    token = (sequence + mixed.transpose(0, 1))[:, :1]
    p_a = token + dense("down", F.relu(dense("up", norm("ffn_norm", token))))
    return p_a[:, 0], mean


def anchored(p, prompts, mask, x):
    mean = (prompts * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    query = x @ p["aggregator/from_image"][0] + mean @ p["aggregator/from_mean"][0]
    logits = p["aggregator/log_scale"].exp() * (prompts @ query[..., None])[..., 0]
    weights = logits.masked_fill(~mask, -torch.inf).softmax(-1)
    return F.normalize((weights[..., None] * prompts).sum(1), dim=-1), mean


def torch_loss(p, kind, alpha):
    x, w, labels = (tensor(getattr(BATCH, name)) for name in ("x", "classes", "labels"))
    labels = labels.long()
    prompts, mask = tensor(BATCH.prompts)[labels], tensor(BATCH.mask)[labels]
    if kind == "paper":
        p_a, _ = paper_layer(p, prompts, mask, labels)
    else:
        p_a, _ = anchored(p, prompts, mask, x)
    h = F.relu(x @ p["head/generator/down"]) @ p["head/generator/up"]
    pairs = torch.cat([w[None].expand(len(x), -1, -1), h[:, None].expand(-1, len(w), -1)], dim=-1)
    first = torch.cat([p["head/projection/from_class"], p["head/projection/from_prompt"]])
    g = F.relu(pairs @ first) @ p["head/projection/up"]
    weights = (1 - alpha) * w + alpha * g
    task = F.cross_entropy(F.cosine_similarity(x[:, None], weights, dim=-1) / 0.01, labels)
    distill = (h - F.normalize(p_a, dim=-1).detach()).square().sum(-1).mean()
    reward = 2.5 * F.cosine_similarity(x, p_a, dim=-1).clamp(min=0).mean()
    return task + 5 * distill - reward


@pytest.mark.parametrize(("kind", "alpha"), [("paper", 1.0), ("anchored", 0.2)])
def test_loss_gradients_and_training(kind, alpha):
    config = settings(
        aggregator__kind=kind,
        aggregator__heads=HEADS if kind == "paper" else 1,
        aggregator__init_scale=5.0,
        projection__residual_alpha=alpha,
        projection__zero_init=False,
        learning_rate=RATE,
        warmup_epochs=0,
        updates=STEPS,
    )
    objective = Objective.from_config(config)
    params = disturbed(objective.init(KEY, WIDTH, CLASSES, IMAGES), size=0.1)
    theirs = leaves(params)
    run = jax.jit(jax.value_and_grad(lambda p: objective(p, BATCH, KEY)[0]))
    loss, gradient = run(params)
    expected = torch_loss(theirs, kind, alpha)
    np.testing.assert_allclose(loss, expected.item(), rtol=1e-4)
    expected.backward()
    own = leaves(gradient)
    for name, parameter in theirs.items():
        # The one that a softmax does not see, the bias of its keys, has rounding errors only.
        found = numbers(own[name])
        true = np.zeros_like(found) if parameter.grad is None else parameter.grad.numpy()
        np.testing.assert_allclose(found, true, atol=2e-4 * max(1e-2, np.abs(true).max()))

    optimizer = make_optimizer(config, an_epoch=1)
    reference = torch.optim.SGD(theirs.values(), lr=RATE, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(reference, STEPS)
    tree = {"aape": params}
    state = optimizer.init(tree)
    for _ in range(STEPS):
        _, gradient = run(tree["aape"])
        change, state = optimizer.update({"aape": gradient}, state, tree)
        tree = optax.apply_updates(tree, change)
        reference.zero_grad()
        torch_loss(theirs, kind, alpha).backward()
        reference.step()
        schedule.step()
    for name, leaf in leaves(tree["aape"]).items():
        np.testing.assert_allclose(numbers(leaf), numbers(theirs[name]), rtol=2e-3, atol=2e-4)
