"""Live progress for people (stderr) and an event log for machines (`events.jsonl`).

Times live here and nowhere else: everything else a run writes is the same for the same input.
"""

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from decant.pipeline.engine.secrets import public_text, public_values
from decant.pipeline.engine.storage import Store

PLAIN_EVERY_S = 10.0  # a line per this many seconds where stderr is no terminal
PLAIN_STEP_S = 2.0  # deduplication has a dozen steps of milliseconds: those pass unmentioned


@dataclass
class StepState:
    total: int
    done: int
    resumed: int
    started: float
    rows: int = 0
    last_line: float = field(default_factory=time.monotonic)
    bar: TaskID | None = None

    def rate(self) -> float:
        return self.rows / max(time.monotonic() - self.started, 1e-9)

    def eta_s(self) -> float | None:
        """Seconds left at the pace so far; None before the first task of this run ends."""
        finished = self.done - self.resumed
        if not finished:
            return None
        return (time.monotonic() - self.started) / finished * (self.total - self.done)


class Progress:
    """Shows steps on stderr and appends events to the run's log."""

    def __init__(self, store: Store, live: bool = True):
        self._store = store
        self._console = Console(stderr=True)
        self._live = live
        self._bar: Bar | None = None
        self._steps: dict[str, StepState] = {}
        self._lines: list[str] = []

    def start(self, step: str, total: int, done: int) -> None:
        state = StepState(total, done, done, time.monotonic())
        self._steps[step] = state
        self.event("start", step=step, tasks=total, already_done=done)
        if self._live and self._console.is_terminal and total:
            if self._bar is None:
                self._bar = Bar(
                    TextColumn("{task.description:<24}"),
                    BarColumn(),
                    TextColumn("{task.completed}/{task.total}"),
                    TimeElapsedColumn(),
                    TextColumn("{task.fields[note]}"),
                    console=self._console,
                )
                self._bar.start()
            state.bar = self._bar.add_task(step, total=total, completed=done, note="")

    def advance(self, step: str, key: str, counts: Mapping[str, Any]) -> None:
        state = self._steps[step]
        state.done += 1
        state.rows += int(counts.get("in", 0) or 0)
        self.event("done", step=step, task=key, counts=_short(counts))
        self._show(step, state)

    def tick(self) -> None:
        """Keep the plain-text progress alive during long tasks."""
        if self._lines and not self._console.is_terminal:
            self.flush()

    def finish(self, step: str) -> None:
        state = self._steps[step]
        seconds = time.monotonic() - state.started
        self.event("finish", step=step, rows=state.rows, seconds=round(seconds, 3))
        self._show(step, state, last=True)
        self.flush()

    def event(self, kind: str, **fields: Any) -> None:
        record = {"time": round(time.time(), 3), "event": kind, **public_values(fields)}
        self._lines.append(json.dumps(record, ensure_ascii=False, default=str))

    def say(self, message: str) -> None:
        """One line for the person at the terminal."""
        if self._live:
            self._console.print(public_text(message), highlight=False, markup=False, soft_wrap=True)

    def flush(self) -> None:
        """Append the buffered events to the run's log (remote runs: rewritten as one object)."""
        if not self._lines:
            return
        data = ("\n".join(self._lines) + "\n").encode()
        self._lines = []
        if self._store.is_local:
            with open(self._store.path("events.jsonl"), "ab") as log:
                log.write(data)
            return
        old = self._store.read_bytes("events.jsonl") if self._store.exists("events.jsonl") else b""
        self._store.write_bytes("events.jsonl", old + data)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        self.flush()

    def _show(self, step: str, state: StepState, last: bool = False) -> None:
        if not self._live:
            return
        note = _note(state)
        if self._bar is not None and state.bar is not None:
            self._bar.update(state.bar, completed=state.done, note=note)
            return
        now = time.monotonic()
        long = now - state.started > PLAIN_STEP_S
        fresh = state.done > state.resumed
        if (last and long and fresh) or now - state.last_line > PLAIN_EVERY_S:
            state.last_line = now
            print(f"{step}: {state.done}/{state.total} {note}", file=sys.stderr, flush=True)


def _note(state: StepState) -> str:
    rate = f"{state.rate():,.0f} rows/s" if state.rows else ""
    eta = state.eta_s()
    left = f", {eta:,.0f} s left" if eta is not None and state.done < state.total else ""
    return rate + left


def _short(counts: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in counts.items() if isinstance(value, int | float)}
