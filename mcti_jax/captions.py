"""Captions beside photos: `photo.txt` says what else `photo.jpg` shows.

What a caption says about a photo need not be learned by the token of its class.
"""

from collections.abc import Collection, Sequence

from common.data import ImageSplit
from common.data.class_folders import CAPTION_SUFFIX
from common.diffusion.words import BRACKETED, word_stem
from common.errors import UserError
from common.files import read_text
from common.photos.photo import EncodedPhoto

SLOT = "{}"


def captions_beside(split: ImageSplit) -> tuple[str, ...]:
    """Return the caption of each photo, "" where there is none.

    Raises:
      UserError: A file of a caption cannot be read.
    """
    return tuple(map(_beside, split.pictures))


def prompts_of_photos(
    captions: Sequence[str], names: Sequence[str], template: str, words: Collection[str] = ()
) -> tuple[str, ...]:
    """Return the prompt of each photo, in which `{}` stands for the learned word.

    A caption that has `{}` is the prompt, any other one follows the template, as in web UIs; a
    photo without a caption has the template alone.

    Args:
      captions: As they were written.
      names: Of the photos, for sentences.
      template: With one `{}`.
      words: Of the run's classes, e.g. `<mug2>`.

    Raises:
      UserError: A caption has more than one `{}`, or one of the words, which would be plain text.
    """
    stems = set(map(word_stem, words))
    prompts = []
    for caption, name in zip(captions, names, strict=True):
        text = " ".join(caption.split())
        if text.count(SLOT) > 1:
            raise UserError(f"the caption of {name} has {text.count(SLOT)} {SLOT}: keep one.")
        if said := [m[0] for m in BRACKETED.finditer(text) if word_stem(m[0]) in stems]:
            raise UserError(
                f"the caption of {name} names {said[0]}, but a caption has the word of its photo's "
                f"class at {SLOT} alone: write {SLOT} there, and leave the other classes' out."
            )
        whole = SLOT in text or not text
        prompts.append((text or template) if whole else f"{template}, {text}")
    return tuple(prompts)


def _beside(picture: object) -> str:
    path = picture.path if isinstance(picture, EncodedPhoto) else None
    file = path and path.with_suffix(CAPTION_SUFFIX)
    return read_text(file) if file and file.is_file() else ""
