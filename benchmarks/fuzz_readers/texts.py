"""Sentences about classes, captions and questions."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.fuzz_readers.reader import Reader, picture, write


def _make_phrases(folder: Path) -> None:
    write(folder / "corpus.json", {"cat": ["a cat", "one cat"], "big_dog": ["a big dog"]})


def _phrases(folder: Path) -> Any:
    from protext_jax.corpus import match, read_corpus

    corpus = read_corpus(folder / "corpus.json", "{phrase}")
    lengths = {text: 5 for texts in corpus.values() for text in texts}
    return match(corpus, ["cat", "big dog"], lengths, 9)


def _make_captions(folder: Path) -> None:
    sentences = [{"raw": "a cat", "tokens": ["a", "cat"]}, {"raw": "some cat"}]
    images = [
        {"filename": name, "filepath": "all", "split": part, "sentences": sentences}
        for name, part in (("a.png", "train"), ("b.png", "test"))
    ]
    write(folder / "karpathy.json", {"images": images})
    for name in ("a.png", "b.png"):
        picture(folder / "photos/all" / name)


def _captions(folder: Path) -> Any:
    from aape_jax.datasets.caption_set import open_caption_set

    return open_caption_set(f"karpathy:{folder / 'karpathy.json'},{folder / 'photos'}")


def _make_coco(folder: Path) -> None:
    for part, number in (("train", 7), ("val", 9)):
        name = f"{number:012d}.jpg"
        captions = [{"image_id": number, "caption": f"a cat {n}"} for n in range(2)]
        content = {"images": [{"id": number, "file_name": name}], "annotations": captions}
        write(folder / f"annotations/captions_{part}2017.json", content)
        picture(folder / f"{part}2017" / name)


def _make_flickr(folder: Path) -> None:
    names = [f"{number}.jpg" for number in range(4)]
    lines = [f"{name}#{n}\t{name} {n} ." for name in names for n in range(2)]
    (folder / "Flickr8k.token.txt").write_text("\n".join(lines))
    (folder / "Flickr_8k.trainImages.txt").write_text("\n".join(names[:3]))
    (folder / "Flickr_8k.testImages.txt").write_text(names[3])
    bars = [f"{name}| 0| a cat, {name}" for name in names]
    (folder / "results.csv").write_text("\n".join(["image_name| comment_number| comment", *bars]))
    for name in names:
        picture(folder / "photos" / name)


def _make_commas(folder: Path) -> None:
    names = [f"{number}.jpg" for number in range(4)]
    lines = [f'{name},"a cat, {name}"' for name in names]
    (folder / "captions.txt").write_text("\n".join(["image,caption", *lines]))
    for name in names:
        picture(folder / "photos" / name)


def _make_by_image(folder: Path) -> None:
    for name in ("a.png", "b.png"):
        picture(folder / "photos" / name)
    write(folder / "flat.json", {"a.png": ["a cat"], "b.png": ["a dog", "one dog"]})
    write(folder / "parts.json", {"train": {"a.png": ["a cat"]}, "test": {"b.png": ["a dog"]}})


def _captioned(*specs: str) -> Callable[[Path], Any]:
    """Return what opens data sets whose strings name the folder as `@`."""

    def read(folder: Path) -> Any:
        from aape_jax.datasets.caption_set import open_caption_set

        return [open_caption_set(spec.replace("@", str(folder))) for spec in specs]

    return read


def _make_questions(folder: Path) -> None:
    for part, photo in (("train2014", 7), ("val2014", 9)):
        question = {"question_id": photo, "image_id": photo, "question": "What is it?"}
        answers = [{"answer": "a cat", "answer_id": n} for n in range(10)]
        answer = {"question_id": photo, "image_id": photo, "answer_type": "other"}
        write(folder / f"v2_OpenEnded_mscoco_{part}_questions.json", {"questions": [question]})
        content = {"annotations": [answer | {"answers": answers}]}
        write(folder / f"v2_mscoco_{part}_annotations.json", content)
        picture(folder / part / f"COCO_{part}_{photo:012d}.jpg")
    captions = {"annotations": [{"image_id": 7, "caption": "a cat"}]}
    write(folder / "captions_train2014.json", captions)


def _questions(folder: Path) -> Any:
    from aape_jax.datasets.questions import read_questions

    return read_questions(f"vqa2:{folder}")


def _make_easy(folder: Path) -> None:
    for part in ("train", "test"):
        write(folder / f"data/{part}/questions.json", [["what colour is it?", "red", 0]])
        picture(folder / f"data/{part}/images/0.png")


def _easy(folder: Path) -> Any:
    from aape_jax.datasets.questions import read_questions

    return read_questions(f"easy_vqa:{folder}")


READERS = {
    "phrases": Reader(_make_phrases, _phrases),
    "captions": Reader(_make_captions, _captions, "*.json"),
    "coco": Reader(_make_coco, _captioned("coco:@"), "**/*.json"),
    "flickr8k": Reader(_make_flickr, _captioned("flickr8k:@"), "Fl*.txt"),
    "flickr30k": Reader(_make_flickr, _captioned("flickr30k:@"), "*.csv"),
    "flickr_commas": Reader(_make_commas, _captioned("flickr8k:@"), "*.txt"),
    "captions_by_image": Reader(
        _make_by_image,
        _captioned("captions:@/flat.json,@/photos", "captions:@/parts.json,@/photos"),
        "*.json",
    ),
    "vqa2": Reader(_make_questions, _questions, "*.json"),
    "easy_vqa": Reader(_make_easy, _easy, "**/*.json"),
}
