"""Learned words that a prompt names without their brackets."""

import pytest

from common.diffusion.words import tell_unbracketed

WORDS = ("<zorvik>", "<red-dog>", "<dog>", "<dog2>", "<both>", "both", "sks")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a photo of zorvik", "<zorvik>"),
        ("A Photo of (ZORVIK:1.3)", "<zorvik>"),
        ("red dog", "<red-dog>, <dog>"),
        ("a red_dog2", "<dog2>"),
        ("a zorviks dog3, both and sks", ""),
        ("a <zorvik> on a zorvik", ""),
        ("a <red-dog>", ""),
        ("", ""),
    ],
)
def test_what_is_told(text, told, capsys):
    tell_unbracketed((text, text), WORDS)
    lines = capsys.readouterr().out.splitlines()
    sentence = f"{text!r} is drawn without {told}, which it names without brackets."
    assert lines == ([sentence] if told else [])
