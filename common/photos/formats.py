"""Kinds of picture files: those that are read, and how the others are reported."""

import functools

from PIL import features

# Pillow's readers by suffix. No other reader of Pillow ever sees a file: some of them start
# programs, and few are as well tried.
_READ = {
    ".avif": "AVIF",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".jfif": "JPEG",
    ".jpe": "JPEG",
    ".jpeg": "JPEG",
    ".jpg": "JPEG",
    ".mpo": "JPEG",
    ".pbm": "PPM",
    ".pgm": "PPM",
    ".png": "PNG",
    ".pnm": "PPM",
    ".ppm": "PPM",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}
_COMMON = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "PPM")  # The first that is asked answers first.
_OPTIONAL = {"AVIF": "avif", "WEBP": "webp"}  # Not in every build of Pillow.

_CONVERT = "to be converted to JPEG or PNG"
_CONVERTED = frozenset(
    f".{kind}"
    for kind in (
        *("arw", "cr2", "cr3", "dng", "nef", "orf", "raf", "rw2"),  # raw files of cameras
        *("eps", "exr", "hdr", "heic", "heif", "hif", "ico", "j2k", "jp2", "jxl"),
        *("pdf", "pfm", "psd", "svg", "tga", "xcf"),
    )
)

_WEB_PAGE = "is a web page: download the picture again"
# By what stands at the given byte of a file that is not a picture that is read.
_KNOWN = (
    *(
        (4, b"ftyp" + brand, "is HEIC, which is not read: convert it to JPEG or PNG")
        for brand in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")
    ),
    (4, b"ftypavif", "is AVIF, which this Pillow does not read: pip install -U pillow"),
    (0, b"version https://git-lfs", "is a pointer of Git-LFS: run git lfs pull"),
    (0, b"<!DOCTYPE", _WEB_PAGE),
    (0, b"<!doctype", _WEB_PAGE),
    (0, b"<html", _WEB_PAGE),
    (0, b"<svg", "is SVG, which is not read: convert it to PNG"),
    (0, b"%!PS", "is PostScript, which is not read: convert it to PNG"),
    (0, b"%PDF", "is PDF, which is not read: convert it to PNG"),
    (0, b"8BPS", "is Photoshop's, which is not read: convert it to PNG"),
    (0, b"\xff\x0a", "is JPEG XL, which is not read: convert it to JPEG or PNG"),
    (0, b"\x00\x00\x00\x0cjP", "is JPEG 2000, which is not read: convert it to PNG"),
    (0, b"PK\x03\x04", "is a zip: unpack it"),
)


@functools.cache
def formats() -> tuple[str, ...]:
    """Return the names of Pillow's readers that may open a file, the usual ones first."""
    absent = {name for name, module in _OPTIONAL.items() if not _built_in(module)}
    return tuple(name for name in dict.fromkeys((*_COMMON, *_READ.values())) if name not in absent)


@functools.cache
def suffixes() -> frozenset[str]:
    """Return the suffixes of the files that are taken for photos."""
    return frozenset(suffix for suffix, name in _READ.items() if name in formats())


def why_not(suffix: str) -> str:
    """Return the remedy for files of a suffix that is not among `suffixes()`."""
    if suffix in _READ:
        return "not read by this Pillow: pip install -U pillow"
    return _CONVERT if suffix in _CONVERTED else "not a photo's suffix"


def recognise(content: bytes) -> str:
    """Return what the content of a file is that no reader knows; empty if that is not known."""
    if not content.strip(b"\0"):
        return "is empty: copy it again"
    reasons = (reason for at, magic, reason in _KNOWN if content[at:].startswith(magic))
    return next(reasons, "")


def _built_in(module: str) -> bool:
    return module in features.modules and features.check_module(module)
