"""What `benchmarks.fuzz` reads: for each reader sound files, and how they are read."""

from benchmarks.fuzz_readers import hugging_face, learned, models, photos, runs, texts, weights
from benchmarks.fuzz_readers.reader import Reader
from benchmarks.fuzz_readers.reader import write as write

READERS: dict[str, Reader] = {
    **models.READERS,
    **weights.READERS,
    **learned.READERS,
    **photos.READERS,
    **hugging_face.READERS,
    **texts.READERS,
    **runs.READERS,
}
