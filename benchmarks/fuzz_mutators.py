"""Ways to damage a file: bytes, text, JSON and zip archives."""

import copy
import io
import json
import random
import zipfile
from typing import Any

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 3.5, -0.0, 1e-300, 1e300, 10**9, 2**31, 2**63, 2**64, 10**40),
    *(
        "",
        " ",
        "0",
        "1e9",
        "nan",
        "true",
        "..",
        "../../x",
        "/dev/zero",
        "a\0b",
        "\u202eabc",
        "é" * 80,
    ),
    *("x" * 5000, "\ud800", "{}", "{0.__class__}", "<x>", "~nobody", "\x1b[31m", "C:\\x"),
    *([], {}, [[]], [None], [0], ["a", 1], {"a": {}}, [1] * 100, [[1, 2], [3]], {"": ""}),
)
"""Values that a field of JSON may be given."""

_RAW = ("NaN", "Infinity", "-Infinity", "1e999", "[" * 3000, '{"a":' * 200, "9" * 6000, "'a'", "")


def flipped(content: bytes, rng: random.Random) -> bytes:
    """Change a few bytes."""
    damaged = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        if damaged:
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
    return bytes(damaged)


def flipped_early(content: bytes, rng: random.Random) -> bytes:
    """Change a few of the first bytes, where headers are."""
    start = flipped(content[:256], rng)
    return start + content[256:]


def truncated(content: bytes, rng: random.Random) -> bytes:
    """Cut the end off."""
    return content[: rng.randrange(len(content) + 1)]


def spliced(content: bytes, rng: random.Random) -> bytes:
    """Copy one part over another, or into it."""
    start, end = sorted(rng.randrange(len(content) + 1) for _ in range(2))
    part, place = content[start : min(end, start + 4096)], rng.randrange(len(content) + 1)
    return content[:place] + part + content[place + rng.choice((0, len(part))) :]


def overwritten(content: bytes, rng: random.Random) -> bytes:
    """Put a number at its limit somewhere."""
    place = rng.randrange(len(content) + 1)
    value = rng.choice((b"\0" * 8, b"\xff" * 8, b"\x7f" + b"\xff" * 3, b"\x80\0\0\0", b"\xff\xff"))
    return content[:place] + value + content[place + len(value) :]


def emptied(content: bytes, rng: random.Random) -> bytes:
    """Leave nothing, or only what is not a file of the kind."""
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    return rng.choice((b"", b"\0" * 100, b"\n", pointer, b"<html></html>", content * 2))


def odd_text(content: bytes, rng: random.Random) -> bytes:
    """Insert letters that text seldom has, or lose a line."""
    lines = content.split(b"\n")
    place = rng.randrange(len(lines))
    odd = rng.choice(
        (b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\t\t", "\u202e".encode(), b"\x1b[")
    )
    lines[place] = rng.choice((odd, odd + lines[place], lines[place] + odd, b"x" * 70_000))
    if rng.random() < 0.3:
        del lines[place]
    return b"\n".join(lines)


def odd_json(content: bytes, rng: random.Random) -> bytes:
    """Give a field another value, lose it, name it twice, or write what is not JSON."""
    try:
        tree = json.loads(content)
    except (ValueError, RecursionError):
        return odd_text(content, rng)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        tree = _changed(tree, rng)
    text = json.dumps(tree)
    if rng.random() < 0.15:
        text = text.replace('"__RAW__"', rng.choice(_RAW))
    if rng.random() < 0.05 and text.startswith("{"):
        text = text[:1] + text[1:-1] + "," * (len(text) > 2) + text[1:]
    return text.encode("utf-8", "surrogatepass")


def _changed(tree: Any, rng: random.Random) -> Any:
    places = list(_places(tree))[:2000]
    if not places:
        return _odd(rng)
    holder, key = rng.choice(places)
    match rng.randrange(8):
        case 0:
            del holder[key]
        case 1:
            holder[key] = [holder[key]]
        case 2:
            holder[key] = str(holder[key])
        case 3:
            holder[key] = "__RAW__"
        case 4 if isinstance(holder, dict):
            holder[str(_odd(rng))] = holder.pop(key)
        case 5 if isinstance(holder, list):
            holder.append(holder[key])
        case _:
            holder[key] = _odd(rng)
    return tree


def _odd(rng: random.Random) -> Any:
    return copy.deepcopy(rng.choice(ODD))  # Further changes may go on inside of it.


def _places(tree: Any) -> Any:
    if isinstance(tree, dict | list):
        inner = tree.items() if isinstance(tree, dict) else enumerate(tree)
        for key, value in list(inner):
            yield tree, key
            if isinstance(value, dict | list):
                yield from _places(value)


def odd_zip(content: bytes, rng: random.Random) -> bytes:
    """Damage a member of an archive, whose checksums then fit, or its name."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    except Exception:  # It is not one.
        return flipped(content, rng)
    if not members:  # They were lost before.
        return flipped(content, rng)
    place = rng.randrange(len(members))
    name, inside = members[place]
    match rng.randrange(6):
        case 0:
            del members[place]
        case 1:
            members[place] = (rng.choice(("../x", "x" * 300, "", "é", "/abs")), inside)
        case 2:
            members.append((f"{name}.npy", inside))
        case 3:
            members[place] = (name, inside + b"\0" * rng.randrange(1, 4096))
        case _:
            damage = rng.choice((flipped, flipped_early, truncated, spliced, overwritten))
            members[place] = (name, damage(inside, rng))
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as out:
        for name, inside in members:
            out.writestr(zipfile.ZipInfo(name or "_"), inside)
    return made.getvalue()


BYTES = (flipped, flipped_early, truncated, spliced, overwritten, emptied)


def mutate(content: bytes, rng: random.Random) -> bytes:
    """Return the content damaged in one of the ways that fit its kind."""
    start = content[:64].lstrip()
    if start[:1] in (b"{", b"["):
        ways = (*(odd_json,) * 8, odd_text, *BYTES)
    elif content.startswith(b"PK"):
        ways = (*(odd_zip,) * 6, *BYTES)
    elif b"\0" not in content[:4096]:
        ways = (*(odd_text,) * 4, *BYTES)
    else:
        ways = BYTES
    return rng.choice(ways)(content, rng)
