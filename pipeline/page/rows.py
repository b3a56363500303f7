"""The outcomes of a partition's records as rows, buffered, counted and written."""

import hashlib
from collections import Counter
from typing import Any

from decant.pipeline.engine.execute import Job
from decant.pipeline.engine.tables import TableWriter
from decant.pipeline.page import quarantine
from decant.pipeline.page.judge import url_of
from decant.pipeline.page.outcomes import Dropped, Failed, Outcome, Page
from decant.pipeline.rundir.records import LINEAGE
from decant.pipeline.warc.reader import Record

STAGE = "extract"
PAGE_RECORDS = ("response", "conversion")
ERROR = "error"  # the rule of a row that is an error; its reason is in `detail`
BUFFER_ROWS = 200

# Why a crawler stopped before a payload's end (WARC 1.0, section 5.13).
TRUNCATIONS = ("length", "time", "disconnect", "unspecified")


def truncation(record: Record) -> str | None:
    """Why the crawler says it cut this record, "other" for unknown words; None where it was not.

    That is no damage: the record is as its writer meant it.
    """
    value = record.headers.get("warc-truncated")
    if value is None:
        return None
    reason = value.split(";")[0].strip().lower()
    return reason if reason in TRUNCATIONS else "other"


class PartitionLedger:
    """Writes a row for the end of each record of a partition, and counts all of them."""

    def __init__(self, job: Job, kept: TableWriter, dropped: TableWriter):
        self.counts: Counter[str] = Counter()
        self._job, self._args = job, job.task.args
        self._dump = job.config.input.dump or job.task.args["dump"]
        self._rules: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._truncated: Counter[str] = Counter()
        self._given_up: list[list] = []
        self._writers = (kept, dropped)
        self._rows: tuple[list[dict], list[dict]] = ([], [])

    def enter(self, record: Record, outcome: Outcome) -> None:
        """Count a record and write the row of its end."""
        self.counts["in"] += 1
        cut = truncation(record)
        if cut is not None:
            self._truncated[cut] += 1
        key = self._key(record)
        if isinstance(outcome, Page):
            self.counts["kept"] += 1
            self._rows[0].append({**key, **self._page_row(record, outcome)})
        else:
            self._rows[1].append({**key, **self._dropped_row(record, outcome)})
        if len(self._rows[0]) + len(self._rows[1]) >= BUFFER_ROWS:
            self._flush()

    def finish(self) -> None:
        """Write what is left."""
        self._flush()

    def _flush(self) -> None:
        for writer, rows in zip(self._writers, self._rows, strict=True):
            writer.write_rows(rows)
            rows.clear()

    def result(self) -> dict[str, Any]:
        return {
            **{name: self.counts[name] for name in ("in", "kept", "errors")},
            "dropped": dict(sorted(self._rules.items())),
            "error_reasons": dict(sorted(self._reasons.items())),
            "truncated": dict(sorted(self._truncated.items())),
            "given_up": self._given_up,
        }

    def _key(self, record: Record) -> dict[str, Any]:
        identity = record.headers.get("warc-record-id")
        if not identity:
            address = f"{self._args['file_path']} {record.offset}".encode()
            identity = f"<urn:sha1:{hashlib.sha1(address).hexdigest()}>"
        place = {"file": self._args["file"], "offset": record.offset}
        return {**place, "id": identity, "url": url_of(record)}

    def _page_row(self, record: Record, page: Page) -> dict[str, Any]:
        return {
            "date": record.headers.get("warc-date") or record.headers.get("archive-date", ""),
            "file_path": self._args["file_path"],
            "dump": self._dump,
            "language": page.language,
            "language_score": page.score,
            "payload_digest": page.digest,
            "text": page.text,
            **({} if page.lineage is None else {LINEAGE.name: page.lineage}),
        }

    def _dropped_row(self, record: Record, outcome: Outcome) -> dict[str, Any]:
        if isinstance(outcome, Dropped):
            self._rules[outcome.rule] += 1
            measured = outcome
        else:
            assert isinstance(outcome, Failed)
            self.counts["errors"] += 1
            self._reasons[outcome.reason] += 1
            measured = Dropped(ERROR, outcome.reason)
            if outcome.lost:
                quarantine.write(self._job.store, self._args["partition"], record, outcome.reason)
                self._given_up.append([record.offset, outcome.reason])
        return {"stage": STAGE, **vars(measured)}
