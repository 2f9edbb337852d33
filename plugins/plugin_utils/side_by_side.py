# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work on a fleet shared between this process and another one, on two cores.

The other process is forked, and so has what this one has without its being sent. What either of them touches is copied,
as Python counts references: of a thousand hosts 180 MB, which is why there is one and not one for each core.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar, cast

Item = TypeVar("Item")
Made = TypeVar("Made")
Worker = TypeVar("Worker", bound=Callable[..., Any])
# Numbers of items wait in a pipe, which takes as many bytes without anybody reading it.
_BYTES, _MOST = 2, 2048
# Items after which another process is worth starting.
FEW = 2


def side_by_side(work: Callable[[Item], Made], items: Sequence[Item], worth_it: bool = True) -> list[Made]:
    """[work(item) for item in items]; whichever of two processes is free takes the next one.

    Where there is one core, or it is not worth it, all is done here. What work returns or raises is sent back, so it
    can be pickled. No other thread may run.

    :raises OSError: the other process was killed, by a lack of memory for example; and what work raises.
    """
    if not worth_it or not 1 < len(items) <= _MOST or not several_cores():
        return [work(item) for item in items]
    taken, waiting = os.pipe()
    os.write(waiting, b"".join(number.to_bytes(_BYTES, "big") for number in range(len(items))))
    os.close(waiting)
    context = get_context("fork")
    there, here = context.Pipe(duplex=False)
    other = context.Process(target=_send, args=(here, work, items, taken))
    other.start()
    here.close()
    try:
        made = _done(work, items, taken)
    finally:
        for _number in _numbers(taken):
            pass
        os.close(taken)
        answer = _received(there)
        there.close()
        other.join()
    if isinstance(answer, Exception):
        raise answer
    made.update(answer)
    return [made[number] for number in range(len(items))]


def in_turn(work: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
    """map(work, items), every other item by another process once there are many; on one core all is done here.

    Items and what work returns or raises are sent, so they can be pickled. No other thread may run.

    :raises OSError: as side_by_side; and what work and items raise.
    """
    rest = iter(items)
    yield from map(work, islice(rest, FEW))
    theirs = next(rest, None) if several_cores() else None
    if theirs is not None:
        with _asked(work) as other:
            while theirs is not None:
                with contextlib.suppress(BrokenPipeError):
                    other.send(theirs)
                mine = next(rest, None)
                made = None if mine is None else work(mine)
                answer = _received(other)
                if isinstance(answer, Exception):
                    raise answer
                yield answer
                if mine is None:
                    return
                yield cast(Made, made)
                theirs = next(rest, None)
    yield from map(work, rest)


@contextlib.contextmanager
def _asked(work: Callable[[Any], Any]) -> Iterator[Connection]:
    """Where another process takes items and gives back what work makes of them."""
    context = get_context("fork")
    here, there = context.Pipe()
    process = context.Process(target=_answer, args=(work, there, here), daemon=True)
    process.start()
    there.close()
    try:
        yield here
    finally:
        here.close()
        process.join()


def _answer(work: Callable[[Any], Any], there: Connection, here: Connection) -> None:
    here.close()  # held open here as well, it would never end
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            item = there.recv()
            answer: Any
            try:
                answer = work(item)
            except Exception as error:  # pylint: disable=broad-except
                # Whatever it is, it is raised in the process that waits for it.
                answer = error
            there.send(answer)


class Elsewhere(Generic[Worker]):
    """Calls a worker in another process, one call after the other, while this one prepares the next.

    What is given to it is sent there, so it can be pickled, and so can the worker be, which comes back in the end. No
    other thread may run when this is made.
    """

    def __init__(self, worker: Worker) -> None:
        context = get_context("fork")
        given, self._to = context.Pipe(duplex=False)
        self._back, told = context.Pipe(duplex=False)
        # A daemon: this process may end without having called end().
        self._process = context.Process(target=_serve, args=(worker, given, self._to, told), daemon=True)
        self._process.start()
        given.close()
        told.close()

    def __call__(self, *arguments: Any) -> None:
        """:raises OSError: the other process was killed; and what the worker has raised."""
        try:
            self._to.send(arguments)
        except BrokenPipeError:
            self.end()

    def end(self) -> Worker:
        """The worker, when it has done all it was given. :raises OSError: as above."""
        with contextlib.suppress(BrokenPipeError):
            self._to.send(None)
        self._to.close()
        answer = _received(self._back)
        self._back.close()
        self._process.join()
        if isinstance(answer, Exception):
            raise answer
        return cast(Worker, answer)


def _serve(worker: Callable[..., Any], given: Connection, to: Connection, told: Connection) -> None:
    # Held open here as well, it would keep this process waiting for ever when the other one is killed.
    to.close()
    answer: Any = worker
    try:
        while (arguments := given.recv()) is not None:
            worker(*arguments)
    except EOFError:
        return
    except Exception as error:  # pylint: disable=broad-except
        # Whatever it is, it is raised in the process that waits for it.
        answer = error
    given.close()
    told.send(answer)


def several_cores() -> bool:
    """Whether a second process would have a core of its own; a container may have fewer than the machine."""
    return (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1) > 1


def _numbers(taken: int) -> Iterator[int]:
    """Those that nobody has taken; a pipe gives each to one process."""
    while number := os.read(taken, _BYTES):
        yield int.from_bytes(number, "big")


def _done(work: Callable[[Any], Any], items: Sequence[Any], taken: int) -> dict[int, Any]:
    return {number: work(items[number]) for number in _numbers(taken)}


def _send(here: Connection, work: Callable[[Any], Any], items: Sequence[Any], taken: int) -> None:
    answer: Any
    try:
        answer = _done(work, items, taken)
    except Exception as error:  # pylint: disable=broad-except
        # Whatever it is, it is raised in the process that waits for it.
        answer = error
    here.send(answer)


def _received(there: Connection) -> Any:
    try:
        return there.recv()
    except (EOFError, ConnectionResetError):
        return OSError("a process that did a part of the work was killed; has the machine memory enough?")
