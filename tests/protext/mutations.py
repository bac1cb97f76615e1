"""What breaks ProText, and the test that notices.

python -m tests.protext.mutations [NAME ...]
"""

from tests.mutations import Mutation, main

MUTATIONS = (
    Mutation(
        "templates as targets",
        "protext_jax/signals.py",
        "text_features(clip, (*texts.sentences, *texts.held_out), cache)",
        "text_features(clip, [texts.names[k] for k in (*texts.label, *texts.held_label)], cache)",
        "protext/test_method.py",
    ),
    Mutation(
        "positions added to deep prompts",
        "protext_jax/fast.py",
        "            x = prompts[layer]\n",
        "            x = prompts[layer] + positions\n",
        "protext/test_tower.py",
    ),
    Mutation(
        "positions added to deep prompts, plainly",
        "protext_jax/tower.py",
        "jnp.broadcast_to(prompts[layer], (",
        "jnp.broadcast_to(prompts[layer] + tower.position_embedding[slots], (",
        "protext/test_tower.py",
    ),
    Mutation(
        "prompts inserted at block J as well",
        "protext_jax/fast.py",
        "if 1 <= layer < depth:",
        "if 1 <= layer <= depth:",
        "protext/test_tower.py",
    ),
    Mutation(
        "prompts inserted at block J as well, plainly",
        "protext_jax/tower.py",
        "if 1 <= layer < depth:",
        "if 1 <= layer <= depth:",
        "protext/test_tower.py",
    ),
    Mutation(
        "prompts of the first block unused",
        "protext_jax/fast.py",
        "[], prompts[0] + positions",
        "[], 0 * prompts[0] + positions",
        "protext/test_tower.py",
    ),
    Mutation(
        "pooling a token early",
        "protext_jax/packing.py",
        "end[: len(classes)] = stops - 1",
        "end[: len(classes)] = stops - 2",
        "protext/test_packing.py",
    ),
    Mutation(
        "pooling a token late, plainly",
        "protext_jax/prompts.py",
        "len(ids) + tokenizer.specials - 1 for ids",
        "len(ids) + tokenizer.specials for ids",
        "protext/test_prompts.py",
    ),
    Mutation(
        "mean over pairs only",
        "protext_jax/losses.py",
        "return jnp.square(features - targets).mean()",
        "return jnp.square(features - targets).sum(-1).mean()",
        "protext/test_losses.py",
    ),
    Mutation(
        "classes weighted alike",
        "protext_jax/losses.py",
        "count, total = real.sum(1), targets.sum(1)",
        "count, total = real.any(1), targets.mean(1)",
        "protext/test_losses.py",
    ),
    Mutation(
        "weight 1 instead of 1000",
        "protext_jax/losses.py",
        "weight=1000.0",
        "weight=1.0",
        "protext/test_losses.py",
    ),
    Mutation(
        "cosine over N - 5 epochs",
        "common/protocols/epochs.py",
        "xp.pi * passed / epochs",
        "xp.pi * passed / (epochs - warmup_epochs)",
        "protext/test_schedule.py",
    ),
    Mutation(
        "no warm-up",
        "common/protocols/epochs.py",
        "epoch < warmup_epochs, warmup_rate",
        "epoch < 0, warmup_rate",
        "protext/test_schedule.py",
    ),
    Mutation(
        "rate per step",
        "protext_jax/runs.py",
        "count // per_epoch",
        "count",
        "protext/test_schedule.py",
    ),
    Mutation(
        "rest of an epoch kept",
        "common/protocols/epochs.py",
        "return max(examples // batch, 1)",
        "return -(-examples // batch)",
        "protocols/test_epochs.py",
    ),
    Mutation(
        "underscores kept at test time",
        "protext_jax/classifier.py",
        "[readable(name) for name in names]",
        "list(names)",
        "protext/test_files.py",
    ),
    Mutation(
        "underscores kept in training",
        "protext_jax/training_texts.py",
        "return key if raw else readable(key)",
        "return key",
        "protext/test_method.py",
    ),
    Mutation(
        "class tokens may be overwritten",
        "protext_jax/prompts.py",
        "if length > free:",
        "if length > free + 1:",
        "protext/test_prompts.py",
    ),
    Mutation(
        "early stopping takes any rise for a gain",
        "protext_jax/method.py",
        "cosine - self.config.early_stop_gain",
        "cosine",
        "protext/test_signals.py",
    ),
    Mutation(
        "sentences left unnormalised",
        "protext_jax/signals.py",
        "features = normalise(text_features(",
        "features = np.asarray(text_features(",
        "protext/test_method.py",
    ),
    Mutation(
        "beta2 of 0.999",
        "configs/protext.py",
        "config.beta2 = 0.98",
        "config.beta2 = 0.999",
        "protext/test_recipes.py",
    ),
    Mutation(
        "weight decay missing",
        "configs/protext.py",
        "config.weight_decay = 0.1",
        "config.weight_decay = 0.0",
        "protext/test_recipes.py",
    ),
    Mutation(
        "base half rounded down",
        "common/data/selection.py",
        "middle = (classes + 1) // 2",
        "middle = classes // 2",
        "protext/test_protocols.py",
    ),
    Mutation(
        "cross-dataset template in base-to-new",
        "protext_jax/testsets.py",
        "if cross and short:",
        "if short:",
        "protext/test_protocols.py",
    ),
    Mutation(
        "short runs with the schedule of the longest",
        "protext_jax/runs.py",
        "min(run.epochs * per_epoch, config.updates) for run in runs",
        "config.updates for run in runs",
        "test_learning_rates.py",
    ),
)

if __name__ == "__main__":
    main(MUTATIONS)
