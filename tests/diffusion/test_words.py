"""Learned words that a prompt names without their brackets."""

import pytest

from common.diffusion.words import tell_unbracketed, tell_unread

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


@pytest.mark.parametrize(("guidance", "told"), [(0.0, True), (1.0, True), (1.5, False)])
def test_a_negative_prompt_is_read_with_guidance_alone(guidance, told, capsys):
    tell_unread(["a <dog>"], "sand", WORDS, guidance)
    sentence = f"negative='sand' is not read with guidance={guidance:g}, which is none."
    assert capsys.readouterr().out.splitlines() == ([sentence] if told else [])
    tell_unread(["a <dog>"], "", WORDS, guidance)
    assert not capsys.readouterr().out
