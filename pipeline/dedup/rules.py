"""Why a document ends at deduplication: the rules as `decant rules` prints them."""

from decant.filters.rule import RecordRule

EXACT_RULES = ("exact_payload_duplicate", "exact_text_duplicate", "short_text_duplicate")
NEAR_RULE = "minhash_duplicate"
LINES_RULE = "repeated_lines"
CHOICE_RULES = (*EXACT_RULES, NEAR_RULE)  # by the `rule` of a choice: PAYLOAD, TEXT, SHORT, NEAR


FINEWEB = "FineWeb, Penedo et al. 2024, §3.4: MinHash, 5-grams, 14 bands of 8; datatrove minhash.py"

DEDUP_RULES = (
    RecordRule(
        "exact_payload_duplicate",
        "first of the records with the same bytes (off by default)",
        "decant; no step of FineWeb",
        None,
        "payload bytes",
    ),
    RecordRule(
        "exact_text_duplicate",
        "first of the documents with the same text (off by default)",
        "decant; no step of FineWeb, whose exact copies MinHash finds",
        None,
        "text",
    ),
    RecordRule(
        "short_text_duplicate",
        "first of the equal documents under one shingle (off by default)",
        "decant; FineWeb keeps every document of fewer than 5 words",
        None,
        "text",
    ),
    RecordRule(
        "minhash_duplicate",
        "one document of each cluster",
        FINEWEB,
        None,
        "documents that share a band",
    ),
    RecordRule(
        "repeated_lines",
        "documents with text left after repeated lines are removed (off by default)",
        "CCNet, Wenzek et al. 2020; C4, Raffel et al. 2020: one of each three-line span; FineWeb "
        "tried both and left them out",
        None,
        "words left",
    ),
)
