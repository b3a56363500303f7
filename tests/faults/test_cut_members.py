"""A record whose gzip member breaks off is damaged, whatever its bytes inflate to.

The bytes of the next member pass for a continuation. A record can so reach its full length (43 of
2,000 cut pages like these), and the stream can fall into step with the next member's codes and
swallow it whole, up to an end with a wrong checksum (3 of 2,000).
"""

import io
from random import Random

from decant.pipeline.sample.english import Writer
from decant.pipeline.warc.reader import Reader
from tests.story.records import Warc, page, record_id, response

RECORDS = 640


def made_page(number: int) -> Warc:
    """A page of 2 to 40 kB, most of it one script, as pages are."""
    random = Random(number)
    script = "<script>" + "track(event, 'value', Date.now());" * random.randrange(1, 1_000)
    text = page(*Writer(random).article(4)).replace("</body>", f"{script}</script></body>")
    cut = number % 2 == 0
    return Warc("response", response(text.encode()), f"https://a.example/{number}", cut=cut)


def test_every_cut_record_is_damaged_and_every_whole_one_is_not():
    made = [made_page(number) for number in range(RECORDS)]
    data = b"".join(one.to_bytes(number) for number, one in enumerate(made))
    damaged = {
        record.headers["warc-record-id"]: record.damage is not None
        for record in Reader(io.BytesIO(data))
        if record.type == "response"
    }
    expected = {record_id(number): one.cut for number, one in enumerate(made)}
    assert {identity: damaged[identity] for identity in expected} == expected
