"""Which lines of a text are compared with those of other texts, and the text without some of them.

The definition behind `dedup.lines` (pipeline/dedup/lines.py carries it out over a run), exactly:

- A line is what stands between newlines. Its key is its text, stripped and lower-cased; a line
  with an empty key is blank: never compared, never removed, and no part of a window.
- A window is `window` successive lines that are not blank (1: a line as in CCNet; 3: C4's span);
  its key is their keys, in order. A window whose keys have fewer than `min_chars` characters
  together is not compared.
- Documents are the survivors of document deduplication, as the filters left them, in row-key
  order within `dedup.scope`. The first occurrence of a key is the one in the smallest
  (row key, line). Any other occurrence is a repeat, unless it shares a line with the first: in
  "A A A A" no window of three is a repeat, in ten times A the lines from the fourth on are.
- Every line that lies in a repeat is removed, all at once: windows are those of the texts as they
  were, so a first occurrence stays except for lines that another window's repeat takes.
- A document that lost lines and has no text left, or fewer than `min_words` words, is dropped.
"""

from collections.abc import Collection, Sequence


def filled_lines(text: str) -> tuple[list[int], list[str]]:
    """(numbers, keys) of the lines that are not blank.

    >>> filled_lines("One \\n\\n TWO")
    ([0, 2], ['one', 'two'])
    """
    numbers, keys = [], []
    for number, line in enumerate(text.split("\n")):
        if key := line.strip().lower():
            numbers.append(number)
            keys.append(key)
    return numbers, keys


def windows(keys: Sequence[str], window: int, min_chars: int) -> tuple[list[int], list[str]]:
    """(places, keys) of the windows that are compared; a place counts the lines not blank.

    >>> windows(["a", "bcd", "e", "f", "g"], 3, 5)
    ([0, 1], ['a\\nbcd\\ne', 'bcd\\ne\\nf'])
    """
    glue = window - 1  # newlines, which no key contains, so that the joined key is unambiguous
    places, joined = [], []
    for place in range(len(keys) - window + 1):
        key = "\n".join(keys[place : place + window])
        if len(key) - glue >= min_chars:
            places.append(place)
            joined.append(key)
    return places, joined


def lines_of(text: str, places: Collection[int], window: int) -> list[int]:
    """The numbers of the lines that lie in the windows at these places, ascending.

    >>> lines_of("a\\n\\nb\\nc\\nd\\ne", [0, 1], 3)
    [0, 2, 3, 4]
    """
    numbers, _ = filled_lines(text)
    return sorted({numbers[place + step] for place in places for step in range(window)})


def without_lines(text: str, numbers: Collection[int]) -> str:
    """The text without the lines of these numbers.

    >>> without_lines("a\\nb\\nc", [1])
    'a\\nc'
    """
    gone = set(numbers)
    kept = (line for number, line in enumerate(text.split("\n")) if number not in gone)
    return "\n".join(kept)
