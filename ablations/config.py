"""One YAML file = one study: which run, which arms, how much is spent, when a verdict is given."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from decant.ablations.scoring.questions import DEFAULT_TASKS
from decant.pipeline.engine.strict_yaml import Section, validated
from decant.pipeline.recipes import extends
from decant.pipeline.recipes.shipped import STUDIES, located

DesignName = Literal[
    "add-one-in", "leave-one-out", "cumulative", "threshold-sweep", "placebo", "removed-only",
    "a-a", "recipe-vs-recipe",
]  # fmt: skip
PlaceboKind = Literal["tokens", "domains", "topics"]


class SweepConfig(Section):
    """Arms of one rule under other bounds: each keeps `at_most` or `at_least` one of these."""

    rule: str
    at_most: tuple[float, ...] = ()
    at_least: tuple[float, ...] = ()


class ArmsConfig(Section):
    """What is compared with what."""

    designs: tuple[DesignName, ...] = ("leave-one-out",)
    # Rules judged together, by name; None: every rule of the recipe on its own.
    groups: Mapping[str, tuple[str, ...]] | None = None
    dedup: bool = True  # the last step of the recipe, judged like a rule
    sweeps: tuple[SweepConfig, ...] = ()
    against: str | None = None  # the other run, for recipe-vs-recipe: the same crawl


class BudgetConfig(Section):
    """What each training run reads."""

    match: Literal["tokens", "bytes", "epochs"] = "tokens"
    size: Annotated[int, Field(gt=0)] | None = None  # tokens or bytes a run; None: smallest arm
    epochs: Annotated[float, Field(gt=0)] = 1.0  # of each arm's own supply, under match: epochs
    data_seeds: Annotated[int, Field(ge=1)] = 2  # disjoint samples of domains
    sites: Literal["registered", "host"] = "registered"  # what is never split between samples
    orders: Annotated[int, Field(ge=1)] = 2  # document orders averaged over


class PlaceboConfig(Section):
    """Drops that mean nothing, per contrast; 20 of a kind give an interval that can be believed."""

    draws: Annotated[int, Field(ge=2)] = 20
    kinds: tuple[PlaceboKind, ...] = Field(default=("tokens", "domains", "topics"), min_length=1)


class TokenizerConfig(Section):
    """One for the whole study: trained on all documents, or read from `path`."""

    vocab_size: Annotated[int, Field(ge=300, le=2**16)] = 4096
    path: str | None = None


class BenchmarksConfig(Section):
    """Questions in hub field layout; `root: null` is the small self-written set."""

    root: str | None = None
    tasks: tuple[str, ...] = DEFAULT_TASKS
    prompts: Literal["fineweb", "harness"] = "fineweb"
    max_questions: Annotated[int, Field(ge=1)] | None = 1000  # per task, as FineWeb


class HeldoutConfig(Section):
    """Reference texts in no arm; `root: null` is the small self-written set."""

    root: str | None = None
    sets: tuple[str, ...] | None = None
    max_chars: Annotated[int, Field(ge=1000)] = 100_000  # of each set


class VerdictConfig(Section):
    """When a verdict is given."""

    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    margin_bpb: Annotated[float, Field(gt=0)] = 0.002
    correction: Literal["holm", "bh"] = "holm"
    power: Annotated[float, Field(gt=0.5, lt=1)] = 0.8


class ContinueConfig(Section):
    """Every run starts from trained weights: warmed up anew and decayed over its own documents."""

    weights: str  # a finished run's folder, an export for transformers, or one snapshot
    replay: str | None = None  # the study whose pool is replayed: what those weights have read
    replay_share: Annotated[float, Field(ge=0, lt=1)] = 0.0  # of a run's sequences

    @model_validator(mode="after")
    def _share_has_a_source(self) -> ContinueConfig:
        if (self.replay is None) != (self.replay_share == 0):
            raise ValueError("replay and replay_share come together: what is replayed, how much")
        return self


class NeuralConfig(Section):
    """How the neural rungs are trained; the n-gram rung needs none of it."""

    size: Annotated[int, Field(gt=0)] | None = None  # budget of a run; None: as the n-gram rung's
    draws: Annotated[int, Field(ge=2)] = 12  # placebo sets of each kind; a verdict needs 12
    kinds: tuple[PlaceboKind, ...] = Field(default=("tokens", "domains"), min_length=1)
    # Trainings of the arm with the rule on each data seed: all effects and placebos share them, and
    # an error is sqrt(1 + 1/this) times the placebos' spread.
    with_trainings: Annotated[int, Field(ge=1)] = 4
    reruns: Annotated[int, Field(ge=0)] = 2  # placebo sets of a kind trained twice: noise or sets?
    # Tokens that every placebo drops; None: as many as its rule. One share for all rules lets rules
    # that are left out of the same arm share its placebos.
    placebo_share: Annotated[float, Field(gt=0, lt=1)] | None = None
    # Times the rung's own. The first has placebos and gives the verdict; others retry HELPS, HURTS.
    learning_rates: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=(1.0, 0.1), min_length=1
    )
    curve_points: Annotated[int, Field(ge=0)] = 4  # along a training of an arm, for its curve
    device: str | None = None
    # A share of one: runs beside each other on it. More: one run at a time, through Ray Train.
    gpus_per_run: Annotated[float, Field(gt=0)] = 1
    continue_from: ContinueConfig | None = None  # None: fresh weights

    @field_validator("gpus_per_run")
    @classmethod
    def _whole_beyond_one(cls, gpus: float) -> float:
        if gpus > 1 and gpus != int(gpus):
            raise ValueError(f"{gpus}: over one GPU a run takes whole ones")
        return gpus

    def placed(self) -> dict[str, Any]:
        """What shapes or places one training, as plain values; the rest is the study's design."""
        named = {"device", "gpus_per_run", "continue_from", "curve_points"}
        return self.model_dump(mode="json", include=named)


class AnnealConfig(Section):
    """The rung `anneal`: short branches off common trunks, see `annealing/`."""

    rung: str = "cpu-xs"  # the ladder's shape and recipe that trunks and branches have
    trunks: Annotated[int, Field(ge=2)] = 2  # each on domains of its own
    trunk_tokens: Annotated[int, Field(gt=0)] | None = None  # None: one pass, at most the rung's
    branch_tokens: Annotated[int, Field(gt=0)] = 65_536
    # A branch of every set for each: the share of its tokens that the set fills. One that stands
    # there twice is re-run, which tells run noise from the choice of documents.
    doses: tuple[Annotated[float, Field(gt=0, le=0.5)], ...] = Field(
        default=(0.25, 0.5, 0.5), min_length=1
    )
    sets: Annotated[int, Field(ge=2)] = 16  # placebo sets of a rule, over all trunks
    removed_sets: Annotated[int, Field(ge=4)] | None = None  # of what it removes; None: as many
    rules: tuple[str, ...] | None = None  # which it judges, by name; None: all that it can
    designs: tuple[DesignName, ...] | None = None  # and of which designs
    device: str | None = None
    gpus_per_run: Annotated[float, Field(gt=0, le=1)] = 0.25  # branches are small: four share one


class StudyConfig(Section):
    """A whole study, frozen."""

    run: str
    seed: int = 1
    rungs: tuple[str, ...] = ("ngram",)
    arms: ArmsConfig = ArmsConfig()
    budget: BudgetConfig = BudgetConfig()
    placebo: PlaceboConfig = PlaceboConfig()
    tokenizer: TokenizerConfig = TokenizerConfig()
    benchmarks: BenchmarksConfig = BenchmarksConfig()
    heldout: HeldoutConfig = HeldoutConfig()
    verdict: VerdictConfig = VerdictConfig()
    neural: NeuralConfig = NeuralConfig()
    anneal: AnnealConfig = AnnealConfig()
    workers: Annotated[int, Field(ge=0)] | None = None  # None: one per core

    @model_validator(mode="after")
    def _old_weights_need_their_tokenizer(self) -> StudyConfig:
        if self.neural.continue_from and self.tokenizer.path is None:
            raise ValueError(
                "neural.continue_from needs tokenizer.path, the tokenizer that the weights were "
                "trained with (pool/tokenizer.json of their study): a new one gives other ids"
            )
        return self


def load(path: str | Path, overrides: tuple[str, ...] = ()) -> StudyConfig:
    """The study of a YAML file, or of a shipped study's name.

    A mistake is named with file, line and the valid keys.
    """
    source = located(path, STUDIES)
    data, lines, _ = extends.read(source, overrides, STUDIES)
    return validated(StudyConfig, data, lines, source.name, listed=list)
