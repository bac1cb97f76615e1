"""Small copies of the layouts in which questions about images are published."""

import json

from PIL import Image

COLOURS = ("red", "green", "blue")


def picture(file, channel):
    colour = [0, 0, 0]
    colour[channel] = 255
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), tuple(colour)).save(file, "PNG")


def write_easy_vqa(folder):
    for part, count in (("train", 3), ("test", 2)):
        questions = folder / "data" / part / "questions.json"
        for number in range(count):
            picture(questions.parent / "images" / f"{number}.png", number)
        listed = [["what colour is it?", COLOURS[n], n] for n in range(count)]
        questions.write_text(json.dumps(listed))
    return folder


def photo(folder, part, number):
    return folder / part / f"COCO_{part}_{number:012d}.jpg"


def write_vqa2(folder):
    """Two photos with three questions, and one photo with one."""
    asked = {
        "train2014": [
            (420, 42, "What colour is it?", "other", ["green"] * 8 + ["lime", "a green"]),
            (70, 7, "Is it red?", "yes/no", ["yes"] * 10),
            (71, 7, "How many?", "number", ["1"] * 6 + ["one"] * 4),
        ],
        "val2014": [(90, 9, "What colour is it?", "other", ["blue"] * 10)],
    }
    for name, rows in asked.items():
        questions = [{"question_id": q, "image_id": i, "question": text} for q, i, text, *_ in rows]
        answers = [
            {
                "question_id": q,
                "image_id": i,
                "answer_type": kind,
                "answers": [{"answer": a, "answer_id": n + 1} for n, a in enumerate(given)],
            }
            for q, i, _, kind, given in rows
        ]
        write(folder / f"v2_OpenEnded_mscoco_{name}_questions.json", questions=questions)
        write(folder / f"v2_mscoco_{name}_annotations.json", annotations=answers)
    for part, number, channel in (("train2014", 7, 0), ("train2014", 42, 1), ("val2014", 9, 2)):
        picture(photo(folder, part, number), channel)
    captions = [(7, "a red thing"), (7, "something red"), (42, "green")]
    listed = [{"image_id": image, "caption": text} for image, text in captions]
    write(folder / "captions_train2014.json", annotations=listed)
    return folder


def write_nocaps(folder):
    """An image in the domain of COCO and two near it."""
    images = [
        {"id": 0, "file_name": "a.png", "domain": "in-domain"},
        {"id": 1, "file_name": "b.png", "domain": "near-domain"},
        {"id": 2, "file_name": "c.png", "domain": "near-domain"},
    ]
    for channel, image in enumerate(images):
        picture(folder / "photos" / image["file_name"], channel)
    told = [(2, "a blue thing"), (0, "a red thing"), (1, "green"), (0, "something red")]
    captions = [{"image_id": image, "caption": text} for image, text in told]
    return write(folder / "nocaps.json", images=images, annotations=captions)


def write(file, **content):
    file.write_text(json.dumps(content))
    return file
