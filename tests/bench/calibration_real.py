"""Pools of real pages, with real pages planted that a group of rules drops.

A finished run with all measures gives the pages. Those that pass every rule are the base; domains
are dealt to disjoint pools, so that pools of one deal share no site, and pools of another deal are
the same pages mixed anew. What is planted comes from the same share of the dropped pages' domains.

Nobody knows the truth about real dropped pages. It is measured: on every page at once, in eight
disjoint samples of domains, and on halves of the reference texts that no study is scored on. Like
a study's, its error is the wider of the samples' and the signals' disagreement.
"""

from __future__ import annotations

import fnmatch
import gzip
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from decant.ablations import hashing
from decant.ablations.arms import finished_run, tokens
from decant.ablations.arms.arms import Contrast
from decant.ablations.arms.pool import Draw, Pool
from decant.ablations.measuring import trainers
from decant.ablations.measuring.design import Design
from decant.ablations.measuring.effects import measure
from decant.ablations.rungs.ngram import NgramIndex
from decant.ablations.scoring import scored
from decant.ablations.scoring.questions import DEFAULT_TASKS, load_questions
from decant.ablations.scoring.references import ReferenceSet
from decant.pipeline.config import RunConfig
from decant.pipeline.engine.storage import Store
from decant.pipeline.rundir.texts import read_texts
from tests.bench.calibration_pools import decoy_drops
from tests.real_data import FOLDER

GROUPS: dict[str, tuple[str, ...]] = {
    "gopher repetition": ("gopher_text_chars", "gopher_duplicate_*", "gopher_top_*"),
    "fineweb duplicate lines": ("fineweb_duplicate_line_char_fraction",),
    "gopher quality": ("gopher_word_*", "gopher_mean_*", "gopher_alpha_*", "gopher_stop_words"),
}
QUESTIONS = 250  # per task; with 1,000 the verdicts are no surer
LARGEST_DOMAIN = 20_000  # tokens of one domain in the base: the largest would fill a pool alone
TRUTH_SAMPLES = 8


@dataclass(frozen=True)
class RealStudy:
    """A pool, what each rule drops (bool [n] by name) and the measure of its references."""

    pool: Pool
    drops: dict[str, np.ndarray]
    scored: scored.Scored

    @property
    def signals(self) -> list[str]:
        """The names of what it is scored on."""
        return self.scored.signals

    @cached_property
    def _scorer(self) -> trainers.NgramScorer:
        pool = self.pool
        index = NgramIndex(pool.tokens, pool.first, pool.vocab_size, pool.eos)
        return trainers.NgramScorer(index, self.scored)

    def score(self, read: Draw, _: int) -> np.ndarray:
        """Bits per byte on every signal of the n-gram model trained on a draw."""
        return self._scorer.signals(self._scorer.index.fit(read.copies))


@dataclass(frozen=True)
class Crawl:
    """All pages of a run; `base` passes every rule, `dropped[group]` fails the group."""

    pool: Pool
    base: np.ndarray
    dropped: dict[str, np.ndarray]
    for_studies: scored.Scored
    for_truth: scored.Scored

    def study(self, kind: str, share: float, number: int, pools: int) -> RealStudy:
        """Pool `number` with the group's pages planted at `share`, or with a decoy rule."""
        deal, part = divmod(number, pools)
        here = self.pool.data_seeds(pools, 7_000 + deal) == part
        base = self.base & here
        if kind in self.dropped:
            planted = self._planted(self.dropped[kind], base, share, 7_000 + deal, part, pools)
            chosen = np.flatnonzero(base | planted)
            return RealStudy(take(self.pool, chosen), {kind: planted[chosen]}, self.for_studies)
        pool = take(self.pool, np.flatnonzero(base))
        drop = self._decoy(kind, pool, share, number)
        return RealStudy(pool, {kind: drop}, self.for_studies)

    def _planted(
        self, dropped: np.ndarray, base: np.ndarray, share: float, seed: int, part: int, pools: int
    ) -> np.ndarray:
        """Dropped pages worth `share` of the pool, from domains that no other pool starts with."""
        wanted = share / (1 - share) * self.pool.lengths[base].sum()
        pages = np.flatnonzero(dropped)
        turn = (hashing.uniform(self.pool.domain[pages], seed, 1) - part / pools) % 1.0
        pages = pages[np.lexsort((hashing.mix(self.pool.identity[pages], seed), turn))]
        short = self.pool.lengths[pages] <= 0.2 * wanted  # no page is a fifth of what is planted
        pages = pages[short]
        enough = np.cumsum(self.pool.lengths[pages]) <= wanted
        planted = np.zeros(len(dropped), dtype=bool)
        planted[pages[enough]] = True
        return planted

    def truth(self, kind: str, share: float) -> tuple[float, float]:
        """(mean effect, its t) over disjoint samples of all domains, on texts of no study.

        A rule that helps half of the signals and hurts the others has no sign, however many pages.
        """
        if kind in self.dropped:
            planted = self._planted(self.dropped[kind], self.base, share, 9_000, 0, 1)
            chosen = np.flatnonzero(self.base | planted)
            drop = planted[chosen]
        else:
            chosen = np.flatnonzero(self.base)
            drop = self._decoy(kind, take(self.pool, chosen), share, 9_000)
        study = RealStudy(take(self.pool, chosen), {}, self.for_truth)
        everything = np.ones(len(chosen), dtype=bool)
        contrast = Contrast(kind, "truth", everything, ~drop, judged=False)
        design = Design(data_seeds=TRUTH_SAMPLES, orders=6, seed=9_000)
        room = study.pool.lengths[~drop].sum() / TRUTH_SAMPLES
        budgets = np.full(TRUTH_SAMPLES, 0.5 * room)
        values = measure(study.pool, contrast, design, budgets, study.score).values
        error = max(_error_of_mean(values.mean(axis=k)) for k in (0, 1))
        return float(values.mean()), float(values.mean() / error)

    def _decoy(self, kind: str, pool: Pool, share: float, seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        topics = np.argsort(-pool.document_share, kind="stable")[100:600]
        return decoy_drops(rng, pool, int(rng.choice(topics)), share)[kind]


def _error_of_mean(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def take(pool: Pool, chosen: np.ndarray) -> Pool:
    """The pool of these documents only."""
    lengths = pool.lengths[chosen]
    first = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    at = np.repeat(pool.first[chosen] - first[:-1], lengths) + np.arange(first[-1])
    return Pool(
        pool.tokens[at], first, pool.size_bytes[chosen], pool.identity[chosen],
        pool.domain[chosen], pool.vocab_size, pool.eos,
    )  # fmt: skip


def load(run: str) -> Crawl:
    """The pages of a run that `decant run --set filter.all_measures=true` left, and those of C4.

    C4's sample is judged by the run's own recipe: 2,000 pages, nearly each of a domain of its own.
    """
    store = Store(run)
    config = finished_run.read_config(store)
    documents = finished_run.read_documents(store, config)
    more, texts, more_failed = _c4_pages(config)
    texts = [*read_texts(store), *texts]
    tokenizer = tokens.train_bpe(texts, 4096)
    ids, first, size = tokens.tokenise(tokenizer, texts)
    domain = np.concatenate([documents.domain, finished_run.site_hashes(more, "registered")])
    pool = Pool(
        ids, first, size, hashing.hash_strings([*documents.ids, *more]), domain,
        tokenizer.vocab_size, tokenizer.eos,
    )  # fmt: skip
    failed = np.concatenate([documents.failed, more_failed])
    dropped = {
        group: np.logical_or.reduce(failed[:, _columns(documents.rules, patterns)], axis=1)
        for group, patterns in GROUPS.items()
    }
    base = ~failed.any(axis=1) & _within_domain(pool)
    halves = [scored.encode(tokenizer, _half(k), list(_questions(k))) for k in range(2)]
    return Crawl(pool, base, dropped, *halves)


def _c4_pages(config: RunConfig) -> tuple[list[str], list[str], np.ndarray]:
    """(URLs, texts after the recipe's edits, failed rules bool [n, rules])."""
    recipe = config.recipe()
    rules = [rule.name for rule in recipe.rules]
    rows = gzipped_rows("c4")
    verdicts = [recipe.judge(row["text"], all_measures=True) for row in rows]
    failed = np.array([[rule in v.failed for rule in rules] for v in verdicts])
    return [row["meta"]["url"] for row in rows], [v.text for v in verdicts], failed


def _columns(rules: Sequence[str], patterns: Sequence[str]) -> list[int]:
    return [
        k for k, rule in enumerate(rules) if any(fnmatch.fnmatchcase(rule, p) for p in patterns)
    ]


def _within_domain(pool: Pool) -> np.ndarray:
    """The documents, in hash order, that fit in what one domain may give, bool [n]."""
    order = np.lexsort((hashing.mix(pool.identity, 3), pool.domain))
    sums = np.cumsum(pool.lengths[order])
    _, start = np.unique(pool.domain[order], return_index=True)
    before = np.repeat(np.concatenate([[0], sums])[start], np.diff(np.append(start, len(order))))
    kept = np.zeros(len(pool), dtype=bool)
    kept[order] = sums - before <= LARGEST_DOMAIN
    return kept


def _half(which: int) -> list[ReferenceSet]:
    """Every second document of four genres of clean text."""
    return [
        ReferenceSet(name, tuple(texts[which::2]))
        for name, texts in (
            ("novels", _novels()),
            ("stackexchange", [r["text"][:2_000] for r in gzipped_rows("stackexchange")][:60]),
            ("web judged good", [
                r["text"][:2_000] for r in gzipped_rows("human_quality") if r["label"] == 1
            ][:60]),
            ("wikipedia", [text[:2_000] for text in articles()[:60]]),
        )
    ]  # fmt: skip


def _questions(which: int) -> Iterator:
    """Questions of all benchmarks, those of one half."""
    for task in DEFAULT_TASKS:
        questions = load_questions(FOLDER / "benchmarks", task, "fineweb", 2 * QUESTIONS, seed=1)
        yield from questions[which::2]


def gzipped_rows(folder: str) -> list[dict]:
    """The rows of all JSON-lines files of one folder of real text."""
    rows = []
    for path in sorted((FOLDER / "text" / folder).glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            rows += [json.loads(line) for line in lines]
    return rows


def _novels() -> list[str]:
    """2,000 characters from the middle of each novel."""
    texts = [gzipped_text(path) for path in sorted((FOLDER / "text" / "novels").glob("*.txt.gz"))]
    return [text[len(text) // 2 :][:2_000] for text in texts]


def articles() -> list[str]:
    """The articles of wikitext-2's test part."""
    text = gzipped_text(FOLDER / "text" / "wikitext-2" / "test.txt.gz")
    parts = re.split(r"(?m)^ ?= [^=\n]+ = ?$", text)
    return [part.strip() for part in parts if len(part) > 1_000]


def gzipped_text(path: Path) -> str:
    """A gzipped text file's characters."""
    return gzip.decompress(path.read_bytes()).decode("utf-8", "replace")
