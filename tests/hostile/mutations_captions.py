"""What takes the checks of captioned photos out, and the test that notices.

python -m tests.hostile.mutations_captions [NAME ...]
"""

from tests.mutations import Mutation, main

COCO = "aape_jax/datasets/coco_captions.py"
FLICKR = "aape_jax/datasets/flickr.py"
BY_IMAGE = "aape_jax/datasets/captions_by_image.py"
TEST = "aape/test_captioned_sets.py"

MUTATIONS = (
    Mutation(
        "an image twice in Karpathy's file",
        "aape_jax/datasets/karpathy.py",
        '        require_once(names, "image", file)\n',
        "",
        "hostile/test_caption_files.py",
    ),
    Mutation("tested on what is learned from", COCO, '"test": "val"', '"test": "train"', TEST),
    Mutation("images twice", COCO, '    require_once(ids, "image", file)\n', "", TEST),
    Mutation(
        "captions of no image",
        COCO,
        "if unknown := captions.keys() - set(ids):",
        "if unknown := set():",
        TEST,
    ),
    Mutation(
        "the captions of another image",
        COCO,
        "tuple(captions.get(key, ()) for key in ids)",
        "tuple(captions.get(key, ()) for key in reversed(ids))",
        TEST,
    ),
    Mutation("the first of two years", COCO, "    if len(years) > 1:", "    if False:", TEST),
    Mutation(
        "tested images are learned from",
        BY_IMAGE,
        "else images[:-count]",
        "else images",
        TEST,
    ),
    Mutation(
        "many are tested", BY_IMAGE, "min(MOST, -(-len(images) // 10))", "len(images) // 2", TEST
    ),
    Mutation(
        "captions without words",
        "aape_jax/datasets/worded.py",
        "        if caption.strip():",
        "        if True:",
        TEST,
    ),
    Mutation(
        "images in both parts of a JSON file",
        BY_IMAGE,
        '    require_apart(parts["train"], parts[test], file)\n',
        "",
        TEST,
    ),
    Mutation(
        "images in both lists",
        FLICKR,
        '    require_apart(lists["train"], lists["test"], folder)\n',
        "",
        TEST,
    ),
    Mutation("captions twice", FLICKR, '    require_once(numbered, "caption", file)\n', "", TEST),
    Mutation(
        "the line that lacks a bar",
        FLICKR,
        "    if not second and (match := _NUMBERED.fullmatch(rest)):",
        "    if match := None:",
        TEST,
    ),
    Mutation("one list of two", FLICKR, "if file is None]:", "if file == folder]:", TEST),
    Mutation("the first caption of a file", FLICKR, "1 if named else 0", "1", TEST),
    Mutation(
        "what systems leave behind",
        FLICKR,
        "if not in_droppings(path.relative_to(folder))",
        "if path",
        TEST,
    ),
)

if __name__ == "__main__":
    main(MUTATIONS)
