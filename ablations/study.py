"""A study from configuration to verdicts: prepare the pool, plan, measure every contrast, judge.

OUT/study.json           the configuration, and the address of everything it depends on
OUT/pool/                tokens, attributes and arms: every worker maps these files
OUT/scored.json          reference texts and questions as scored
OUT/manifests/           finished contrasts; a second call measures what is missing
OUT/samples/RUNG/*.parquet   one row per (run, task, question, option)
OUT/verdict.json verdict.md plots/*.svg
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from decant.ablations.arms import finished_run, pool_files, tokens
from decant.ablations.arms.arms import Arms, ArmsError, Contrast, contrasts, recipe_steps
from decant.ablations.arms.pool import Pool
from decant.ablations.config import StudyConfig
from decant.ablations.measuring.contrasts import measure_contrast, measure_health
from decant.ablations.measuring.design import Design, budgets
from decant.ablations.measuring.effects import KNESER_NEY, Measured
from decant.ablations.measuring.shared import effect_from_json, save
from decant.ablations.measuring.terms import VERSION, Terms, digest, gpus_of
from decant.ablations.measuring.trainings import TrainingTask, distinct, train_all
from decant.ablations.scoring import contamination, references
from decant.ablations.scoring import questions as benchmarks
from decant.pipeline.config import RunConfig
from decant.pipeline.engine.execute import Engine, Task
from decant.pipeline.engine.storage import Store
from decant.pipeline.rundir.texts import read_texts

SHARED_DOCUMENTS = 0.5  # of the smaller run: two extractors keep most pages, two crawls share few


@dataclass(frozen=True)
class Study:
    """A prepared study: everything that its tasks need lies under `store`."""

    store: Store
    config: StudyConfig
    pool: Pool
    contrasts: list[Contrast]
    design: Design
    budget: np.ndarray
    signals: list[str]
    hits: list[contamination.Hit]
    facts: dict[str, Any]
    address: str

    def terms(self, rung: str) -> list[Terms]:
        """On what terms this rung is measured: the verdicts' first, then those of retries."""
        if rung == "ngram":
            first = Terms(rung, 1.0, self.design, self.budget)
            return [first, replace(first, first=False, smoothing=KNESER_NEY)]
        rates = self.config.neural.learning_rates
        return [self._neural_terms(rung, rate, rate == rates[0]) for rate in rates]

    def neural_terms(self, rung: str) -> Terms:
        """The terms of the verdicts on a neural rung."""
        return self._neural_terms(rung, self.config.neural.learning_rates[0], True)

    def _neural_terms(self, rung: str, rate: float, first: bool) -> Terms:
        neural = self.config.neural
        design = replace(
            self.design, orders=1, draws=neural.draws, kinds=neural.kinds if first else (),
            placebo_share=neural.placebo_share, own_orders=True,
            with_trainings=neural.with_trainings, reruns=neural.reruns,
        )  # fmt: skip
        size = neural.size
        budget = self.budget if size is None else np.full_like(self.budget, size)
        return Terms(rung, rate, design, budget, first)

    def trainings(self, terms: Terms, only: Sequence[int] | None = None) -> list[TrainingTask]:
        """The models that a neural rung trains on these terms, for all contrasts or some."""
        chosen = range(len(self.contrasts)) if only is None else only
        return distinct(
            self.pool, self.contrasts, terms.design, terms.budget, terms.fractions, chosen
        )


def prepare(config: StudyConfig, store: Store) -> Study:
    """Read the run, tokenise, make the arms, check for contamination; write it all to `store`."""
    source = Store(config.run)
    run_config = finished_run.read_config(source)
    documents = finished_run.read_documents(source, run_config, config.budget.sites)
    tokenizer = _tokenizer(config, source)
    ids, first, size = tokens.tokenise(tokenizer, read_texts(source))
    pool = pool_files.make_pool(documents, ids, first, size, tokenizer)
    other = None
    if config.arms.against:
        pool, other = _both_runs(config, pool, tokenizer, run_config)
    every_contrast = contrasts(pool, config.arms, other)
    heldout = references.load_references(
        config.heldout.root, _listed(config.heldout.sets), config.heldout.max_chars, config.seed
    )
    questions = _questions(config)
    hits = _contamination(source, documents.ids, heldout, questions)
    owners = {f"{q.task}/{q.key}" for q in questions}
    hits = [h for h in hits if h.owner in owners or h.share >= contamination.LEAKED_SHARE]
    leaked = {hit.owner for hit in hits}
    questions = [q for q in questions if f"{q.task}/{q.key}" not in leaked]
    heldout = _without_leaks(heldout, leaked)
    design = _design(config)
    address = save(store, pool, every_contrast, tokenizer, heldout, questions)
    scored = [f"heldout:{r.name}" for r in heldout]
    scored += [f"task:{t}" for t in dict.fromkeys(q.task for q in questions)]
    facts = _facts(config, pool, questions, heldout)
    return Study(
        store, config, pool, every_contrast, design,
        budgets(pool, every_contrast, design), scored, hits, facts, address,
    )  # fmt: skip


def _listed(values: tuple[str, ...] | None) -> list[str] | None:
    return list(values) if values is not None else None


def _tokenizer(config: StudyConfig, source: Store) -> tokens.StudyTokenizer:
    if config.tokenizer.path:
        return tokens.read_tokenizer(config.tokenizer.path)
    return tokens.train_bpe(read_texts(source), config.tokenizer.vocab_size)


def _both_runs(
    config: StudyConfig, pool: Pool, tokenizer: tokens.StudyTokenizer, run_config: RunConfig
) -> tuple[Pool, np.ndarray]:
    """(documents of both runs end to end, what the other run's recipe keeps).

    A document of both runs stands twice, under one id, so that the arms read it at the same place.
    """
    source = Store(config.arms.against or "")
    other_config = finished_run.read_config(source)
    documents = finished_run.read_documents(source, other_config, config.budget.sites)
    ids, first, size = tokens.tokenise(tokenizer, read_texts(source))
    second = pool_files.make_pool(documents, ids, first, size, tokenizer)
    shared = len(np.intersect1d(pool.identity, second.identity))
    if shared < SHARED_DOCUMENTS * min(len(pool), len(second)):
        raise ArmsError(
            f"arms.against {config.arms.against}: {shared:,} of its {len(second):,} documents are "
            f"among the {len(pool):,} of {config.run}; two recipes are compared on one crawl"
        )
    steps = recipe_steps(second.rules, config.arms.model_copy(update={"groups": None}))
    kept = Arms(second, steps).keep(steps.names)
    return pool_files.join(pool, second), np.concatenate([np.zeros(len(pool), bool), kept])


def _questions(config: StudyConfig) -> list[benchmarks.Question]:
    chosen = config.benchmarks
    root = chosen.root or benchmarks.BUNDLED
    return [
        question
        for task in chosen.tasks
        for question in benchmarks.load_questions(
            root, task, chosen.prompts, chosen.max_questions, config.seed
        )
    ]


def _contamination(
    source: Store,
    ids: list[str],
    heldout: list[references.ReferenceSet],
    questions: list[benchmarks.Question],
) -> list[contamination.Hit]:
    """Scored texts found in the pool: a question with its right answer, a held-out document."""
    texts = [
        (f"{q.task}/{q.key}", f"{q.contexts[q.gold]} {q.continuations[q.gold]}") for q in questions
    ]
    texts += [(f"{r.name}/{k}", text) for r in heldout for k, text in enumerate(r.texts)]
    return contamination.find_hits(contamination.scored_ngrams(texts), ids, read_texts(source))


def _without_leaks(
    heldout: list[references.ReferenceSet], leaked: set[str]
) -> list[references.ReferenceSet]:
    """Reference sets less the documents that stand in the pool; an emptied set is left out."""
    kept = []
    for one in heldout:
        texts = tuple(t for k, t in enumerate(one.texts) if f"{one.name}/{k}" not in leaked)
        if texts:
            kept.append(references.ReferenceSet(one.name, texts))
    return kept


def _design(config: StudyConfig) -> Design:
    budget, placebo = config.budget, config.placebo
    return Design(
        data_seeds=budget.data_seeds, orders=budget.orders, draws=placebo.draws,
        kinds=tuple(placebo.kinds), seed=config.seed, match=budget.match, budget=budget.size,
        epochs=budget.epochs,
    )  # fmt: skip


def _facts(config: StudyConfig, pool: Pool, questions: list, heldout: list) -> dict[str, Any]:
    root = config.benchmarks.root or benchmarks.BUNDLED
    variants = {t: benchmarks.variant(root, t) for t in config.benchmarks.tasks}
    return {
        "documents": len(pool),
        "tokens": len(pool.tokens),
        "bytes": int(pool.size_bytes.sum()),
        "domains": len(np.unique(pool.domain)),
        "vocabulary": pool.vocab_size,
        "questions": len(questions),
        "reference_documents": sum(len(r.texts) for r in heldout),
        "prompts": config.benchmarks.prompts,
        "task_files": variants,
    }


def measure(
    study: Study, engine: Engine, terms: Terms, only: Sequence[int] | None = None
) -> Measured:
    """The effects of all contrasts, or of some, on one rung's terms, and its signals' health.

    Finished tasks are read.
    """
    rung = terms.rung
    chosen = range(len(study.contrasts)) if only is None else only
    neural = {} if rung == "ngram" else study.config.neural.placed()
    args = terms.task_args(study.address, neural)
    name = digest(args)
    diverged = 0
    if rung != "ngram":
        diverged = train_all(engine, terms.step, study.trainings(terms, chosen), args)
    gpus = gpus_of(args)
    health = engine.map(
        f"{terms.step}/health", measure_health, [Task("health", args)], name, VERSION, gpus
    )
    tasks = [Task(f"{k:04d}", {**args, "contrast": k}) for k in chosen]
    results = engine.map(f"{terms.step}/contrasts", measure_contrast, tasks, name, VERSION, gpus)
    done = {k: results[task.key] for k, task in zip(chosen, tasks, strict=True)}
    return Measured(
        rung,
        terms.rate,
        {k: effect_from_json(one["effect"]) for k, one in done.items()},
        np.array(health["health"]["values"]),
        {k: one["tasks"] for k, one in done.items()},
        terms.smoothing,
        {k: one["curves"] for k, one in done.items()},
        diverged,
        None if health["health"]["start"] is None else np.array(health["health"]["start"]),
    )
