"""uvicorn's protocol with a limit on idle connections and a time limit for the head of a request.

Both are missing from uvicorn, which waits forever for a head that is sent byte by byte.
"""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

from runtime.viewer.connections import IdleConnections, address_key

HEAD_S = 10.0


class HeadInTime(H11Protocol):
    """A connection: idle from its start, and again after each response, until the head of a request is complete."""

    _idle: IdleConnections | None = None
    _timer: asyncio.TimerHandle | None = None
    _key = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._key = address_key(self.client)
        self._update_idle()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._update_idle()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._update_idle()

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave_idle()
        super().connection_lost(exc)

    def close_idle(self) -> None:
        """Close the connection now."""
        self.transport.abort()

    def _update_idle(self) -> None:
        if self.transport.is_closing():
            return
        # What follows a response is idle too, also the rest of a body that nobody asked for. The time goes on while
        # more of it arrives.
        if self.cycle is not None and not self.cycle.response_complete:
            self._leave_idle()
        elif self._timer is None:
            self._timer = self.loop.call_later(HEAD_S, self.transport.abort)
            if not self._connections().add(self, self._key, answered=self.cycle is not None):
                # what was sent is still delivered, within the same time
                self.transport.close()

    def _leave_idle(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._connections().discard(self, self._key)

    def _connections(self) -> IdleConnections:
        """Return the one registry of all connections of the process."""
        if HeadInTime._idle is None:
            HeadInTime._idle = IdleConnections(self.loop.call_later)
        return HeadInTime._idle
