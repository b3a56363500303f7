"""HTML pages around a main part: menus, teasers, scripts and footers as sites have them.

A site keeps its look: the frame is drawn from the host's name, so that all pages of a host share
it, as boilerplate does.
"""

from dataclasses import dataclass
from functools import lru_cache
from html import escape
from itertools import groupby
from random import Random

from decant.pipeline.sample.english import PLACES, TOPICS

SECTIONS = (
    "Home;News;Local;Opinion;Culture;Sport;Travel;Weather;Recipes;Letters;Archive;Contact;About us;"
    "Subscribe;Newsletter;Jobs;Events;Photos;Radio;Shop"
)
FOOTERS = (
    "Copyright 2024 {site}. All rights reserved.",
    "{site} is not responsible for the content of external links.",
    "Printed on recycled paper. Imprint. Contact. Accessibility.",
)
STYLE = """body{margin:0;font:16px/1.5 Georgia,serif;color:#222}nav ul{display:flex;list-style:none}
nav li{margin-right:1em}main{max-width:44em;margin:auto}aside{float:right;width:14em}
footer{clear:both;border-top:1px solid #ccc;font-size:.8em}.teaser{color:#555}"""
SCRIPT = """(function(){var q=window.dataLayer=window.dataLayer||[];function push(n,v){
q.push({event:n,value:v,time:Date.now()})}
document.addEventListener("click",function(e){var t=e.target.closest("a");
if(t){push("link",t.getAttribute("href"))}});window.addEventListener("load",function(){push("load",
document.readyState)})})();"""


@dataclass(frozen=True)
class SiteFrame:
    """What a site puts before and after the main part of every page."""

    title_inside: bool  # the headline stands in the article, not in the header
    before: str
    after: str


@lru_cache(maxsize=2048)
def frame(host: str) -> SiteFrame:
    """The look of a site."""
    random = Random(host)
    site = host.removeprefix("www.").split(".")[0].replace("-", " ").title()
    sections = random.sample(SECTIONS.split(";"), 6 + random.randrange(6))
    links = "".join(f'<li><a href="/{s.lower()}/">{s}</a></li>' for s in sections)
    menu = f'<nav class="menu"><ul>{links}</ul></nav>'
    header = f'<header><div class="logo"><a href="/">{site}</a></div>{menu}</header>'
    teasers = "".join(_teaser(random) for _ in range(4 + random.randrange(8)))
    related = f'<aside class="sidebar"><h3>Most read</h3><ul>{teasers}</ul></aside>'
    lines = "".join(f"<p>{line.format(site=site)}</p>" for line in FOOTERS)
    footer = f'<footer class="footer">{lines}{_scripts(random)}'
    return SiteFrame(random.random() < 0.7, header, f"{related}{footer}</footer>")


def page(host: str, title: str, blocks: list[tuple[str, str]], language: str, charset: str) -> str:
    """A whole page: the site's frame with the blocks as its main part."""
    look = frame(host)
    headline = f"<h1>{escape(title)}</h1>"
    inside, outside = (headline, "") if look.title_inside else ("", headline)
    return (
        f'<!DOCTYPE html>\n<html lang="{language}">\n<head>\n<meta charset="{charset}">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{look.before}\n"
        f"<main>{outside}<article>{inside}\n{_main(blocks)}\n</article></main>\n{look.after}\n"
        f"</body>\n</html>\n"
    )


def shell(host: str) -> str:
    """A page without text, which a script would fill in a browser."""
    return (
        f"<!DOCTYPE html>\n<html><head><title>{host}</title><style>{STYLE}</style></head><body>"
        f'<div id="root"></div><img src="/spinner.gif"><script>{SCRIPT}</script></body></html>\n'
    )


def _scripts(random: Random) -> str:
    """What most bytes of a page of the web are: 4 to 50 kB of scripts."""
    return f"<script>{SCRIPT * random.randrange(10, 120)}</script>"


def _main(blocks: list[tuple[str, str]]) -> str:
    parts = []
    for name, group in groupby(blocks, key=lambda block: block[0]):
        body = "\n".join(f"<{name}>{escape(text)}</{name}>" for _, text in group)
        parts.append(f"<ul>\n{body}\n</ul>" if name == "li" else body)
    return "\n".join(parts)


def _teaser(random: Random) -> str:
    topic = random.choice(sorted(TOPICS))
    thing = random.choice(TOPICS[topic][0].split(";"))
    place = random.choice(PLACES)
    return f'<li class="teaser"><a href="/{topic}/{place.lower()}">{thing} in {place}</a></li>'
