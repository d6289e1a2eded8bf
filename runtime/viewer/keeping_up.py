"""What all open pages share: the session as it stands, and word of each change of it."""

import asyncio
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from runtime.ledger import State
from runtime.viewer.health import Health, health_of
from runtime.viewer.pictures import Pictures
from runtime.viewer.reading import LedgerReader
from runtime.viewer.setup import Setup

# between two looks at the ledger, each some tens of microseconds where nothing changed
LOOK_S = 0.2
# While a backlog is worked off, looking and drawing take from the scoring what it needs: on two shared cores a fifth of
# a core that anybody used at the lowest priority cost the watch a tenth of its rate.
BUSY = 20
BUSY_LOOK_S = 1.0
HEALTH_S = 1.0
# what only grows older is told this often
QUIET_S = 5.0

_T = TypeVar("_T")


class KeepingUp:
    """Looks at the ledger again and again, and wakes whoever waits for something new.

    Args:
        setup: see there.
        clock: seconds on a steady clock.
    """

    def __init__(self, setup: Setup, clock: Callable[[], float] = time.monotonic) -> None:
        self._setup, self._clock = setup, clock
        self.reader = LedgerReader(setup)
        self.pictures = Pictures(setup.folder, setup.out)
        self._reading, self._drawing = ThreadPoolExecutor(1, "ledger"), ThreadPoolExecutor(1, "pictures")
        self.run_id = secrets.token_hex(8)
        """Of this process: who knows another one's versions has to ask for everything."""
        self.health: Health | None = None
        self._seen_alive = clock()
        self.number = 0
        """Raised with each news."""
        self._news = asyncio.Event()
        self._looked = asyncio.Event()
        self._ending = False

    def seen_alive(self) -> None:
        """The watch's loop gets on; may be called in any thread."""
        self._seen_alive = self._clock()

    async def keep_up(self) -> None:
        """Look, and tell, until the end."""
        told_at = looked_at = float("-inf")
        told: object = None
        while not self._ending:
            shown = await self.reading(self.reader.look)
            now = self._clock()
            if shown or self.health is None or now - looked_at >= HEALTH_S:
                looked_at = now
                self.health = await self.reading(self._look_at_health)
                self._looked.set()
            telling = _without_ages(self.health)
            if shown or telling != told or now - told_at >= QUIET_S:
                told, told_at = telling, now
                self._tell()
            await asyncio.sleep(BUSY_LOOK_S if self.is_busy else LOOK_S)

    async def first_look(self, timeout_s: float) -> bool:
        """Wait until health is known; False where that took longer than `timeout_s` seconds."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._looked.wait(), timeout_s)
        return self._looked.is_set()

    async def news(self, number: int, timeout_s: float) -> bool:
        """Wait until there is something newer than `number`; False where nothing came."""
        if self.number > number or self._ending:
            return True
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), timeout_s)
        return self.number > number

    async def reading(self, work: Callable[..., _T], *arguments: Any) -> _T:
        """Do something with the ledger, in its thread."""
        return await asyncio.get_running_loop().run_in_executor(self._reading, work, *arguments)

    async def drawing(self, work: Callable[..., _T], *arguments: Any) -> _T:
        """Make a picture, in their thread."""
        return await asyncio.get_running_loop().run_in_executor(self._drawing, work, *arguments)

    @property
    def is_busy(self) -> bool:
        """Whether a backlog is being worked off."""
        return self.health is not None and self.health.counts[State.WAITING] >= BUSY

    @property
    def ending(self) -> bool:
        """Whether the end has come, for whoever would wait for ever."""
        return self._ending

    def end(self) -> None:
        """Let everything that waits come to its end."""
        self._ending = True
        self._tell()

    async def close(self) -> None:
        """Let go of ledger and threads."""
        await self.reading(self.reader.close)
        self._reading.shutdown(cancel_futures=True)
        self._drawing.shutdown(wait=False, cancel_futures=True)

    def _tell(self) -> None:
        self.number += 1
        waiting, self._news = self._news, asyncio.Event()
        waiting.set()

    def _look_at_health(self) -> Health:
        age_s = self._clock() - self._seen_alive
        return health_of(
            self.reader.status,
            self._setup.out,
            loop_age_s=age_s,
            min_free_gb=self._setup.min_free_gb,
            counts_age_s=self.reader.status_age_s,
        )


def _without_ages(health: Health) -> tuple[object, ...]:
    """What of it is worth telling at once."""
    free = None if health.free_gb is None else round(health.free_gb, 1)
    # of a fault that tells seconds, that there is one
    faults = tuple(fault.partition(":")[0] for fault in health.faults)
    return faults, tuple(health.counts.items()), free, health.engine, health.model_sha256, health.mixed_models
