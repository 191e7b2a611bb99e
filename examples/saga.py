"""Book a trip: flight, hotel, payment. When the payment fails, hotel and flight are cancelled, in that order.

hub run examples/saga.py:trip -p folder=/tmp/trip -p amount=80
hub run examples/saga.py:trip -p folder=/tmp/trip -p amount=800
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hub import flow, get_run_logger, runtime_context, task, transaction

LIMIT = 500


class Service:
    """Bookings of one kind, a file each. Stands for an airline or a hotel on the other side of a network."""

    def __init__(self, folder: str, kind: str) -> None:
        self.bookings = Path(folder) / kind
        self.bookings.mkdir(parents=True, exist_ok=True)

    def book(self, key: str, what: str) -> str:
        """Book once for each key, however often it is asked."""
        (self.bookings / key).write_text(json.dumps({"what": what}))
        return key

    def cancel(self, key: str) -> None:
        """Cancel; a booking that is gone is no error."""
        (self.bookings / key).unlink(missing_ok=True)
        with (self.bookings.parent / "cancelled").open("a") as out:
            out.write(f"{self.bookings.name}\n")


def booking_key() -> str:
    """The same in every attempt of this step, so that one that is repeated books nothing twice."""
    here = runtime_context()
    assert here is not None
    return here.idempotency_key


@task(retries=2, retry_delay_seconds=0.2)
def book_flight(folder: str, to: str) -> str:
    """A seat."""
    return Service(folder, "flights").book(booking_key(), to)


@book_flight.on_rollback
def cancel_flight(step: Any) -> None:
    """Give the seat back."""
    Service(step.arguments["folder"], "flights").cancel(step.result)


@task(retries=2, retry_delay_seconds=0.2)
def book_hotel(folder: str, city: str) -> str:
    """A room."""
    return Service(folder, "hotels").book(booking_key(), city)


@book_hotel.on_rollback
def cancel_hotel(step: Any) -> None:
    """Give the room back."""
    Service(step.arguments["folder"], "hotels").cancel(step.result)


@task
def pay(amount: float) -> None:
    """Refuse what is above the limit of the card."""
    if amount > LIMIT:
        raise ValueError(f"the card's limit is {LIMIT}, the trip costs {amount:g}")


@flow
def trip(folder: str, to: str = "Lisbon", amount: float = 80.0) -> list[str]:
    """The whole trip or nothing of it, whatever fails and whoever is killed."""
    with transaction() as txn:
        txn.set("traveller", "Ada")
        flight = book_flight(folder, to)
        hotel = book_hotel(folder, to)
        pay(amount)
    get_run_logger().info("booked %s", to)
    return [flight, hotel]
