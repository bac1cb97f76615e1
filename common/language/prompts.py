"""What stands around captions and questions in a language model's text (LiMBeR, MAGMA)."""

CAPTION = "A picture of"
"""Follows a picture; the caption follows it, behind a space."""

SEPARATOR = "\n"
"""Between the examples of a prompt; a generated answer ends there at the latest."""


def question(text: str) -> str:
    """Return a question, up to the space before its answer."""
    return f"Q: {text} A:"
