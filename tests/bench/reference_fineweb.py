"""datatrove's FineWeb example as one process: the pipeline that decant's is measured against.

The steps, their order and arguments are those of datatrove's `examples/fineweb.py`, run one after
the other without an executor. What differs: the language block, whose own model class does not load
on this fastText build, is its formula on the same model; the extraction time-out is long, so that a
loaded machine does not drop pages; and two blocks forget each page after it (the extractor its
paragraphs of other pages, the PII formatter its place in the cycle of replacements), because with
that memory the output is a function of the order of pages. Forgetting costs microseconds.
"""

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.dedup import (
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.extractors import Trafilatura
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
    URLFilter,
)
from datatrove.pipeline.formatters import PIIFormatter
from datatrove.pipeline.readers import JsonlReader, WarcReader
from datatrove.pipeline.tokens import TokensCounter
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils.hashing import HashConfig
from fasttext.FastText import _FastText

from decant.pipeline.page.language_model import model_path

EXTRACTION_TIMEOUT_S = 60.0
MINHASH = MinhashConfig(
    hash_config=HashConfig(hash_fc="sha1", precision=64),
    num_buckets=14,
    hashes_per_bucket=8,
    n_grams=5,
)


class English(PipelineStep):
    """Keeps what scores above 0.65 as English."""

    name = "English"
    type = "FILTER"

    def __init__(self) -> None:
        super().__init__()
        self.model = _FastText(str(model_path()))

    def run(
        self, data: Iterable[Document], rank: int = 0, world_size: int = 1
    ) -> Iterator[Document]:
        for document in data:
            labels, scores = self.model.predict(document.text.replace("\n", " "), k=-1)
            if any(
                label == "__label__en" and score > 0.65
                for label, score in zip(labels, scores, strict=True)
            ):
                yield document


class ForgetfulTrafilatura(Trafilatura):
    """The extractor without paragraphs of earlier pages."""

    def extract(self, text: str) -> str:
        from trafilatura.deduplication import LRU_TEST

        LRU_TEST.clear()
        return super().extract(text)


class ForgetfulPIIFormatter(PIIFormatter):
    """The formatter whose cycles start anew with each document."""

    def format(self, text: str) -> str:
        self.emails_replacer._replace_i = self.ip_replacer._replace_i = 0
        return super().format(text)


class FineWebReference:
    """Loaded once; `run` takes files to the surviving documents."""

    def __init__(self, tokenizer_json: Path):
        logging.disable(logging.CRITICAL)
        from loguru import logger

        logger.remove()
        self.tokenizer_json = tokenizer_json
        self.filtering = [
            URLFilter(),
            ForgetfulTrafilatura(favour_precision=True, timeout=EXTRACTION_TIMEOUT_S),
            English(),
            GopherRepetitionFilter(),
            GopherQualityFilter(),
            C4QualityFilter(filter_no_terminal_punct=False),
            FineWebQualityFilter(),
        ]

    def run(self, folder: Path, scratch: Path, limit: int = -1) -> list[Document]:
        """The documents of the WARC files in `folder` that survive filters and MinHash."""
        filtered = scratch / "filtered"
        data: Iterable[Document] = WarcReader(str(folder), glob_pattern="*.warc.gz", limit=limit)(
            None, 0, 1
        )
        for step in [*self.filtering, JsonlWriter(str(filtered))]:
            data = step(data, 0, 1)
        _drain(data)
        return self._deduplicated(filtered, scratch)

    def _deduplicated(self, filtered: Path, scratch: Path) -> list[Document]:
        signatures, buckets, removed = (
            str(scratch / name) for name in ("signatures", "buckets", "removed")
        )
        signing = MinhashDedupSignature(signatures, config=MINHASH)
        _drain(signing(JsonlReader(str(filtered))(None, 0, 1), 0, 1))
        for bucket in range(MINHASH.num_buckets):
            step = MinhashDedupBuckets(signatures, buckets, config=MINHASH)
            _drain(step(None, bucket, MINHASH.num_buckets))
        _drain(MinhashDedupCluster(buckets, removed, config=MINHASH)(None, 0, 1))
        data: Iterable[Document] = JsonlReader(str(filtered))(None, 0, 1)
        for step in [
            TokensCounter(str(self.tokenizer_json)),
            MinhashDedupFilter(removed),
            ForgetfulPIIFormatter(),
            JsonlWriter(str(scratch / "output")),
        ]:
            data = step(data, 0, 1)
        return list(data)


def _drain(data: Iterable[Document] | None) -> None:
    for _ in data or ():
        pass
