"""Yields seeded web pages for extraction tests: generated ones, and mutations of them.

They are built to reach the extractor's branches: the class names its rules look for, nested and
unclosed markup, tables and lists, repeated paragraphs, JSON-LD, odd characters, odd tags.
"""

from __future__ import annotations

import random
from collections.abc import Iterator


def _words(text: str) -> list[str]:
    return text.split()


WORDS = _words("""
    the of and to in that is was for it with as his on be at by had not are but from or have an they
    which one you were her all she there would their we him been has when who will more no if out
    so said what up its about into than them can only other new some could time these two may then
    do first any my now such like our over man me even most made after also did many river granite
    harvest lantern orchard bridge cattle weather journal railway pottery winter straße être año
    город 新闻 κόσμος
""")
CLASSES = _words("""
    post entry post-content entry-content article-body articleBody main-content content story text
    storycontent single-post page-content footer Footer related share-bar social sidebar widget nav
    navbar menu breadcrumb author byline meta tags banner cookie-note newsletter slide hidden-xs
    d-none comment comments comment-list article-comments teaser Teaser bottom link-list caption
    paywall premium overlay row col-md-6 container wrapper media body hljs w3-code highlight print
    hide-print -reply- message related-stories outbrain sponsor popup pager
""")
BLOCKS = ("div", "div", "div", "section", "article", "main", "aside", "header", "footer", "nav",
          "form", "figure", "center", "fieldset", "details")  # fmt: skip
INLINE = ("b", "i", "em", "strong", "span", "a", "u", "sub", "code", "q", "small", "font", "del",
          "time", "label", "button", "abbr", "mark")  # fmt: skip
DOCTYPES = (
    "", "<!DOCTYPE html>\n", "<!doctype html>",
    '<?xml version="1.0" encoding="utf-8"?>\n',
    '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" '
    '"http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd">\n',
)  # fmt: skip
ODD = ("&nbsp;", "&amp;", "&lt;p&gt;", "&#13;", "©", "\u00ad", "\u2028", "a\u0301", "{", "\x85")


class PageMaker:
    """Writes random pages from one seed; a few paragraphs recur within and across its pages."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.shared = [self.sentences(4) for _ in range(12)]

    def words(self, low: int, high: int) -> str:
        """A run of words."""
        return " ".join(self.random.choices(WORDS, k=self.random.randint(low, high)))

    def sentences(self, most: int) -> str:
        """One to `most` sentences."""
        count = self.random.randint(1, most)
        return " ".join(
            f"{self.words(4, 14).capitalize()}{self.random.choice('.,.!?:')}" for _ in range(count)
        )

    def attributes(self, chance: float = 0.5) -> str:
        """Perhaps a class, an id, a style and the like."""
        draw, found = self.random, ""
        if draw.random() < chance:
            found += f' class="{" ".join(draw.choices(CLASSES, k=draw.randint(1, 3)))}"'
        if draw.random() < chance / 3:
            found += f' id="{draw.choice(CLASSES)}-{draw.randint(1, 9)}"'
        if draw.random() < 0.06:
            found += draw.choice((
                ' style="display:none"', ' style="border: 1px"', ' aria-hidden="true"',
                ' role="navigation"', ' itemprop="articleBody"', " data-lp-replacement-content",
                " hidden", ' class="ſocial K"', ' data-component="MostPopularStories"',
            ))  # fmt: skip
        return found

    def inline(self, depth: int = 0) -> str:
        """A text with inline markup."""
        pieces = []
        for _ in range(self.random.randint(1, 4)):
            roll = self.random.random()
            if roll < 0.55 or depth > 2:
                pieces.append(self.sentences(3))
            elif roll < 0.62:
                pieces.append(self.random.choice(ODD))
            elif roll < 0.7:
                pieces.append("<br>" * self.random.randint(1, 3))
            else:
                tag = self.random.choice(INLINE)
                href = ' href="/x"' if tag == "a" else ""
                inner = self.words(1, 6) if roll < 0.9 else self.inline(depth + 1)
                pieces.append(f"<{tag}{href}{self.attributes(0.1)}>{inner}</{tag}>")
        return self.random.choice((" ", "\n", "")).join(pieces)

    def paragraph(self) -> str:
        """A paragraph, at times one that other pages have as well."""
        text = self.random.choice(self.shared) if self.random.random() < 0.2 else self.inline()
        return f"<p{self.attributes(0.15)}>{text}</p>\n" * (3 if self.random.random() < 0.03 else 1)

    def table(self) -> str:
        """A table, with heads, spans and now and then one inside another."""
        rows = []
        for _ in range(self.random.randint(1, 5)):
            cells = []
            for _ in range(self.random.randint(1, 4)):
                tag = self.random.choice(("td", "td", "th"))
                span = self.random.choice(("", "", ' colspan="2"', ' colspan="x"'[:0]))
                deep = self.random.random() < 0.05
                cells.append(f"<{tag}{span}>{self.table() if deep else self.inline(2)}</{tag}>")
            rows.append(f"<tr>{''.join(cells)}</tr>")
        return f"<table{self.attributes(0.2)}>{''.join(rows)}</table>"

    def listing(self) -> str:
        """A list of texts or of links."""
        links, tag = self.random.random() < 0.5, self.random.choice(("ul", "ol"))
        items = []
        for _ in range(self.random.randint(1, 7)):
            text = self.words(1, 9)
            body = f'<a href="/y">{text}</a>' if links else self.inline(2)
            items.append(f"<li{self.attributes(0.1)}>{body}</li>")
        if self.random.random() < 0.15:
            items.append(f"<li>{self.listing()}</li>")
        return f"<{tag}{self.attributes(0.3)}>{''.join(items)}</{tag}>"

    def block(self, depth: int) -> str:
        """A block element with blocks inside, deeper ones rarer."""
        roll = self.random.random()
        if roll < 0.35 or depth > 6:
            return self.paragraph()
        if roll < 0.43:
            return self.listing()
        if roll < 0.48:
            return self.table()
        if roll < 0.54:
            level = self.random.randint(1, 6)
            return f"<h{level}{self.attributes(0.2)}>{self.inline(2)}</h{level}>"
        if roll < 0.62:
            return self.random.choice((
                f"<pre{self.attributes(0.3)}>{self.inline(2)}</pre>",
                f"<blockquote>{self.paragraph()}{self.inline(2)}</blockquote>",
                f"<dl><dt>{self.words(1, 3)}</dt><dd>{self.inline(2)}</dd></dl>",
                f"<script>var x = '{self.words(2, 9)}';</script>", "<hr>", "<img src=x.png>",
                f"<iframe src='https://www.youtube.com/{self.words(1, 1)}'></iframe>",
                f"<noscript>{self.paragraph()}</noscript>", f"<o:p>{self.inline(2)}</o:p>",
                f"<select><option>{self.words(1, 3)}</select>", "<!-- note -->",
                f"<figure>{self.table()}</figure>", f"<custom-h1>{self.inline(2)}</custom-h1>",
                "<input type=hidden><textarea>x</textarea>", self.inline(1),
            ))  # fmt: skip
        tag = self.random.choice(BLOCKS)
        inner = "".join(self.block(depth + 1) for _ in range(self.random.randint(1, 6)))
        close = "" if self.random.random() < 0.02 else f"</{tag}>"
        return f"<{tag}{self.attributes()}>{inner}{close}\n"

    def fragment(self) -> str:
        """One element without a page around it, at times after or before some words."""
        tag = self.random.choice((*BLOCKS, *INLINE, "table", "ul", "p", "h1", "iframe"))
        inner = self.random.choice((
            self.inline, self.paragraph, self.listing, self.table, lambda: self.block(5),
            lambda: self.words(1, 3), lambda: "/> " * 30,
        ))()  # fmt: skip
        before = self.random.choice(("", "", "html "))
        after = self.words(0, 3) if self.random.random() < 0.2 else ""
        return f"{before}<{tag}{self.attributes()}>{inner}</{tag}>{after}"

    def page(self) -> str:
        """A page, at times without head, body or any structure."""
        body = "".join(self.block(0) for _ in range(self.random.randint(1, 9)))
        head = f"<head><title>{self.words(2, 6)}</title><style>p{{}}</style>"
        if self.random.random() < 0.1:
            text = self.sentences(9)
            head += f'<script type="application/ld+json">{{"articleBody": "{text}"}}</script>'
        head += "</head>"
        doctype = self.random.choice(DOCTYPES)
        shape = self.random.random()
        if shape < 0.08:
            return doctype + body
        if shape < 0.12:
            return f"{doctype}<html />\n{head}<body>{body}"
        return f"{doctype}<html lang=en>{head}<body{self.attributes(0.2)}>{body}</body></html>"

    def mutated(self, page: str) -> str:
        """A page with a few places cut, doubled, moved or overwritten."""
        for _ in range(self.random.randint(1, 6)):
            start = self.random.randrange(len(page) + 1)
            part = page[start : start + self.random.randint(1, 200)]
            rest = page[start + len(part) :]
            page = page[:start] + self.random.choice((
                "", part + part, part[::-1], part.upper(), part.replace("div", "p"),
                part.replace(">", "", 1), part + "<form><form><aside>", part + "</div></div>",
                part + self.paragraph() * 4, part + self.random.choice(ODD),
            )) + rest  # fmt: skip
        if self.random.random() < 0.02:
            page = page.replace("e", self.random.choice("\x01\x0b\0"), 1)  # no XML characters
        return page


def pages(count: int, seed: int = 0) -> Iterator[str]:
    """`count` pages: half of them generated, half mutations of these."""
    maker = PageMaker(seed)
    for _ in range(count // 2):
        page = maker.page()
        yield page
        yield maker.mutated(page)
