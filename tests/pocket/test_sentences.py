from common.pocket.sentences import describe
from common.pocket.world import NAMED, RARE


def test_descriptions_are_varied_and_mostly_tell_the_look():
    for species in (*NAMED[:3], *RARE[:3]):
        sentences = describe(species, 40)
        assert len(set(sentences)) > 8
        assert all(species.name in s.lower() and s[0].isupper() and s[-1] == "." for s in sentences)
        look = species.look
        full = [s for s in sentences if look.shape in s and look.body in s and look.mark in s]
        assert 15 < len(full) < 36
