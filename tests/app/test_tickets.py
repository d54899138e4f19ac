import threading
import time

import pytest

from examples.mask_removal.app_tickets import Tickets, TooManyError


def test_a_ticket_is_good_once() -> None:
    tickets = Tickets()
    one, other = tickets.put(b"one"), tickets.put(b"other")
    assert one != other and min(len(one), len(other)) >= 32
    assert tickets.take(other) == b"other"
    assert tickets.take(other) is None and tickets.take("guessed") is None
    assert tickets.take(one) == b"one" and len(tickets) == 0


def test_what_nobody_takes_is_forgotten_by_itself() -> None:
    threads = threading.active_count()
    tickets = Tickets(lifetime=0.1)
    late = tickets.put(b"forgotten")
    tickets.put(b"this one too")
    until = time.monotonic() + 5
    while len(tickets) and time.monotonic() < until:
        time.sleep(0.02)
    assert len(tickets) == 0 and tickets.take(late) is None
    again = tickets.put(b"after a pause")
    assert tickets.take(again) == b"after a pause"
    until = time.monotonic() + 5
    while threading.active_count() > threads and time.monotonic() < until:
        time.sleep(0.02)
    assert threading.active_count() == threads  # the thread that forgets ends with its work


def test_memory_is_limited() -> None:
    tickets = Tickets(most_bytes=10)
    first = tickets.put(bytes(6))
    with pytest.raises(TooManyError, match="busy with other people's photos"):
        tickets.put(bytes(5))
    tickets.take(first)
    assert tickets.take(tickets.put(bytes(5))) == bytes(5)


def test_eight_threads_lose_nothing() -> None:
    tickets = Tickets()
    taken: list[bytes | None] = []

    def work(number: int) -> None:
        for turn in range(200):
            taken.append(tickets.take(tickets.put(b"%d %d" % (number, turn))))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(taken)) == 1600 and None not in taken and len(tickets) == 0
