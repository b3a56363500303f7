"""The character sets that the reference decides with, and the bits that kernels know of a token.

The sets are those of datatrove 0.10.1 (`utils/text.py`), written as code points; a parity test
holds them equal to its own. A flag is one bit of a token or a chunk, beside its id.
"""

from __future__ import annotations


def characters(ranges: str) -> frozenset[str]:
    """The characters of a list of hexadecimal code points and ranges.

    >>> sorted(characters("21 41-43"))
    ['!', 'A', 'B', 'C']
    """
    chars: set[str] = set()
    for part in ranges.split():
        first, _, last = part.partition("-")
        chars.update(map(chr, range(int(first, 16), int(last or first, 16) + 1)))
    return frozenset(chars)


# Ends of sentences in 30-odd scripts. No quotation marks: a line of dialogue that closes with one
# does not end in terminal punctuation.
TERMINAL = characters(
    """
    21 2E 3F 589 61D-61F 6D4 700-702 7F9 837 839 83D-83E 964-965 104A-104B 1362 1367-1368
    166E 1735-1736 17D4-17D6 17D9-17DA 1803 1809 1944-1945 1AA8-1AAB 1B5A-1B5B 1B5E-1B5F
    1B7D-1B7E 1C3B-1C3C 1C7E-1C7F 203C-203D 2047-2049 2E2E 2E3C 2E53-2E54 3002 A4FF
    A60E-A60F A6F3 A6F7 A876-A877 A8CE-A8CF A92F A9C8-A9C9 AA5D-AA5F AAF0-AAF1 ABEB FE52
    FE56-FE57 FF01 FF0E FF1F FF61 10A56-10A57 10F55-10F59 10F86-10F89 11047-11048
    110BE-110C1 11141-11143 111C5-111C6 111CD 111DE-111DF 11238-11239 1123B-1123C 112A9
    1144B-1144C 115C2-115C3 115C9-115D7 11641-11642 1173C-1173E 11944 11946 11A42-11A43
    11A9B-11A9C 11C41-11C42 11EF7-11EF8 11F43-11F44 16A6E-16A6F 16AF5 16B37-16B38 16B44
    16E98 1BC9F 1DA88
    """
)

# What separates words in the normalised text of MinHash: ASCII, some typographic and full-width
# marks, and the control characters of C0 and C1 except tab and line feed.
PUNCTUATION = frozenset(
    "!/—”:％１〈&(、━\\【#%「」，】；+^]~“《„';’{|∶´[=-`*．（–？！：$～«〉,><》)?）。…@_.\"}►»"
) | characters("0-8 B-C D-1F 7F-9F")

# A word made of these alone is a symbol.
SYMBOLS = PUNCTUATION | TERMINAL

# Of a token.
ALPHABETIC = 1  # has a letter
WORDLIKE = 2  # has a character that is no symbol: Gopher's non-symbol word
PUNCTUATION_MARK = 4  # spaCy's is_punct: every character of category P
SENTENCE_END = 8  # spaCy's sentencizer closes a sentence with it

# Of a chunk: a special case was joined in it, so its neighbours have a say.
JOINED_WORDS = 1
JOINED_SHINGLES = 2
