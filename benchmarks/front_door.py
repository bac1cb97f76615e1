"""What lists cost: CLIP's `image_features` and `text_features` beside hand-written jitted loops.

    python -m benchmarks.front_door [--model=pocket --size=200]

The loop is what a user of JAX writes for one size: weights put on the device once, batches of 64,
the last one filled up, one jitted function. Both are timed after their first call. Then it counts
the programs that lists of 1 to 17 entries compile, the first time and the second.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from PIL import Image

from benchmarks.machine import describe_machine
from benchmarks.timing import rates
from common.clip import CLIP, encode_image, encode_text, load_clip
from common.errors import run_command
from common.evaluation.tables import markdown_table
from common.progress import say

AT_ONCE = 64
SIZES = range(1, 18)
WORDS = ("red", "blue", "small", "large", "thing", "photo", "sand", "water")


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_string("model", "pocket", "CLIP: pocket, a directory or a hub id.")
    flags.DEFINE_integer("size", 200, "Photos and texts of a list.", lower_bound=1)
    flags.DEFINE_float("seconds", 1.0, "Least time of one measurement.", lower_bound=0)
    flags.DEFINE_integer("repeats", 5, "Measurements of each.", lower_bound=1)


def make_lists(size: int) -> tuple[list[Image.Image], list[str]]:
    """Return random photos and sentences."""
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (size, 48, 64, 3), dtype=np.uint8)
    texts = [f"a {' '.join(generator.choice(WORDS, 3))}" for _ in range(size)]
    return [Image.fromarray(photo) for photo in pixels], texts


def hand_written(clip: CLIP) -> tuple[Callable, Callable]:
    """Return the two loops: of photos and of texts."""
    vision, text = (jax.device_put(clip.params[name]) for name in ("vision", "text"))

    @jax.jit
    def see(params, pixels):
        features = encode_image(clip.image_tower, params, pixels).astype(jnp.float32)
        return features / jnp.linalg.norm(features, axis=-1, keepdims=True)

    @jax.jit
    def read(params, ids):
        features = encode_text(clip.text_tower, params, ids).astype(jnp.float32)
        return features / jnp.linalg.norm(features, axis=-1, keepdims=True)

    def loop(run: Callable, params, rows: np.ndarray) -> np.ndarray:
        filled = np.concatenate([rows, np.repeat(rows[-1:], -len(rows) % AT_ONCE, axis=0)])
        parts = np.split(filled, range(AT_ONCE, len(filled), AT_ONCE))
        return np.concatenate([np.asarray(run(params, part)) for part in parts])[: len(rows)]

    def images(photos: Sequence[Image.Image]) -> np.ndarray:
        return loop(see, vision, np.stack([clip.preprocess(photo) for photo in photos]))

    def texts(sentences: Sequence[str]) -> np.ndarray:
        return loop(read, text, clip.tokenizer(sentences))

    return images, texts


@contextlib.contextmanager
def compilations() -> Iterator[list[str]]:
    """Yield what JAX logs about each program that it compiles in the body."""
    messages: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            text = record.getMessage()
            if text.startswith("Compiling") and "encode" in text:
                messages.append(text)

    logger, listener = logging.getLogger("jax"), Listener()
    logger.addHandler(listener)
    propagates, logger.propagate = logger.propagate, False
    try:
        with jax.log_compiles():
            yield messages
    finally:
        logger.removeHandler(listener)
        logger.propagate = propagates


def sizes_table(encode: Callable[[list], object], entries: list) -> list[list[str]]:
    """Report for each size: programs and seconds of the first call and of the second."""
    rows = []
    for size in SIZES:
        row = [str(size)]
        for _ in range(2):
            with compilations() as programs:
                started = time.perf_counter()
                encode(entries[:size])
                row += [str(len(programs)), f"{time.perf_counter() - started:.3f}"]
        rows.append(row)
    return rows


def main(argv: Sequence[str]) -> None:
    """Print a table of ratios, and one of sizes for photos and for texts."""
    del argv
    options = flags.FLAGS
    clip = load_clip(options.model, "auto")
    photos, texts = make_lists(max(options.size, SIZES.stop))
    head = ["size", "programs, first", "seconds, first", "programs, second", "seconds, second"]
    for name, encode, entries in (
        ("image_features", clip.image_features, photos),
        ("text_features", clip.text_features, texts),
    ):
        say(f"\n{name}\n{markdown_table(head, sizes_table(encode, entries))}")
    images, sentences = hand_written(clip)
    photos, texts = photos[: options.size], texts[: options.size]
    difference = np.abs(images(photos) - clip.image_features(photos)).max()
    speed = rates(
        {
            "image_features": lambda: clip.image_features(photos),
            "images by hand": lambda: images(photos),
            "text_features": lambda: clip.text_features(texts),
            "texts by hand": lambda: sentences(texts),
        },
        options.seconds,
        options.repeats,
    )
    rows = [
        [
            name,
            f"{1 / speed[name]:.3f}",
            f"{1 / speed[hand]:.3f}",
            f"{speed[hand] / speed[name]:.2f}",
        ]
        for name, hand in (("image_features", "images by hand"), ("text_features", "texts by hand"))
    ]
    head = [f"{options.size} entries", "seconds", "by hand", "ratio"]
    say(f"\n{markdown_table(head, rows)}")
    say(f"\nLargest difference of image features: {difference:.1e}.")
    say(f"{options.model}, {describe_machine('jax')}")


if __name__ == "__main__":
    run_command(main, define_flags)
