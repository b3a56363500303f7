"""What the pages of a sample crawl are about to happen to: one kind of page per fate.

A kind writes the blocks of a page's main part so that FineWeb's recipe ends it at the named rule,
or keeps it. The share is how often it comes up among the pages that are no copies of others.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random

from decant.pipeline.sample.english import PLACES, TOPICS, Writer
from decant.pipeline.sample.languages import ENGLISH, TONGUES, Tongue

Block = tuple[str, str]  # HTML element, text

KEPT = "kept"
DUPLICATE = "minhash_duplicate"
# Too far from its model for a certain find, too near for a certain miss.
CHANCE = "kept or minhash_duplicate"


@dataclass(frozen=True)
class Kind:
    """A kind of page: its name, its share, the rule that ends it, and who writes it."""

    name: str
    share: int
    fate: str
    blocks: Callable[[Random], list[Block]]
    url: str | None = None  # a host or path that decides by itself
    payload: str = "page"  # page, shell, pdf, noise, nothing or damaged
    tongue: Tongue = ENGLISH


def article(random: Random) -> list[Block]:
    """A plain article of four to nine paragraphs: the kind that a corpus is made for."""
    writer = Writer(random)
    return [("p", text) for text in writer.article(4 + random.randrange(6))]


def article_with_headings(random: Random) -> list[Block]:
    writer = Writer(random)
    blocks: list[Block] = []
    for text in writer.article(6 + random.randrange(4)):
        if random.random() < 0.3:
            blocks.append(("h2", writer.title()))
        blocks.append(("p", text))
    return blocks


def article_with_notices(random: Random) -> list[Block]:
    """Lines that C4 removes between paragraphs that it keeps."""
    blocks = article(random)
    notices = (
        "Please switch on JavaScript to see the comments below this article.",
        "This site uses cookies so that it can remember what you have read.",
        "By reading on you accept our terms of use and everything in them.",
    )
    blocks.insert(2, ("p", random.choice(notices)))
    name, text = blocks[0]
    blocks[0] = (name, text.replace(". ", " [1]. ", 1).replace(". ", " [edit]. ", 1))
    return blocks


def article_with_addresses(random: Random) -> list[Block]:
    """Personal data in running text: two mail addresses, a public and a private IP address."""
    blocks = article(random)
    place = random.choice(PLACES).lower()
    first = f"Questions reach the editors at {place}.desk@post-{place}.example or at"
    second = f"news+tips@{place}.example.org, and never by telephone on Sundays."
    third = f"The old server at 8.{random.randrange(256)}.{random.randrange(256)}.77 was switched"
    fourth = "off in May; the new one has the address 192.168.0.12 and a louder fan."
    return [*blocks, ("p", f"{first} {second}"), ("p", f"{third} {fourth}")]


def foreign(random: Random, tongue: Tongue) -> list[Block]:
    return [("p", tongue.paragraph(random, 5)) for _ in range(3 + random.randrange(4))]


def thin(random: Random) -> list[Block]:
    """Fewer than fifty words, but the 250 characters that an extractor takes for a text."""
    while True:
        text = Writer(random).paragraph(3)
        words = text.split()
        if len(text) > 260 and len(words) < 41 and len(set(words)) > 0.9 * len(words):
            return [("p", text)]


def empty(_: Random) -> list[Block]:
    return []


def keyword_spam(random: Random) -> list[Block]:
    """One phrase over and over in every sentence."""
    writer = Writer(random)
    phrase = f"buy {random.choice(writer.words('M'))}"
    lines = []
    for _ in range(12):
        tail = random.choice(writer.words("M"))
        lines.append(
            f"The best place to {phrase} is here, because when you {phrase} with us and {phrase} "
            f"for {tail} you {phrase} cheaper than those who {phrase} in {random.choice(PLACES)}."
        )
    return [("p", " ".join(lines))]


def repeated_lines(random: Random) -> list[Block]:
    """A product list in which the same few sentences stand again and again."""
    texts = [sentence for sentence in Writer(random).sentences(5) if len(sentence) < 100]
    return [("p", text) for _ in range(6) for text in texts or ["In stock again, order today."]]


def bullets(random: Random) -> list[Block]:
    return [("li", text) for text in Writer(random).sentences(14)]


def teasers(random: Random) -> list[Block]:
    """The beginnings of articles that go on elsewhere."""
    return [("p", Writer(random).sentence("...")) for _ in range(16)]


def hashtags(random: Random) -> list[Block]:
    writer = Writer(random)
    tags = [word for topic in sorted(TOPICS) for word in TOPICS[topic][1].split(";")]
    return [
        ("p", f"{writer.sentence()} " + " ".join(f"#{tag}" for tag in random.sample(tags, 9)))
        for _ in range(6)
    ]


def price_table(random: Random) -> list[Block]:
    """More numbers than words."""
    writer = Writer(random)
    forms = (
        "The {t} of {a} costs {b} and {c} / {d}, {e}.",
        "For this {t} we want {a} or {b} / {c}, {d} - {e}.",
        "{a} or {b}: that {t} was {c} and {d} / {e}.",
    )
    rows = []
    for _ in range(24):
        numbers = dict(zip("abcde", random.sample(range(100, 9_000), 5), strict=True))
        rows.append(random.choice(forms).format(t=random.choice(writer.words("T")), **numbers))
    return [("p", row) for row in rows]


def keywords_only(random: Random) -> list[Block]:
    """Sentences without a single stop word of Gopher's list."""
    lines = []
    for _ in range(9):
        writer = Writer(random)
        first, second, third = random.sample(writer.words("M"), 3)
        thing, place = random.choice(writer.words("T")), random.choice(PLACES)
        form = random.choice((
            "Our shop sells {a}, {b} or {c} in {p}.",
            "Good {a} are rare; we found some near {p}.",
            "Everybody here likes {a} but who can resist any {b}?",
            "{p} is famous for its {t}, {q} {a} are not.",
            "Why not visit {p} on Sunday? Bring {b}, bring {c}.",
            "This {t} always looks {q} while {a} never do.",
            "You might find {c} behind every {q} {t}.",
        ))  # fmt: skip
        quality = random.choice(writer.words("Q"))
        line = form.format(a=first, b=second, c=third, t=thing, p=place, q=quality)
        lines.append(line[0].upper() + line[1:])
    return [("p", line) for line in dict.fromkeys(lines)]


def source_code(random: Random) -> list[Block]:
    blocks = article(random)
    blocks.insert(1, ("p", "The loop starts with while (tide > 0) { row(); } and ends at noon."))
    return blocks


def placeholder(random: Random) -> list[Block]:
    blocks = article(random)
    blocks.insert(1, ("p", "Lorem ipsum dolor sit amet stands where the caption should have been."))
    return blocks


def long_sentences(random: Random) -> list[Block]:
    """Two hundred words in three sentences."""
    writer = Writer(random)
    lines = []
    for _ in range(3):
        parts = [writer.sentence(";") for _ in range(4)]
        lines.append(" ".join(part[0].lower() + part[1:] for part in parts)[:-1] + ".")
    return [("p", line[0].upper() + line[1:]) for line in lines]


def no_full_stops(random: Random) -> list[Block]:
    """Lines that end without a mark; the five sentences that C4 asks for stand inside the lines."""
    writer = Writer(random)
    return [("p", f"{writer.sentence()} {writer.sentence('')}") for _ in range(12)]


def short_lines(random: Random) -> list[Block]:
    """A poem: most lines have at most thirty characters."""
    writer = Writer(random)
    lines = []
    for _ in range(40):
        thing, quality = random.choice(writer.words("T")), random.choice(writer.words("Q"))
        form = random.choice(
            ("the {t} is {q}.", "oh my {q} {t}", "and a {q} {t}", "here is the {t}.")
        )
        lines.append(form.format(t=thing, q=quality))
    return [("p", line) for line in dict.fromkeys(lines)]


def signature_line(random: Random) -> list[Block]:
    """An article with one line that comes twice: over 1% of the characters, under 20%."""
    blocks = article(random)
    line = "Read more about this and other things in the archive of our paper, from page one on."
    return [blocks[0], ("p", line), *blocks[1:], ("p", line)]


KINDS = (
    Kind("article", 34, KEPT, article),
    Kind("article with headings", 8, KEPT, article_with_headings),
    Kind("article with notices", 5, KEPT, article_with_notices),
    Kind("article with addresses", 4, KEPT, article_with_addresses),
    Kind("thin", 5, "gopher_word_count_floor", thin),
    Kind("empty shell", 3, "extraction_empty", empty, payload="shell"),
    Kind("keyword spam", 2, "gopher_top_2_gram_char_fraction", keyword_spam),
    Kind("repeated lines", 2, "gopher_duplicate_line_fraction", repeated_lines),
    Kind("bullets", 1, "gopher_bullet_line_fraction", bullets),
    Kind("teasers", 1, "gopher_ellipsis_line_fraction", teasers),
    Kind("hashtags", 1, "gopher_hashes_per_word", hashtags),
    Kind("price table", 1, "gopher_alpha_word_fraction", price_table),
    Kind("keywords only", 1, "gopher_stop_words", keywords_only),
    Kind("source code", 1, "c4_curly_bracket_lines", source_code),
    Kind("placeholder", 1, "c4_lorem_ipsum_lines", placeholder),
    Kind("long sentences", 1, "c4_sentences", long_sentences),
    Kind("no full stops", 1, "fineweb_line_punctuation_fraction", no_full_stops),
    Kind("short lines", 1, "fineweb_short_line_fraction", short_lines),
    Kind("signature line", 1, "fineweb_duplicate_line_char_fraction", signature_line),
    Kind("listed domain", 1, "url_domain", article, "www.pornhub.com"),
    Kind("listed host", 1, "url_subdomain", article, "0-puppy-0.tumblr.com"),
    Kind("banned word", 1, "url_banned_word", article, "{host}/bdsm"),
    Kind("soft words", 1, "url_soft_banned_words", article, "{host}/sexy-webcam"),
    Kind("banned part", 1, "url_banned_subword", article, "{host}/myfreesexpage"),
    Kind("not a page", 1, "not_html", article, payload="pdf"),
    Kind("noise", 1, "undecodable_charset", article, payload="noise"),
    Kind("no payload", 1, "empty_payload", article, payload="nothing"),
    Kind("damaged record", 1, "error", article, payload="damaged"),
    *(
        Kind(
            f"in {tongue.name.title()}",
            2,
            "language_score",
            partial(foreign, tongue=tongue),
            tongue=tongue,
        )
        for tongue in TONGUES
    ),
)
