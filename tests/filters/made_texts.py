"""Texts made by a seeded generator: ordinary, repetitive, short, and hostile ones."""

import random
import string
from collections.abc import Iterator

COMMON_TEXT = """
the of and to in a is that for it as was with be by on not he his but at are this have from or had
an they which one you were all her she there would their we him been has when who will no more if
out so up said what its about than into them can only other time new some could these two may first
then do any like my now over such our man even most made after also did many off before must well
back through years where much your way down should because long
"""
ODD_TEXT = """
don't I'm can't he's we'll U.S. e.g. i.e. a.m. 10am 5km 3.14 $5.00 US$20 50% #tag @name 's ‘s w/o
state-of-the-art http://example.com/a?b=c www.example.org a@b.co C++ :-) ;) xD ... … — – and/or
«voilà» “quoted” ‘single’ naïve café Straße ΣΊΣΥΦΟΣ ЖУК 北京 東京。 العربية עברית हिन्दी। e\u0301a
[12] [edit] [citation needed] {x} javascript: lorem ipsum cookie policy terms of use 0km \u200b x(:
-) hello:) (((( )))) ==== a.b,c;d A.B.C. 12,345.67 ٣٫١٤ ½ ² x² 5m² IS_ALPHA ORTH \U0001f600 ﬁ Ａ Å
İ ſ K 👩‍👩‍👧 \u037e \u0344 \u0301
"""
COMMON = COMMON_TEXT.split()
ODD = [*ODD_TEXT.split(), "\u00a0", "[citation needed]", "lorem ipsum", "privacy policy"]
SPACES = (" ", "  ", "\t", "\u00a0", "\u3000", "\u2009")
ENDS = (".", "!", "?", "", ",", ":", '"', "'", "”", "...", "…", "。")
LINE_ENDS = ("\n", "\n", "\n", "\n\n", "\n\n\n", "\r\n", "\u2028", "\x0b", "\x85")


def texts(count: int, seed: int) -> Iterator[str]:
    """`count` texts, the same for the same seed."""
    generator = random.Random(seed)
    for _ in range(count):
        yield text(generator)


def text(generator: random.Random) -> str:
    """One text: lines of words, now and then repeated, broken or strange."""
    oddness = generator.choice((0.0, 0.02, 0.02, 0.1, 0.5))
    repeat = generator.choice((0.0, 0.0, 0.05, 0.3))
    lines: list[str] = []
    for _ in range(generator.choice((1, 3, 8, 8, 12, 20))):
        if lines and generator.random() < repeat:
            lines.append(generator.choice(lines))
        else:
            lines.append(line(generator, oddness))
    whole = "".join(one + generator.choice(LINE_ENDS[: 3 if oddness < 0.1 else 9]) for one in lines)
    return whole if generator.random() < 0.3 else whole.strip()


def line(generator: random.Random, oddness: float) -> str:
    """One line of sentences."""
    vocabulary = COMMON[: generator.choice((5, 40, 100, 100))]
    parts: list[str] = []
    for _ in range(generator.choice((0, 1, 2, 6, 12, 25, 40))):
        word = generator.choice(vocabulary)
        if generator.random() < oddness:
            word = generator.choice(ODD)
        elif generator.random() < 0.3:
            word = "".join(generator.choices(string.ascii_lowercase, k=generator.randint(2, 12)))
        if generator.random() < 0.12:
            word += generator.choice(ENDS)
        parts.append(word)
        parts.append(generator.choice(SPACES) if generator.random() < oddness / 3 else " ")
    bullet = generator.choice(("", "", "", "", "- ", "• "))
    return bullet + "".join(parts[:-1]) + generator.choice(ENDS)
