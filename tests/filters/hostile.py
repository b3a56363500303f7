"""Texts nobody wrote for reading, each by what it is."""

MEGA = 1_000_000

HOSTILE = {
    "empty": "",
    "only line feeds": "\n" * 1_000,
    "one emoji": "\U0001f600",
    "a lone surrogate": "a\ud800b \udfff",
    "one letter, 10 MB": "a" * 10 * MEGA,
    "100,000 brackets": "(" * 100_000,
    "a million-word line": "word " * MEGA,
    "100,000 equals signs": "=" * 100_000,
    "100,000 full stops": "." * 100_000,
    "a chunk of alternating affixes": "'s." * 50_000,
    "at signs": "a@" * 50_000,
    "colons and at signs": "a:b@" * 30_000,
    "an endless host name": "a." * 50_000,
    "an endless address": "http://" + "a-b." * 30_000 + "com/" + "x" * 30_000,
    "hyphens": "a-" * 100_000,
    "digits and units": "1km" * 50_000,
    "emoticons": ":-)" * 30_000,
    "emoticons apart": ": - ) " * 30_000,
    "white space": " \t\u00a0\u2009" * 50_000,
    "right to left": "\u202eمرحبا بالعالم، שלום עולם. " * 2_000,
    "combining marks": "e" + "\u0301" * 100_000,
    "marks of all classes": "a" + "\u0315\u0300\u05ae\u0327" * 20_000,
    "one character a line": "a\n" * 100_000,
    "citations": "[1] [edit] a b c [citation needed]\n" * 5_000,
    "open citations": "[" * 100_000 + "1" * 100_000,
    "every line odd": "lorem ipsum { javascript privacy policy.  . \n" * 5_000,
    "NUL bytes": "\0" * 10_000,
    "all of the first plane": "".join(map(chr, range(0x10000))),
}
