"""A recipe: an ordered list of edits and rules with their bounds, and the verdict it gives.

Two ways lead to a verdict, and both end in `decide`: `judge` measures a text, as far as the first
failing rule or to the end, and `decide` alone takes values that were stored.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from decant.filters.doc import Doc
from decant.filters.rule import Batched, BatchMeasure, Edit, LoadError, Rule

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a recipe said of one document.

    `doc` is the document after every edit that was reached. `dropped_by`, `value`, `bound` and
    `detail` belong to the first rule in recipe order that failed and are None for a kept document;
    `detail` is why a rule of the user's gave no number. `values` holds one float per rule in recipe
    order where all were measured, else None.
    """

    doc: Doc
    dropped_by: str | None = None
    value: float | None = None
    bound: float | None = None
    detail: str | None = None
    values: tuple[float, ...] | None = None
    failed: tuple[str, ...] = ()

    @property
    def kept(self) -> bool:
        """True where no rule failed."""
        return self.dropped_by is None

    @property
    def text(self) -> str:
        """The text after every edit that was reached."""
        return self.doc.text


@dataclass(frozen=True, slots=True)
class Decisions:
    """What values come to under a recipe's bounds, for one document or for each of many."""

    failed: np.ndarray  # bool [..., rules]
    first: np.ndarray  # int64 [...]: the first rule that failed, -1 where none did
    tied: np.ndarray  # bool [...]: a later rule at the same place failed too; the text decides


@dataclass(frozen=True, slots=True)
class Step:
    """A rule or an edit at its place in a recipe, its options bound."""

    rule: Rule | None
    edit: Edit | None
    call: Any  # Doc -> float, Doc -> Doc, or the BatchMeasure of a rule


Judging = Generator[tuple[Batched, Doc], Mapping[str, float] | Exception, Verdict]


@dataclass(frozen=True)
class Recipe:
    """Steps in order; `judge` applies them to a text, `decide` to stored values."""

    steps: tuple[Step, ...]

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """The rules in order, with the bounds and options of this recipe."""
        return tuple(step.rule for step in self.steps if step.rule is not None)

    @cached_property
    def edits(self) -> tuple[Edit, ...]:
        """The edits in order, with the options of this recipe."""
        return tuple(step.edit for step in self.steps if step.edit is not None)

    @cached_property
    def batches(self) -> tuple[Batched, ...]:
        """The batched functions that rules measure with, each once."""
        calls = (rule.measure for rule in self.rules)
        return tuple(dict.fromkeys(one.batch for one in calls if isinstance(one, BatchMeasure)))

    @cached_property
    def reads(self) -> tuple[str, ...]:
        """The columns of a document that rules ask for, by name."""
        return tuple(sorted({column for rule in self.rules for column in rule.reads}))

    def only(self, numbers: Sequence[int]) -> Recipe:
        """A recipe of all edits and only the rules of these numbers, each at its place."""
        chosen = {id(self.rules[number]) for number in numbers}
        return Recipe(
            tuple(step for step in self.steps if step.rule is None or id(step.rule) in chosen)
        )

    def decide(self, values: np.ndarray) -> Decisions:
        """What fails first: `values` is float64 [..., rules], all of the recipe's or the first n.

        The last axis is in recipe order; NaN passes no bound.
        """
        count = values.shape[-1]
        failed = np.empty(values.shape, np.bool_)
        for k, rule in enumerate(self.rules[:count]):
            failed[..., k] = ~rule.keep.keeps_array(values[..., k])
        if not count:
            none = np.full(values.shape[:-1], -1)
            return Decisions(failed, none, none > 0)
        first = np.where(failed.any(axis=-1), failed.argmax(axis=-1), -1)
        # Rules share a place with their neighbours: one number for each run of them, -1 for others.
        places = np.array(self._places[:count])
        place = np.where(first >= 0, places[first], -1)
        at_place = failed & (places == place[..., None])
        return Decisions(failed, first, (place >= 0) & (at_place.sum(axis=-1) > 1))

    @cached_property
    def _places(self) -> tuple[int, ...]:
        places, place, before = [], -1, False
        for step in self.steps:
            shared = step.rule is not None and step.rule.met_at is not None
            place += shared and not before
            before = shared
            if step.rule is not None:
                places.append(place if shared else -1)
        return tuple(places)

    def judge(
        self, text: str, all_measures: bool = False, record: Mapping[str, Any] | None = None
    ) -> Verdict:
        """What the recipe says of `text`: stops at the first failing rule, or measures them all.

        The verdict is the same either way; `all_measures` adds the values and carries the text
        through every edit even when a rule failed before it. `record` has the columns in `reads`.
        """
        return self.judge_all([text], all_measures, None if record is None else [record])[0]

    def judge_all(
        self,
        texts: Sequence[str],
        all_measures: bool = False,
        records: Sequence[Mapping[str, Any]] | None = None,
    ) -> list[Verdict]:
        """`judge` of each text; those that meet a batched rule are measured together."""
        verdicts: list[Verdict | None] = [None] * len(texts)
        waiting: list[tuple[int, Judging, tuple[Batched, Doc]]] = []

        def go_on(number: int, judging: Judging, answer: Any) -> None:
            try:
                waiting.append((number, judging, judging.send(answer)))
            except StopIteration as end:
                verdicts[number] = end.value

        for number, text in enumerate(texts):
            record = {} if records is None else records[number]
            go_on(number, self._judging(Doc(text, record=record), all_measures), None)
        while waiting:
            batch = waiting[0][2][0]
            now = [one for one in waiting if one[2][0] is batch]
            waiting = [one for one in waiting if one[2][0] is not batch]
            answers = _measured_together(batch, [doc for _, _, (_, doc) in now])
            for (number, judging, _), answer in zip(now, answers, strict=True):
                go_on(number, judging, answer)
        return verdicts  # type: ignore[return-value]  # every judging has ended

    def _judging(self, doc: Doc, all_measures: bool) -> Judging:
        """Measures step by step; yields where a batched function has to be called."""
        record = doc.record
        values: list[float] = []
        met: dict[int, Doc] = {}  # the document that each failing rule saw
        details: dict[int, str] = {}
        answers: dict[Batched, tuple[Doc, Any]] = {}
        for step in self.steps:
            rule = step.rule
            if met and not all_measures and not (rule and self._ties(max(met), len(values))):
                break
            if rule is None:
                doc = step.call(doc)
                doc.record = record
                continue
            if isinstance(step.call, BatchMeasure):
                batch = step.call.batch
                if answers.get(batch, (None,))[0] is not doc:
                    answers[batch] = doc, (yield batch, doc)
                value, detail = _batched_value(answers[batch][1], step.call.name)
            elif rule.custom:
                value, detail = _custom_value(step.call, doc)
            else:
                value, detail = step.call(doc), None
            if not rule.keep.keeps(value):
                met[len(values)] = doc
                if detail is not None:
                    details[len(values)] = detail
            values.append(value)
        return self._verdict(doc, values, met, details, all_measures)

    def _ties(self, one: int, other: int) -> bool:
        return self._places[one] == self._places[other] >= 0

    def _verdict(
        self,
        doc: Doc,
        values: list[float],
        met: Mapping[int, Doc],
        details: Mapping[int, str],
        all_measures: bool,
    ) -> Verdict:
        every = tuple(values) if all_measures else None
        if not met:
            return Verdict(doc, values=every)
        decisions = self.decide(np.array(values))
        first = int(decisions.first)
        if decisions.tied:
            tied = [k for k in met if self._places[k] == self._places[first]]
            first = min(tied, key=lambda k: self.rules[k].met_at(met[k]))  # type: ignore[misc]
        rule, value = self.rules[first], values[first]
        return Verdict(
            doc,
            dropped_by=rule.name,
            value=value,
            bound=rule.keep.crossed(value),
            detail=details.get(first),
            values=every,
            failed=tuple(self.rules[k].name for k in met),
        )


def _custom_value(call: Any, doc: Doc) -> tuple[float, str | None]:
    """A user's measure, and why it is NaN where the function raised or gave no number."""
    try:
        return _number(call(doc))
    except (Exception, SystemExit) as error:
        return NAN, _reason(error)


def _batched_value(answer: Mapping[str, Any] | Exception, name: str) -> tuple[float, str | None]:
    if isinstance(answer, Exception):
        return NAN, _reason(answer)
    try:
        return _number(answer[name])
    except Exception as error:
        return NAN, _reason(error)


def _number(value: Any) -> tuple[float, str | None]:
    if isinstance(value, str | bytes):
        return NAN, f"returned {value[:40]!r}, not a number"
    number = float(value)
    return number, "returned NaN" if number != number else None


def _reason(error: BaseException) -> str:
    """One line, bounded: the error goes into a column."""
    return f"{type(error).__name__}: {error}".replace("\n", " ")[:200]


def _measured_together(
    batch: Batched, docs: Sequence[Doc]
) -> Sequence[Mapping[str, float] | Exception]:
    """The batch's answer for each document; after an exception each alone, to find whose it is."""
    try:
        return batch(docs)
    except LoadError:
        raise  # no document's fault: the run ends
    except (Exception, SystemExit) as error:
        if len(docs) == 1:
            return [error if isinstance(error, Exception) else RuntimeError("SystemExit")]
        return [one for doc in docs for one in _measured_together(batch, [doc])]
