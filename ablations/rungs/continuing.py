"""Annealing ablations: runs that start from trained weights and keep some of the old mixture.

A rule is judged on the last stretch of training instead of the whole of it: every run of the study
starts from the same weights, warms its learning rate up anew, decays it over the arm's documents,
and reads replayed sequences of the old mixture between them, so that little is forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from decant.ablations.arms.pool import Pool
from decant.ablations.arms.pool_files import TOKENIZER, load_pool, pool_address
from decant.ablations.rungs.ladder import RungUnfit, Shape
from decant.ablations.rungs.llama import Llama
from decant.ablations.rungs.stream import Replay, TokenStream, documents_of
from decant.ablations.rungs.weights import (
    CheckpointError,
    from_transformers,
    load_weights,
    weights_file,
)
from decant.pipeline.engine.storage import Store, file_checksum


@dataclass(frozen=True)
class Start:
    """Where a study's runs begin. `replay`: the study directory whose pool is the old mixture."""

    weights: Path
    replay: str | None
    share: Fraction  # of sequences that are replayed

    @classmethod
    def of(cls, section: Mapping[str, Any]) -> Start:
        """The start that a study's `neural.continue_from` section names."""
        share = Fraction(str(section["replay_share"]))
        return cls(Path(section["weights"]), section["replay"], share)

    @cached_property
    def address(self) -> list[str]:
        """What of the start shapes a run's weights."""
        old = "" if self.replay is None else pool_address(Store(self.replay))
        return [file_checksum(weights_file(self.weights)), old, str(self.share)]

    @cached_property
    def _old(self) -> TokenStream:
        pool, _ = load_pool(Store(self.replay or ""))
        return documents_of(pool.tokens, pool.first, _hash_order(pool), pool.eos)

    def data(self, new: TokenStream) -> TokenStream | Replay:
        """The new documents with the old mixture's share among them."""
        return new if self.replay is None else Replay(new, self._old, self.share)

    def tokens(self, new: int) -> int:
        """What a run reads in all to see `new` tokens of its arm."""
        return new if self.replay is None else int(new / (1 - self.share))

    def check(self, study: Store, shape: Shape) -> None:
        """Refuses weights of another shape and an old mixture of another tokenizer."""
        try:
            with torch.device("meta"):
                model = Llama(shape)
            from_transformers(model, load_weights(self.weights))
        except (OSError, ValueError, CheckpointError) as error:
            raise RungUnfit(f"neural.continue_from.weights {self.weights}: {error}") from error
        if self.replay is None:
            return
        old, mine = Store(self.replay), study.read_bytes(TOKENIZER)
        if not old.exists(TOKENIZER):
            raise RungUnfit(f"neural.continue_from.replay: {self.replay} is no study directory")
        if old.read_bytes(TOKENIZER) != mine:
            raise RungUnfit(
                f"neural.continue_from.replay: {self.replay} was tokenised by another tokenizer; "
                f"give this study the same one: tokenizer.path: {self.replay}/{TOKENIZER}"
            )


def _hash_order(pool: Pool) -> np.ndarray:
    """Every document of the pool, in the hash order of seed 0."""
    return np.argsort(pool.priority(0))
