"""What would let strange prompts, tokens and settings of MC-TI through, and the test that notices.

python -m tests.hostile.mutations_mcti [NAME ...]
"""

from tests.mutations import Mutation, main

ATTENTION = "hostile/test_attention_choice.py"
PROMPTS = "hostile/test_prompts.py"
TOKENS = "hostile/test_tokens.py"
SETTINGS = "hostile/test_sampling_settings.py"

MUTATIONS = (
    Mutation(
        "the kernel for TPUs is tried everywhere",
        "common/attention.py",
        'if name == "flash" and not flash:',
        "if False:",
        ATTENTION,
    ),
    Mutation(
        "auto takes the kernel on old TPUs",
        "common/attention.py",
        'return "plain" if best == "flash" and not flash else best',
        "return best",
        ATTENTION,
    ),
    Mutation(
        "cuDNN's kernel on a T4",
        "common/attention.py",
        "int(generation) >= 8",
        "int(generation) >= 7",
        ATTENTION,
    ),
    Mutation(
        "attention is chosen after the models are loaded",
        "mcti_jax/method.py",
        "choose_attention(config.attention, mesh.devices.flat[0])  # Refuses before it loads.",
        "pass",
        ATTENTION,
    ),
    Mutation(
        "a recipe forces the kernel",
        "configs/mcti.py",
        '"classes_per_chunk": 1,',
        '"classes_per_chunk": 1, "attention": "flash",',
        ATTENTION,
    ),
    Mutation(
        "vectors of another width become rows",
        "common/diffusion/embedding.py",
        "if vectors.shape[1] != width:",
        "if False:",
        PROMPTS,
    ),
    Mutation(
        "prompts of any length",
        "common/diffusion/embedding.py",
        "if count > vocabulary.room:",
        "if False:",
        PROMPTS,
    ),
    Mutation(
        "words inside of other words",
        "common/diffusion/words.py",
        r"(?<![\w-])(?:{longest_first})(?![\w-])",
        r"(?:{longest_first})",
        PROMPTS,
    ),
    Mutation(
        "the shorter of two words",
        "common/diffusion/words.py",
        "sorted(named, key=len, reverse=True)",
        "sorted(named, key=len)",
        PROMPTS,
    ),
    Mutation(
        "words are compared letter by letter",
        "common/diffusion/words.py",
        'normal = unicodedata.normalize("NFKC", cluster).lower()',
        "normal = cluster",
        PROMPTS,
    ),
    Mutation(
        "brackets do not reach words without them",
        "common/diffusion/words.py",
        "for form in (str, word_key, word_stem):",
        "for form in (str,):",
        PROMPTS,
    ),
    Mutation(
        "templates with several places",
        "mcti_jax/options.py",
        'if prompt.count("{}") != 1:',
        'if "{}" not in prompt:',
        PROMPTS,
    ),
    Mutation(
        "templates that name a word",
        "mcti_jax/options.py",
        'if other := BRACKETED.search(prompt.replace("{}", " ")):',
        "if other := None:",
        PROMPTS,
    ),
    Mutation(
        "tokens of another model",
        "mcti_jax/formats/tokens.py",
        '        require_width(token.token, token.vectors.shape[1], width, f"model={model}")\n',
        "",
        TOKENS,
    ),
    Mutation(
        "vectors of zeros",
        "mcti_jax/formats/tokens.py",
        "if not token.vectors.any(axis=1).all():",
        "if False:",
        TOKENS,
    ),
    Mutation(
        "NaN in a file",
        "mcti_jax/formats/read.py",
        "    if not np.isfinite(vectors).all():",
        "    if False:",
        TOKENS,
    ),
    Mutation(
        "vectors of any width",
        "mcti_jax/formats/read.py",
        "tensor.ndim in (1, 2) and tensor.shape[-1] <= _WIDEST",
        "tensor.ndim in (1, 2)",
        TOKENS,
    ),
    Mutation(
        "whole numbers for vectors",
        "mcti_jax/formats/read.py",
        "is_float = tensor.dtype in _PRECISIONS",
        "is_float = True",
        TOKENS,
    ),
    Mutation(
        "one word in two files",
        "mcti_jax/formats/read.py",
        "key = word_key(token.token)",
        "key = token.token",
        TOKENS,
    ),
    Mutation(
        "files of web UIs are not called by their names",
        "mcti_jax/formats/read.py",
        "token = replace(token, spellings=spellings)",
        "pass",
        TOKENS,
    ),
    Mutation(
        "a file's name for two tokens",
        "mcti_jax/formats/tokens.py",
        "if len(claims[word_key(spelling)]) == 1",
        "if True",
        TOKENS,
    ),
    Mutation(
        "words that cannot be typed",
        "mcti_jax/formats/tokens.py",
        "        if not is_word(self.token):",
        "        if False:",
        TOKENS,
    ),
    Mutation(
        "words as long as they like",
        "mcti_jax/formats/tokens.py",
        '.encode("utf-8", "ignore")[:_LONGEST_BYTES]',
        '.encode("utf-8", "ignore")',
        TOKENS,
    ),
    Mutation(
        "tokens of two runs in one",
        "mcti_jax/formats/tokens.py",
        "if len({token.vectors.shape for token in tokens}) > 1:",
        "if False:",
        TOKENS,
    ),
    Mutation(
        "prefixes that make no word",
        "mcti_jax/export.py",
        'if not word_stem(prefix) or not word.endswith(f"{stem}>"):',
        "if False:",
        TOKENS,
    ),
    Mutation(
        "an export of what does not fit the run's model",
        "mcti_jax/export.py",
        "        require_usable(tokens, width, model)\n",
        "",
        TOKENS,
    ),
    Mutation(
        "numbers out of range",
        "common/checks.py",
        "if not allowed.holds(value):",
        "if False:",
        SETTINGS,
    ),
    Mutation(
        "names of nothing",
        "common/choices.py",
        "if value not in (known := tuple(choices)):",
        "if not (known := tuple(choices)):",
        SETTINGS,
    ),
    Mutation(
        "settings are looked at after loading",
        "mcti_jax/method.py",
        "        check_values(config)\n",
        "",
        SETTINGS,
    ),
    Mutation(
        "more steps than the model has",
        "mcti_jax/assembly.py",
        "    check_sampling(sd.schedule, options.sampler, options.steps)\n",
        "",
        SETTINGS,
    ),
    Mutation(
        "prompts of pictures are not tried",
        "mcti_jax/assembly.py",
        'embed_prompt(sd.tokenizer, table, options.prompt.replace("{}", word), {word: vectors})',
        "pass",
        SETTINGS,
    ),
    Mutation(
        "sizes that the U-Net cannot halve",
        "common/diffusion/parts.py",
        "self.downsampling * 2 ** (len(self.unet.config.block_out_channels) - 1)",
        "self.downsampling",
        SETTINGS,
    ),
    Mutation(
        "five photos of a folder",
        "mcti_jax/options.py",
        "return 0 if config.data.startswith(ONES_OWN) else OF_A_SET",
        "return OF_A_SET",
        SETTINGS,
    ),
    Mutation(
        "half of a seed",
        "common/seeds.py",
        "np.array(divmod(seed, 2**32), np.uint32)",
        "np.array((0, seed % 2**32), np.uint32)",
        SETTINGS,
    ),
    Mutation(
        "one class, and nothing to tell it from",
        "mcti_jax/material.py",
        "if len(classnames) == 1 and not config.alpha:",
        "if False:",
        SETTINGS,
    ),
)

if __name__ == "__main__":
    main(MUTATIONS)
