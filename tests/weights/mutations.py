"""Breaks the readers of weights: `python -m tests.weights.mutations [NAME ...]`."""

from tests.mutations import Mutation, main

ARCHIVES = "weights/test_training_archives.py"
VARIANTS = "weights/test_variants.py"
CLIP = "clip/test_single_file.py"
DIFFUSION = "diffusion/test_single_file.py"
KEYS = "weights/test_web_ui.py"
TOKENS = "mcti/test_formats_read.py"
MEMORY = "weights/test_memory.py"
PROMPTS = "protext/test_released.py"

MUTATIONS = (
    Mutation(
        "libraries-by-their-first-letters",
        "common/weights/pickles.py",
        'f"{module}.".startswith(f"{library}.")',
        "module.startswith(library)",
        ARCHIVES,
    ),
    Mutation(
        "modules-without-end",
        "common/weights/torch_script.py",
        'if named > _MOST_NAMED or prefix.count(".") > _DEEPEST:',
        'if prefix.count(".") > _DEEPEST:',
        ARCHIVES,
    ),
    Mutation(
        "convolutions-of-flax",
        "common/weights/flax_file.py",
        '{2: "linear", 4: "conv"}',
        '{2: "linear"}',
        VARIANTS,
    ),
    Mutation(
        "half-precision-unsaid",
        "common/weights/files.py",
        'if "fp16" in name:',
        "if False:",
        VARIANTS,
    ),
    Mutation(
        "an-activation-guessed",
        "common/clip/single_file.py",
        "    if _OPENAI in tensors:",
        "    if asked is None:",
        CLIP,
    ),
    Mutation(
        "the-last-block-of-2x",
        "common/diffusion/single_file.py",
        'if "text_projection" in text and "ln_final.weight" in text:',
        "if False:",
        DIFFUSION,
    ),
    Mutation(
        "levels-that-count-up",
        "common/weights/web_ui.py",
        "levels - 1 - i",
        "i",
        KEYS,
    ),
    Mutation(
        "one-word-for-all",
        "mcti_jax/formats/trainer_files.py",
        "        if token.token in several and _SAVED.fullmatch(file.stem)",
        "        if False",
        TOKENS,
    ),
    Mutation(
        "deep-prompts-unrounded",
        "protext_jax/released.py",
        '**({"half": "True"} if deep else {}),',
        "",
        PROMPTS,
    ),
    Mutation(
        "pages-kept",
        "common/weights/table.py",
        "        release(tensors[key])",
        "        pass",
        MEMORY,
    ),
    Mutation(
        "the-last-columns-of-a-block",
        "common/weights/memory.py",
        "columns = slice(first, first + _COLUMNS)",
        "columns = slice(first, first + _COLUMNS - 1)",
        MEMORY,
    ),
    Mutation(
        "a-storage-unchecked",
        "common/weights/torch_archive.py",
        "if zlib.crc32(view) != info.CRC:",
        "if False:",
        MEMORY,
    ),
)

if __name__ == "__main__":
    main(MUTATIONS)
