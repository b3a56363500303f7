"""The members of a file in a row, and the way on after a damaged one.

Damage never ends a file: reading goes on at the next member that opens, and the byte range between
is named. Magic bytes prove nothing inside compressed data, so each candidate is tried; a file made
of nothing but candidates would cost its size times their number, so trying has a budget.
"""

from collections.abc import Iterator

from decant.pipeline.warc.headers import RECORD_START
from decant.pipeline.warc.members import (
    PIECE_BYTES,
    WINDOW_BYTES,
    Damage,
    Format,
    Piece,
    Window,
)

# Work is counted in bytes read, decompressed or looked at. A candidate that is none costs 0.5 kB,
# so a file of bare magic bytes stays within its budget, and no member in it is passed over.
FREE_WORK = 64 << 20
WORK_PER_BYTE = 256  # of the file


def members(window: Window, at: int, form: Format, inside: bool) -> Iterator[Piece]:
    """The pieces of all members from `at` on; `inside`: from the first that truly opens there."""
    return _Members(window, at, form).pieces(inside)


class _Members:
    """Reads on from one member to the next, and keeps the account of the work that search takes."""

    def __init__(self, window: Window, at: int, form: Format):
        self._window = window
        self._form = form
        self._begin = at
        self._work = 0  # of searching, and of reading bytes that an earlier member gave already
        self._passed = at  # how far damaged members were read

    def pieces(self, inside: bool) -> Iterator[Piece]:
        window, form = self._window, self._form
        at = self._next_member(self._begin) if inside else self._begin
        while at >= 0 and window.view(at, 1):
            begin, starts, given = at, True, 0
            try:
                if bytes(window.view(at, len(form.magic))) != form.magic:
                    raise Damage("not_a_member")
                body = form.open(window, at)
                while True:
                    try:
                        data = next(body)
                    except StopIteration as stop:
                        at = stop.value
                        break
                    yield Piece(data, begin, starts)
                    starts, given = False, given + len(data)
                if starts:
                    yield Piece(b"", begin, True)
            except Damage as damage:
                self._work += given if begin < self._passed else 0
                self._passed = max(self._passed, damage.end or 0, damage.stopped)
                at = self._behind(begin, damage.end)
                until = at if at >= 0 else _end_of(window, begin)
                lost = (begin, until)
                yield Piece(b"", begin, lost=lost, stopped=damage.stopped, reason=damage.reason)

    def _behind(self, begin: int, end: int | None) -> int:
        """The place to go on at after damage in the member at `begin`; -1 where there is none.

        The end of a member that fails its checksum is believed only where another member (or
        nothing) follows, and no record opens before it: a member cut short runs on into its
        neighbours, and can fall into step with the next one's codes and end where that one ends.
        """
        if end is not None:
            follows = bytes(self._window.view(end, len(self._form.magic)))
            if not follows or follows == self._form.magic:
                inner = self._next_record(begin + 1, end)
                return end if inner < 0 else inner
        return self._next_member(begin + 1)

    def _next_member(self, at: int) -> int:
        """The first place at or after `at` where a member truly opens; -1 where none does.

        A member counts when it opens with a record, or when all of it (up to a piece) is whole to
        its checksum.
        """
        before = self._window.work
        while (at := self._candidate(at)) >= 0:
            size = 0
            body = self._form.open(self._window, at)
            try:
                head = next(body)
                size = len(head)
                if RECORD_START.match(head):
                    return at
                if size < PIECE_BYTES:
                    next(body)
            except Damage as damage:
                # The record is there even where what follows its head is not.
                if damage.end is not None:
                    return at
            except StopIteration:
                return at
            self._work += self._window.work - before + size
            before = self._window.work
            at += 1
        return -1

    def _next_record(self, at: int, until: int) -> int:
        """The first place in [at, until) where a member opens with a record; -1 where none does."""
        before = self._window.work
        while 0 <= (at := self._candidate(at)) < until:
            head = b""
            try:
                head = next(self._form.open(self._window, at), b"")
                if RECORD_START.match(head):
                    return at
            except Damage:
                pass
            self._work += self._window.work - before + len(head)
            before = self._window.work
            at += 1
        return -1

    def _candidate(self, at: int) -> int:
        """The next place of the magic bytes; past some of them where the budget is spent."""
        paid = self._begin + max(0, self._work - FREE_WORK) // WORK_PER_BYTE
        return self._window.find(self._form.magic, max(at, paid))


def _end_of(window: Window, at: int) -> int:
    while view := window.view(at, WINDOW_BYTES):
        at += len(view)
    return at
