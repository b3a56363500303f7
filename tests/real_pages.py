"""The real pages' HTML as the extract stage hands it over, for tests and benches that have it."""

from __future__ import annotations

from collections.abc import Iterator

from fastwarc.warc import ArchiveIterator, WarcRecordType

from decant.pipeline.page.charset import fineweb_text
from tests import real_data


def real_pages(every: int = 1) -> Iterator[tuple[str, str]]:
    """(WARC-Record-ID, HTML) of every n-th page; undecodable bytes become U+FFFD."""
    number = 0
    for path in sorted(real_data.folder("web").glob("*.warc.gz")):
        with path.open("rb") as file:
            for record in ArchiveIterator(file, record_types=WarcRecordType.response):
                number += 1
                if (number - 1) % every == 0:
                    body = record.reader.read()
                    html = fineweb_text(body)
                    if html is None:
                        html = body.decode("utf-8", "replace")
                    yield record.headers["WARC-Record-ID"], html
