"""Signatures against values written down once from datatrove 0.10.1."""

from decant.filters import minhash
from decant.filters.doc import Doc
from decant.filters.minhash import MinHash

FINEWEB = MinHash(5, 14, 8, "sha1", 1)
TEXT = "The quick brown fox jumps over the lazy dog while 12 cats watch."


def test_the_permutations_are_those_of_the_reference():
    a, b = minhash.parameters(1, FINEWEB.permutations)
    assert a[:3].tolist() == [775169054918279404, 1758426461858698313, 2109959069025162]
    assert b[:3].tolist() == [1062448801025099917, 1324811268927594100, 1217488311597731462]


def test_a_sentence_has_the_shingles_and_first_bucket_of_the_reference():
    hashes = minhash.shingles(Doc(TEXT), FINEWEB)
    assert (len(hashes), int(hashes[0])) == (13 - 5 + 1, 12313522834835307089)
    signature = minhash.signature(hashes, FINEWEB)
    assert signature is not None
    assert signature[:8].tolist() == [
        54293386397125121,
        56602658232765293,
        74042101494666112,
        166602282250670262,
        42312182183823545,
        182392424679350814,
        316606424307206655,
        439255022718586444,
    ]


def test_a_text_of_four_words_has_no_signature():
    assert minhash.signature(minhash.shingles(Doc("only four words here"), FINEWEB)) is None
    assert minhash.signature(minhash.shingles(Doc("now there are five words"), FINEWEB)) is not None
