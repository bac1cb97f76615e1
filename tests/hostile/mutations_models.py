"""Mutations of what reads models: `python -m tests.hostile.mutations_models [NAME ...]`."""

from tests.mutations import Mutation, main

TOKENIZERS = "hostile/test_tokenizer_files.py"
CONFIGS = "hostile/test_model_configs.py"
PIXELS = "hostile/test_preprocessor_configs.py"
PRECISION = "test_precision.py"

MUTATIONS = (
    Mutation("words-without-rows", "common/bpe.py", "if words > rows:", "if False:", TOKENIZERS),
    Mutation(
        "words-without-rows-in-diffusion",
        "common/diffusion/checkpoint.py",
        "        tokenizers[part].require_rows(config.vocab_size, directory / part.tokenizer)\n",
        "",
        TOKENIZERS,
    ),
    Mutation(
        "added-words-anywhere",
        "common/bpe.py",
        "if number != word.id:",
        "if False:",
        TOKENIZERS,
    ),
    Mutation(
        "one-id-for-two-words",
        "common/bpe.py",
        "if len(set(numbers.values())) < len(numbers):",
        "if False:",
        TOKENIZERS,
    ),
    Mutation(
        "merges-of-anything",
        "common/bpe.py",
        'if not whole or not {*pair, "".join(pair)} <= numbers.keys():',
        "if False:",
        TOKENIZERS,
    ),
    Mutation(
        "another-tokenizer-model",
        "common/bpe.py",
        'require(model, _MODEL | {"end_of_word_suffix": (suffix,)})',
        "pass",
        TOKENIZERS,
    ),
    Mutation(
        "another-tokenizer-class",
        "common/clip/tokenizer_files.py",
        'require(config, {"tokenizer_class": _CLASSES, "split_special_tokens": (False,)})',
        "pass",
        TOKENIZERS,
    ),
    Mutation(
        "any-split-of-texts",
        "common/language/tokenizer.py",
        "require(splits, _SPLITS)",
        "pass",
        TOKENIZERS,
    ),
    Mutation(
        "added-words-are-cleaned",
        "common/clip/tokenizer.py",
        "if self._unclean is None:",
        "if True:",
        TOKENIZERS,
    ),
    Mutation(
        "everything-of-a-config-is-kept",
        "common/clip/tokenizer_files.py",
        '        "add_prefix_space": False,\n',
        '        **getattr(tokenizer, "init_kwargs", {}),\n',
        TOKENIZERS,
    ),
    Mutation(
        "links-are-followed",
        "common/clip/tokenizer.py",
        'with atomic_write(Path(path) / "tokenizer.json") as temporary:',
        'for temporary in [Path(path) / "tokenizer.json"]:',
        TOKENIZERS,
    ),
    Mutation(
        "sizes-without-bounds",
        "common/sizes.py",
        "    low, high = BOUNDS[kind]\n",
        "    low, high = -(2**62), 2**62\n",
        CONFIGS,
    ),
    Mutation(
        "sides-of-any-shape",
        "common/sizes.py",
        "if isinstance(value, list) and 0 < len(value) <= 2 and value[0] == value[-1]:",
        "if isinstance(value, list) and value:",
        CONFIGS,
    ),
    Mutation(
        "other-functions-pass",
        "common/sizes.py",
        "if value is not None and not any(value == x for x in values):",
        "if False:",
        CONFIGS,
    ),
    Mutation(
        "fields-of-tomorrow-pass",
        "common/sizes.py",
        "if name not in known and not harmless:",
        "if False:",
        CONFIGS,
    ),
    Mutation(
        "heads-that-do-not-divide",
        "common/clip/hugging_face.py",
        'if fields["width"] % fields["heads"]:',
        "if False:",
        CONFIGS,
    ),
    Mutation(
        "large-patches",
        "common/clip/hugging_face.py",
        'if fields["patch_size"] > fields["image_size"]:',
        "if False:",
        CONFIGS,
    ),
    Mutation(
        "language-models-do-not-fit",
        "common/language/hugging_face.py",
        "    _require_consistent(config, record)\n",
        "",
        CONFIGS,
    ),
    Mutation(
        "any-number-of-levels",
        "common/diffusion/fields.py",
        'if len(fields.get("block_out_channels") or ()) > _LEVELS:',
        "if False:",
        CONFIGS,
    ),
    Mutation(
        "pixels-of-the-largest-picture",
        "common/clip/checkpoint.py",
        "pixels = jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)",
        "pixels = jnp.zeros((1, min(side, 1024), min(side, 1024), 3))",
        CONFIGS,
    ),
    Mutation(
        "another-crop",
        "common/clip/processor.py",
        "if crop != size:",
        "if False:",
        PIXELS,
    ),
    Mutation(
        "a-crop-of-what-is-not-there",
        "common/clip/processor.py",
        "if shorter < size:",
        "if False:",
        PIXELS,
    ),
    Mutation(
        "always-normalised",
        "common/clip/processor.py",
        'if not record.boolean("do_normalize", default=True):',
        "if False:",
        PIXELS,
    ),
    Mutation(
        "resized-to-the-crop",
        "common/clip/preprocess.py",
        "shorter, short = self.resize or self.size, min(sides)",
        "shorter, short = self.size, min(sides)",
        PIXELS,
    ),
    Mutation(
        "any-factor",
        "common/clip/processor.py",
        "> 1e-6:",
        "> 1e6:",
        PIXELS,
    ),
    Mutation(
        "other-pixels-pass",
        "common/clip/processor.py",
        "    require(record, _ALLOWED)\n",
        "",
        PIXELS,
    ),
    Mutation(
        "float32-is-the-devices-own",
        "common/precision.py",
        '_EXACT if exact and (platform or jax.default_backend()) != "cpu" else None',
        "None",
        PRECISION,
    ),
    Mutation(
        "training-asks-for-nothing",
        "common/training/loop.py",
        '    use_precision(config.get("dtype", "auto"))\n',
        "",
        PRECISION,
    ),
    Mutation(
        "sampling-asks-for-nothing",
        "mcti_jax/drawing.py",
        "    use_precision(config.dtype)\n",
        "",
        PRECISION,
    ),
)

if __name__ == "__main__":
    main(MUTATIONS)
