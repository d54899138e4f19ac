"""Where the web page keeps pictures on their way: in memory, for one taking, and for minutes at most."""

import secrets
import threading
import time

MOST_BYTES = 1_000_000_000
"""What all pictures on their way may hold together."""
LIFETIME = 900.0
"""Seconds after which a picture that nobody took is forgotten: longer than a place in the queue is waited for."""


class TooManyError(RuntimeError):
    """More is on its way than the server keeps in memory."""


class Tickets:
    """Pictures against tickets: :meth:`put` gives a ticket that cannot be guessed, :meth:`take` its picture, once.

    Nothing is written to disk, and nothing stays once it was taken. What nobody takes, because a page was closed or a
    connection broke, is forgotten after ``lifetime`` seconds by a thread that runs only while something is kept.

    Example:
        >>> tickets = Tickets()
        >>> ticket = tickets.put(b"a picture")
        >>> tickets.take(ticket), tickets.take(ticket), len(tickets)
        (b'a picture', None, 0)
    """

    def __init__(self, *, lifetime: float = LIFETIME, most_bytes: int = MOST_BYTES) -> None:
        self.lifetime, self.most_bytes = lifetime, most_bytes
        self._kept: dict[str, tuple[float, bytes]] = {}  # in the order in which they are forgotten
        self._lock = threading.Lock()
        self._sweeping = False

    def put(self, data: bytes) -> str:
        """Keep ``data`` and return its ticket.

        Raises:
            TooManyError: there is no room for it now.
        """
        with self._lock:
            if len(data) + sum(len(kept) for _, kept in self._kept.values()) > self.most_bytes:
                raise TooManyError("the server is busy with other people's photos. Try again in a minute.")
            ticket = secrets.token_urlsafe(24)
            self._kept[ticket] = time.monotonic() + self.lifetime, data
            if not self._sweeping:
                self._sweeping = True
                threading.Thread(target=self._sweep, daemon=True).start()
        return ticket

    def take(self, ticket: str) -> bytes | None:
        """The data of a ticket, which is forgotten with this; None where it was taken before, or too late."""
        with self._lock:
            until, data = self._kept.pop(ticket, (0.0, b""))
        return data if until > time.monotonic() else None

    def __len__(self) -> int:
        return len(self._kept)

    def _sweep(self) -> None:
        while True:
            with self._lock:
                now = time.monotonic()
                while self._kept and (first := next(iter(self._kept))) and self._kept[first][0] <= now:
                    del self._kept[first]
                if not self._kept:
                    self._sweeping = False
                    return
            time.sleep(min(5.0, self.lifetime))
