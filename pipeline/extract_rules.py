"""Why a record ends at extraction: the rules beside those of URL and language.

Each is an outcome that FineWeb's reader and extractor have without a name. The page limits have no
counterpart there: they stand in for its wall-clock limit, which drops what a slow machine finds
slow.
"""

from decant.filters.rule import RecordRule
from decant.pipeline.gates import GATE_RULES
from decant.pipeline.page_work import WORK_RULES

READER = "FineWeb, Penedo et al. 2024, §3.1; datatrove WarcReader"
EXTRACTOR = "FineWeb, Penedo et al. 2024, §3.2; datatrove Trafilatura"

NOT_HTML = RecordRule("not_html", "payload type is HTML or XHTML", READER, None)
EMPTY_PAYLOAD = RecordRule("empty_payload", "payload has bytes", READER, None)
UNDECODABLE = RecordRule("undecodable_charset", "UTF-8 or the detected charset", READER, None)
EXTRACTION_EMPTY = RecordRule("extraction_empty", "extractor finds text", EXTRACTOR, None)
EXTRACT_ERROR = RecordRule("extract_error", "extractor does not fail", EXTRACTOR, None)

EXTRACT_RULES = (
    NOT_HTML,
    EMPTY_PAYLOAD,
    UNDECODABLE,
    *GATE_RULES,
    *WORK_RULES,
    EXTRACTION_EMPTY,
    EXTRACT_ERROR,
)
