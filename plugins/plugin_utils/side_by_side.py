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
import signal
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar, cast

Item = TypeVar("Item")
Made = TypeVar("Made")
Worker = TypeVar("Worker", bound=Callable[..., Any])
# Numbers of items wait in a pipe, which takes as many bytes without anybody reading it.
_BYTES, _MOST = 2, 2048


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
        other.join()
    if isinstance(answer, Exception):
        raise answer
    made.update(answer)
    return [made[number] for number in range(len(items))]


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


def in_background(work: Callable[[], Any], kept: int) -> None:
    """Do work in a process of its own, which goes on when this one ends. kept: the file that it holds open until then.

    What work raises is lost: who needs what it makes looks whether it is there. No other thread may run.
    """
    apart, ready = os.pipe()
    if os.fork():
        os.close(ready)
        # At the end of a play Ansible ends workers with all that they have started, unless it is a session of its own.
        os.read(apart, 1)
        os.close(apart)
        return
    failed = 1
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        # Whoever waits for the end of what this process says would wait for that one too.
        os.closerange(3, kept)
        os.closerange(kept + 1, os.sysconf("SC_OPEN_MAX"))
        work()
        failed = 0
    finally:
        os._exit(failed)


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
    except EOFError:
        return OSError("a process that did a part of the work was killed; has the machine memory enough?")
    finally:
        there.close()
