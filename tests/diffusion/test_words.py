"""Learned words that a prompt names without their brackets."""

import pytest

from common.diffusion.words import find_words, tell_unbracketed, tell_unread, words_of_several

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


def test_words_of_several_tokens():
    added = ("<a>", "<b>", "<b>_1", "sks", "sks_1", "sks_2", "sks_4", "<c>_1")
    assert words_of_several(added) == {"<b>": ["<b>", "<b>_1"], "sks": ["sks", "sks_1", "sks_2"]}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a <b>, a sks", ["<b>", "sks"]),
        ("a <b> <b>_1, a sks", ["sks"]),
        ("a <b>_1", []),
        ("sks sks_1", []),
        ("<b>_", ["<b>"]),
    ],
)
def test_a_word_that_is_spelled_out_stays_as_it_is(text, found):
    matches = find_words(text, ("<b>", "sks"), others=("<b>", "<b>_1", "sks", "sks_1"))
    assert [match.word for match in matches] == found
