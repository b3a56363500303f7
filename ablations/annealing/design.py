"""How an annealing study is laid out: trunks, the branches of a set, and what is too little.

A trunk is a model trained on kept documents of one sample of domains, its rate warmed up and then
constant. A branch goes on from it: warmed up anew, decayed to zero (Ibrahim et al. 2024, arXiv
2403.08763), over documents of the other domains, a share of which (the dose) is either what a rule
removes or a placebo. Llama 3 (arXiv 2407.21783, section 3.4.3) and OLMo 2 (arXiv 2501.00656,
section 4.5) judge small data sets this way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from decant.ablations.arms.arms import Contrast, only_in
from decant.ablations.arms.pool import Pool
from decant.ablations.judging.verdict import LEAST_SETS
from decant.ablations.rungs.ladder import Rung, rung

RUNG = "anneal"  # how a study names it among its rungs

REMOVED, KEPT = "removed", "kept"  # the two arms: what a rule removes, and a placebo

# What every verdict of this rung is about, printed with it.
SAYS = (
    "marginal value while annealing: what short decays off a common trunk lose by reading the "
    "removed documents in place of kept ones, at the printed doses, scaled down to the rule's own "
    "share; likelihoods only, and nothing about a run trained on either corpus from its start"
)

# Under 32 updates the warm-up (5 %) is one step and the decay 30: nothing is annealed.
FEWEST_UPDATES = 32
# A set at half a branch holds at least this many documents: longer ones are cut, in both arms.
FEWEST_DOCUMENTS = 8


@dataclass(frozen=True)
class AnnealDesign:
    """How much is spent on each rule; the same for all rules of a study.

    `doses`: one branch of every set for each entry, the share of its tokens that the set fills. A
    dose that stands there twice is re-run in another order: that is how run noise is known apart
    from the choice of documents.
    """

    rung: str = "cpu-xs"
    trunks: int = 2
    trunk_tokens: int | None = None  # None: one pass over a trunk's documents, at most the rung's
    branch_tokens: int = 65_536
    doses: tuple[float, ...] = (0.25, 0.5, 0.5)
    sets: int = 16  # placebo sets, over all trunks
    removed_sets: int = 16  # sets of what the rule removes, over all trunks
    seed: int = 1

    def sets_of(self, arm: str) -> int:
        """Sets of an arm on each trunk."""
        return -(-(self.removed_sets if arm == REMOVED else self.sets) // self.trunks)

    @property
    def branches(self) -> int:
        """Branches of one rule."""
        sets = self.sets_of(REMOVED) + self.sets_of(KEPT)
        return self.trunks * sets * len(self.doses)

    def step(self, vocab_size: int) -> Rung:
        """The rung whose shape and recipe trunks and branches have."""
        return rung(self.rung).with_vocab(vocab_size)


@dataclass(frozen=True)
class BranchLayout:
    """A pool seen by a design: who reads what. `kept`, `part`: [n], bool and int64."""

    pool: Pool
    design: AnnealDesign
    contrasts: Sequence[Contrast]
    judged: tuple[int, ...]  # the contrasts that get a verdict

    @cached_property
    def part(self) -> np.ndarray:
        """The trunk in whose domains each document lies, int64 [n]."""
        return self.pool.data_seeds(self.design.trunks, self.design.seed)

    @cached_property
    def kept(self) -> np.ndarray:
        """What every judged contrast keeps with its rule: trunks and placebos read no other."""
        kept = [self.contrasts[k].with_rule for k in self.judged]
        return np.logical_and.reduce(kept) if kept else np.zeros(len(self.pool), dtype=bool)

    def removed(self, number: int) -> np.ndarray:
        """What the contrast's rule removes, bool [n]."""
        contrast = self.contrasts[number]
        return only_in(self.pool, contrast.without, contrast.with_rule)

    def share(self, number: int) -> float:
        """The rule's own share: removed tokens among those of the arm without it."""
        lengths, without = self.pool.lengths, self.contrasts[number].without
        return float(lengths[self.removed(number)].sum() / max(lengths[without].sum(), 1))

    def elsewhere(self, trunk: int) -> np.ndarray:
        """Documents of the domains that the trunk has not read, bool [n]."""
        return self.part != trunk

    @cached_property
    def trunk_tokens(self) -> int:
        """What every trunk reads: whole batches of the smallest sample of domains, one pass."""
        step = self.design.step(self.pool.vocab_size)
        size = self.pool.lengths + 1  # with the token that ends a document
        supply = min(size[self.kept & (self.part == t)].sum() for t in range(self.design.trunks))
        budget = self.design.trunk_tokens or int(step.tokens)
        return step.steps(min(int(supply), budget)) * step.batch_tokens

    def branch_tokens(self, number: int) -> int:
        """Tokens of each branch of a contrast: no document of a set is read twice.

        Where a rule removes too little for the highest dose, branches are shorter; 0 where less
        than FEWEST_UPDATES are left, or too few kept documents to read beside.
        """
        step, dose = self.design.step(self.pool.vocab_size), max(self.design.doses)
        removed = self.removed(number)
        tokens = self.design.branch_tokens
        for trunk in range(self.design.trunks):
            here = self.elsewhere(trunk)
            tokens = min(tokens, self._longest(removed & here, tokens, dose))
            # The placebo and the rest of the branch are kept documents, read once.
            tokens = min(tokens, self._longest(self.kept & here, tokens, 1.0))
        updates = step.steps(tokens)
        return updates * step.batch_tokens if updates >= FEWEST_UPDATES else 0

    def _longest(self, mask: np.ndarray, tokens: int, share: float) -> int:
        """The longest branch up to `tokens` of which `mask` fills a share, each document once."""
        lengths = self.pool.lengths[mask]
        while tokens > 0:
            longest = longest_document(tokens)
            possible = int((np.minimum(lengths, longest) + 1).sum() / share)
            if possible >= tokens:
                return tokens
            tokens = min(possible, tokens - 1)
        return 0

    def problem(self, number: int) -> str | None:
        """Why the contrast gets no verdict, in words for the table; None where it can have one."""
        removed, design = self.removed(number), self.design
        step = design.step(self.pool.vocab_size)
        if not step.min_steps:
            return f"rung {step.name} gives no verdicts ({step.says})"
        if not removed.any():
            return "removes nothing here: there is nothing to anneal on"
        if design.sets < LEAST_SETS:
            return f"{design.sets} placebo sets: under {LEAST_SETS} give no verdict"
        domains = len(np.unique(self.pool.domain[removed]))
        if domains < design.trunks:
            return f"all it removes is of {domains} domain: trunks cannot be told apart from it"
        if self.branch_tokens(number):
            return None
        branch = FEWEST_UPDATES * step.batch_tokens
        cut = np.minimum(self.pool.lengths, longest_document(branch))
        fewest = min(int(cut[removed & self.elsewhere(t)].sum()) for t in range(design.trunks))
        return (
            f"removes {fewest:,} tokens outside a trunk's domains (of {longest_document(branch):,} "
            f"a document at most): a branch of {branch:,} needs {branch * max(design.doses):,.0f} "
            "of them, read once, and kept ones beside them"
        )


def longest_document(branch_tokens: int) -> int:
    """Tokens that are read of one document at most."""
    return max(branch_tokens // (2 * FEWEST_DOCUMENTS), 1)
