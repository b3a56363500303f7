"""The branches of a rule, known before the first is trained: who reads what, in which order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xxhash

from decant.ablations.annealing.design import KEPT, REMOVED, BranchLayout, longest_document
from decant.ablations.annealing.sets import (
    DocumentSet,
    Match,
    in_order,
    match_of,
    matched_set,
    removed_set,
)
from decant.ablations.rungs.stream import TokenStream

_BESIDE, _TRUNK = 0xA0E3, 0xA0E4  # hash streams of what is read beside a set, and by a trunk


@dataclass(frozen=True)
class Branch:
    """One branch: set `number` of an arm, at a dose, on a trunk. `run` tells re-runs apart."""

    contrast: int
    trunk: int
    arm: str  # REMOVED | KEPT
    number: int
    dose: float
    run: int

    @property
    def key(self) -> str:
        """Its name among the tasks of a study."""
        place = f"{self.contrast:04d}-{self.trunk}-{self.arm}-{self.number:03d}"
        return f"{place}-{self.dose:g}-{self.run}"

    def seed(self, rule: str) -> int:
        """Seeds what is read beside the set and the order of it all, for this branch alone.

        It goes by the rule's name, not its number: a rule more in a study changes no other's.
        """
        place = f"{rule} {self.trunk} {self.arm} {self.number} {self.dose:g} {self.run}"
        return xxhash.xxh3_64_intdigest(place.encode())


def branches(layout: BranchLayout, contrast: int) -> Iterator[Branch]:
    """Every branch of a contrast: both arms of every set at every dose, on every trunk."""
    design = layout.design
    for trunk in range(design.trunks):
        for arm in (REMOVED, KEPT):
            for number in range(design.sets_of(arm)):
                for run, dose in enumerate(design.doses):
                    yield Branch(contrast, trunk, arm, number, dose, run)


class Sets:
    """The document sets of one contrast on one trunk, at the highest dose."""

    def __init__(self, layout: BranchLayout, contrast: int, trunk: int) -> None:
        self.layout, self.contrast, self.trunk = layout, contrast, trunk
        self.branch_tokens = layout.branch_tokens(contrast)
        self.longest = longest_document(self.branch_tokens)
        here = layout.elsewhere(trunk)
        self._removed = layout.removed(contrast) & here
        self._kept = layout.kept & here & ~self._removed
        self._full = int(max(layout.design.doses) * self.branch_tokens)
        self._made: dict[tuple[str, int], DocumentSet] = {}

    def of(self, arm: str, number: int) -> DocumentSet:
        """The whole set; a placebo is matched to the removed set of its number."""
        if (arm, number) not in self._made:
            self._made[arm, number] = self._make(arm, number)
        return self._made[arm, number]

    def _make(self, arm: str, number: int) -> DocumentSet:
        pool, seed = self.layout.pool, self.layout.design.seed
        if arm == KEPT:
            return matched_set(pool, self._kept, self.of(REMOVED, number), seed, number)
        return removed_set(pool, self._removed, self._full, self.longest, seed, number)

    def match(self, number: int) -> Match:
        """The removed set of that number beside its placebo."""
        return match_of(self.layout.pool, self.of(REMOVED, number), self.of(KEPT, number))

    def overlap(self) -> float:
        """The mean share of tokens that two removed sets have in common, 0 … 1."""
        number = self.layout.design.sets_of(REMOVED)
        read = np.zeros((number, len(self.layout.pool)))
        for k in range(number):
            one = self.of(REMOVED, k)
            read[k, one.documents] = one.cut
        total = read.sum(axis=1).mean()
        pairs = [
            np.minimum(read[i], read[j]).sum() for i in range(number) for j in range(i)
        ]  # fmt: skip
        return float(np.mean(pairs) / max(total, 1.0)) if pairs else 1.0

    def stream(self, branch: Branch) -> TokenStream:
        """What the branch reads, exactly its tokens: the set at its dose among kept documents.

        Every branch has other kept documents beside its set, and an order of its own.
        """
        pool = self.layout.pool
        chosen = self.of(branch.arm, branch.number).head(int(branch.dose * self.branch_tokens))
        free = self._kept.copy()
        free[chosen.documents] = False
        contrast = self.layout.contrasts[self.contrast]
        seed = branch.seed(f"{contrast.design} {contrast.name}")
        beside = in_order(pool, free, self.longest, seed, _BESIDE)
        beside = beside.head(self.branch_tokens - chosen.tokens)
        spans = np.concatenate([chosen.spans(pool), beside.spans(pool)])
        shuffled = np.random.default_rng(seed).permutation(len(spans))
        return TokenStream(pool.tokens, spans[shuffled], pool.eos)


def trunk_stream(layout: BranchLayout, trunk: int) -> TokenStream:
    """The kept documents of the trunk's domains in hash order, as many as it reads."""
    pool = layout.pool
    mask = layout.kept & (layout.part == trunk)
    whole = in_order(pool, mask, int(pool.lengths.max(initial=1)), layout.design.seed, _TRUNK)
    return TokenStream(pool.tokens, whole.head(layout.trunk_tokens).spans(pool), pool.eos)
