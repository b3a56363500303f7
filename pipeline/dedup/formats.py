"""Every record type that deduplication's steps exchange, and the codes in their fields.

A type is a numpy dtype of fixed width. `doc_type` is `<u4` or `<u8`, by the number of documents;
records lie in spill files (`spill_file.py`) in these types, by bin.
"""

import numpy as np

# What numbers mean, by field. A reader checks them before anything is looked up by them.
DOCUMENTS = ("doc", "other", "root", "node", "head")

# Equal ranks are decided by the text hash, then by the document's number.
RANK_COLUMNS = ("rank", "tie")

# MinHash: from band keys to clusters


def band_type(doc_type: str) -> np.dtype:
    """A band key and a document that has it."""
    return np.dtype([("key", "<u8"), ("doc", doc_type)])


def pair_type(doc_type: str) -> np.dtype:
    """A candidate pair, and the band that it shares."""
    return np.dtype([("doc", doc_type), ("other", doc_type), ("band", "u1")])


def link_type(doc_type: str) -> np.dtype:
    """Two documents that belong in one cluster, for whatever reason."""
    return np.dtype([("doc", doc_type), ("other", doc_type)])


def edge_type(doc_type: str) -> np.dtype:
    """A link as a directed edge of the closure's graph."""
    return np.dtype([("node", doc_type), ("other", doc_type)])


def label_type(doc_type: str) -> np.dtype:
    """A document and the smallest document of its cluster."""
    return np.dtype([("doc", doc_type), ("root", doc_type)])


# Comparing signatures of documents that lie in different slots

SKETCH_TYPE = "<u4"  # of a permutation


def request_type(doc_type: str) -> np.dtype:
    """A document whose sketch, or id, a slot asks for."""
    return np.dtype([("doc", doc_type), ("slot", "<u4")])


def slot_sketch_type(permutations: int) -> np.dtype:
    """A sketch in the file of its slot, where its place says whose it is."""
    return np.dtype([("sketch", SKETCH_TYPE, (permutations,))])


def sketch_type(doc_type: str, permutations: int) -> np.dtype:
    """A document and its sketch: the low 32 bits of every permutation of its signature."""
    return np.dtype([("doc", doc_type), ("sketch", SKETCH_TYPE, (permutations,))])


def score_type(doc_type: str) -> np.dtype:
    """`matches`: equal permutations; `met`: bands that agree; `claimed`: bands whose keys agree."""
    pair = [("doc", doc_type), ("other", doc_type)]
    return np.dtype([*pair, ("matches", "<u2"), ("met", "<u8"), ("claimed", "<u8")])


def chance_type(doc_type: str) -> np.dtype:
    """A pair whose band keys agree by chance, with those bands as a mask."""
    return np.dtype([("doc", doc_type), ("other", doc_type), ("bands", "<u8")])


# Exact duplicates

PAYLOAD, TEXT, SHORT = 0, 1, 2  # what is equal: the page's bytes, the text, a text under a shingle
NEAR = 3  # beside those three: nothing need be equal, MinHash found the pair
KEY = ("key", "check")


def hash_type(doc_type: str) -> np.dtype:
    """A 128-bit hash of a document, and its rank."""
    numbers = [(name, "<u8") for name in (*KEY, *RANK_COLUMNS)]
    return np.dtype([*numbers, ("doc", doc_type)])


def equal_type(doc_type: str) -> np.dtype:
    """A document, the first one equal to it, and what is equal: PAYLOAD, TEXT or SHORT."""
    return np.dtype([("doc", doc_type), ("other", doc_type), ("kind", "u1")])


# Who survives

EARLIER, FOLLOWER, NEW = 0, 1, 2  # kept in an index, dropped in an index, of this run


def member_type(doc_type: str) -> np.dtype:
    """A member of a cluster: its root, rank and weight, and whether an index decided it before."""
    return np.dtype(
        [
            *((name, doc_type) for name in ("doc", "root")),
            *((name, "<u8") for name in (*RANK_COLUMNS, "weight")),
            ("state", "u1"),
        ]
    )


def choice_type(doc_type: str) -> np.dtype:
    """A document, the one that stays for it, the size of their cluster, and why.

    `rule` is PAYLOAD, TEXT, SHORT or NEAR; `bridge` is 1 where the cluster joins two documents of
    an index that were both kept before.
    """
    docs = [("doc", doc_type), ("other", doc_type)]
    return np.dtype([*docs, ("size", "<u8"), ("rule", "u1"), ("bridge", "u1")])


def id_type(doc_type: str, width: int = 1) -> np.dtype:
    """A document and its id in `width` bytes; readers take any width."""
    return np.dtype([("doc", doc_type), ("id", f"S{max(width, 1)}")])


# The greedy mode

UNDECIDED, KEPT, FOLLOWS = 0, 1, 2
PLACE_BITS = 40  # of a bucket's number: its place in a bin; the bin stands above


def member_of_bucket_type(doc_type: str) -> np.dtype:
    """A document and a bucket that it lies in."""
    return np.dtype([("doc", doc_type), ("bucket", "<u8")])


def lead_type(doc_type: str) -> np.dtype:
    """To a document: `other` a newly kept member (else itself), `head` the first undecided one.

    A membership takes one row per newly kept member, the first of which has `first` set.
    """
    docs = [(name, doc_type) for name in ("doc", "other", "head")]
    return np.dtype([*docs, ("bucket", "<u8"), ("kept", "<u4"), ("first", "u1"), ("band", "u1")])


def vote_type(doc_type: str) -> np.dtype:
    """To a bucket: the state of a member; `kept` counts its kept members before this round."""
    ranks = [(name, "<u8") for name in RANK_COLUMNS]
    return np.dtype(
        [("doc", doc_type), ("bucket", "<u8"), ("kept", "<u4"), ("state", "u1"), *ranks]
    )


# Repeated lines

# A window of lines: its hash, a second hash against collisions, and where it stands.
WINDOW = np.dtype(
    [("key", "<u8"), ("check", "<u8"), ("doc", "<u8"), ("place", "<u4"), ("part", "<u4")]
)
REPEAT = np.dtype([("doc", "<u8"), ("place", "<u4")])  # a line to be removed
