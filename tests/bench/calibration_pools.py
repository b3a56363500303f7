"""Independently drawn pools of a made-up language, with junk and decoys planted on purpose.

Every pool has a language of its own: a Zipf vocabulary, who follows whom, topics, genres (each
with a style, a length and favourite topics), domains within genres. References are fresh domains
of five genres, one of which the pool does not have, and short strings of all of them. So a decoy
rule (drop the longest, drop a topic) has real correlates in the text but no quality in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from decant.ablations import hashing
from decant.ablations.arms.placebo import drop_highest, word_share
from decant.ablations.arms.pool import Draw, Pool
from decant.ablations.rungs.ngram import NgramIndex, Positions

WORDS, EOS = 2000, 2000
BYTES_PER_WORD = 5
GENRES, TOPICS, TOPIC_WORDS = 8, 40, 60
JUNK = ("menu", "keyword spam", "repeated lines", "machine noise", "wrong language")
# Shares of tokens worth about (0.005, 0.01) bits per byte, from trial studies on other seeds.
WEAK = {
    "menu": (0.021, 0.042),
    "keyword spam": (0.038, 0.055),
    "repeated lines": (0.016, 0.032),
    "machine noise": (0.045, 0.07),
    "wrong language": (0.06, 0.10),
}
DECOYS = (
    "longest", "shortest", "digit share", "first letter", "domain hash", "topic word",
    "random documents",
)  # fmt: skip


@dataclass(frozen=True)
class Language:
    """Who follows whom, what topics are about, how genres mix them."""

    zipf: np.ndarray  # [WORDS]
    follow: np.ndarray  # int [styles, WORDS, 8]: likely successors, style 0 is common to all
    topics: np.ndarray  # int [TOPICS, TOPIC_WORDS]
    taste: np.ndarray  # [GENRES, TOPICS]
    length: np.ndarray  # [GENRES], mean words of a document


def make_language(rng: np.random.Generator) -> Language:
    """A language drawn afresh."""
    zipf = 1.0 / np.arange(3, WORDS + 3)
    zipf /= zipf.sum()
    follow = rng.choice(WORDS, p=zipf, size=(GENRES + 1, WORDS, 8))
    topics = rng.choice(np.arange(100, WORDS), size=(TOPICS, TOPIC_WORDS))
    taste = rng.dirichlet(np.full(TOPICS, 0.3), size=GENRES)
    return Language(zipf, follow, topics, taste, rng.uniform(120, 420, size=GENRES))


def write_documents(
    rng: np.random.Generator, language: Language, genre: np.ndarray, taste: np.ndarray,
    length: np.ndarray,
) -> list[np.ndarray]:  # fmt: skip
    """Documents of the language, all written side by side: int32 arrays of the given lengths.

    genre, length: [n]; taste: [n, TOPICS].
    """
    n = len(genre)
    words = np.empty((n, int(length.max())), dtype=np.int32)
    last = rng.choice(WORDS, p=language.zipf, size=n)
    cumulative = np.cumsum(taste, axis=1)
    for step in range(words.shape[1]):
        how = rng.random(n)
        slot = np.minimum(rng.geometric(0.35, size=n) - 1, 7)
        style = np.where(how < 0.15, genre + 1, 0)
        followed = language.follow[style, last, slot]
        topic = (rng.random(n)[:, None] > cumulative[:, :-1]).sum(axis=1)
        word = (TOPIC_WORDS * rng.random(n) ** 2).astype(np.int64)
        topical = language.topics[topic, word]
        plain = rng.choice(WORDS, p=language.zipf, size=n)
        last = np.where(how < 0.6, followed, np.where(how < 0.8, topical, plain))
        words[:, step] = last
    return [row[:size] for row, size in zip(words, length, strict=True)]


def write_domains(
    rng: np.random.Generator, language: Language, genres: np.ndarray, documents: int
) -> tuple[list[np.ndarray], np.ndarray]:
    """(documents, their domain numbers): sites of a genre each, of very unequal sizes."""
    domains = max(documents // 4, 1)
    genre = rng.choice(genres, size=domains)
    weight = rng.pareto(1.2, size=domains) + 0.2
    domain = rng.choice(domains, p=weight / weight.sum(), size=documents)
    taste = np.stack([rng.dirichlet(30 * language.taste[g] + 0.02) for g in genre])
    length = rng.lognormal(np.log(language.length[genre[domain]]), 0.5).astype(np.int64)
    length = np.clip(length, 30, 900)
    return write_documents(rng, language, genre[domain], taste[domain], length), domain


def write_junk(
    rng: np.random.Generator, kind: str, sample: list[np.ndarray], other: Language
) -> np.ndarray:
    """One junk document of a kind, int32 [words]."""
    size = int(rng.integers(60, 500))
    if kind == "menu":
        items = rng.integers(100, WORDS, size=24)
        return np.tile(items, size // 24 + 1)[:size].astype(np.int32)
    if kind == "keyword spam":
        return rng.choice(np.arange(200, 260), size=size).astype(np.int32)
    if kind == "repeated lines":
        line = sample[int(rng.integers(len(sample)))][:25]
        return np.tile(line, size // 25 + 2)[:size].astype(np.int32)
    if kind == "machine noise":
        return rng.integers(WORDS - 150, WORDS, size=size).astype(np.int32)  # a hexadecimal dump
    # Another language in the same alphabet: its own order of words, its own frequencies (7 and
    # 2000 have no common divisor, so this renames every word).
    one = np.zeros(1, dtype=np.int64)
    words = write_documents(rng, other, one, other.taste[:1], one + size)[0]
    return (words * 7 + 13) % WORDS


@dataclass(frozen=True)
class Study:
    """A pool, what each rule drops (bool [n] by name) and the measure of its references."""

    pool: Pool
    drops: dict[str, np.ndarray]
    signals: list[str]
    index: NgramIndex
    references: list[tuple[Positions, int]]

    def score(self, read: Draw, _: int) -> np.ndarray:
        """Bits per byte on every reference of the n-gram model trained on a draw."""
        model = self.index.fit(read.copies)
        return np.array([-model.score(p).sum() / np.log(2) / size for p, size in self.references])


def make_study(seed: int, documents: int, junk: dict[str, float], decoy_fraction: float) -> Study:
    """A pool of its own language; `junk` gives the share of tokens of each planted kind."""
    rng = np.random.default_rng(seed)
    language = make_language(rng)
    pool_genres = np.arange(GENRES - 1)
    texts, domain = write_domains(rng, language, pool_genres, documents)
    honest = len(texts)
    total = sum(map(len, texts))
    drops_at: dict[str, tuple[int, int]] = {}
    other = make_language(rng)
    for kind, share in junk.items():
        start, written = len(texts), 0
        while written < share / (1 - sum(junk.values())) * total:
            texts.append(write_junk(rng, kind, texts[:honest], other))
            written += len(texts[-1])
        drops_at[kind] = (start, len(texts))
    # Junk has sites of its own, a few pages each, as it does on the web.
    domain = np.concatenate([domain, 10**6 + np.arange(len(texts) - honest) // 3])
    pool = _pool(texts, domain, seed)
    drops = {}
    for kind, (start, end) in drops_at.items():
        drops[kind] = np.zeros(len(pool), dtype=bool)
        drops[kind][start:end] = True
    if decoy_fraction:
        word = int(language.topics[rng.integers(TOPICS), 0])
        drops |= decoy_drops(rng, pool, word, decoy_fraction)
    return _with_references(rng, language, pool, drops)


def _pool(texts: list[np.ndarray], domain: np.ndarray, seed: int) -> Pool:
    first = np.concatenate([[0], np.cumsum([len(t) for t in texts])]).astype(np.int64)
    lengths = np.diff(first)
    identity = hashing.mix(np.arange(len(texts)), seed, 1)
    domains = hashing.mix(domain, seed, 2)
    return Pool(
        np.concatenate(texts).astype(np.int32), first, lengths * BYTES_PER_WORD,
        identity, domains, WORDS + 1, EOS,
    )  # fmt: skip


def decoy_drops(
    rng: np.random.Generator, pool: Pool, word: int, fraction: float
) -> dict[str, np.ndarray]:
    """Rules without quality content, each dropping `fraction` of the tokens; `word` is a topic."""
    often = np.argsort(-pool.document_share, kind="stable")
    digits = np.isin(pool.tokens, rng.choice(often[40:400], size=40, replace=False))
    letters = pool.tokens[pool.first[:-1]] % 26
    scores = {
        "longest": pool.lengths.astype(float),
        "shortest": -pool.lengths.astype(float),
        "digit share": np.add.reduceat(digits, pool.first[:-1]) / pool.lengths,
        "first letter": -((letters - rng.integers(26)) % 26).astype(float),
        "domain hash": hashing.uniform(pool.domain, int(rng.integers(2**31))),
        "topic word": word_share(pool, word),
        "random documents": hashing.uniform(pool.identity, int(rng.integers(2**31))),
    }
    ties = rng.random(len(pool))
    everything = np.ones(len(pool), dtype=bool)
    return {n: drop_highest(pool, s, ties, everything, fraction) for n, s in scores.items()}


def _with_references(
    rng: np.random.Generator, language: Language, pool: Pool, drops: dict[str, np.ndarray]
) -> Study:
    index = NgramIndex(pool.tokens, pool.first, pool.vocab_size, pool.eos)
    references, signals = [], []
    for genre in (0, 2, 4, 6, GENRES - 1):
        texts, _ = write_domains(rng, language, np.array([genre]), 40)
        references.append(_compiled(index, texts))
        signals.append(f"genre {genre}" + (" (not in the pool)" if genre == GENRES - 1 else ""))
    texts, _ = write_domains(rng, language, np.arange(GENRES), 400)
    references.append(_compiled(index, [t[:20] for t in texts]))
    signals.append("short strings")
    return Study(pool, drops, signals, index, references)


def _compiled(index: NgramIndex, texts: list[np.ndarray]) -> tuple[Positions, int]:
    ids = [t.tolist() for t in texts]
    return index.compile([[EOS]] * len(ids), ids), sum(map(len, texts)) * BYTES_PER_WORD
