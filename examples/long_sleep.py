"""A trial of a month: a welcome, a reminder after 20 days, an end after 30. Meanwhile it has no process and no slot.

    hub run examples/long_sleep.py:trial -p customer=Ada -p outbox=/tmp/outbox -p day=0.2   # seconds, to see it now
    hub deploy examples/long_sleep.py:trial --name trial
    hub deployments run trial -p customer=Ada -p outbox=/tmp/outbox

On a worker its run is Sleeping, and `hub runs why ID` says until when. Machines may be restarted and workers replaced:
it goes on when it is due, and does nothing twice.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import hub
from hub import flow, get_run_logger, task


@task(retries=5, retry_delay_seconds=60)
def mail(outbox: str, customer: str, text: str) -> str:
    """Put a message into the outbox. Its name is the same in every try, so that a repeated one leaves no second."""
    message = Path(outbox) / f"{hub.uuid()}.txt"
    message.parent.mkdir(parents=True, exist_ok=True)
    message.write_text(f"To: {customer}\n\n{text}\n")
    return message.name


@task
def has_paid(outbox: str, customer: str) -> bool:
    """Stands for a look into the accounts."""
    return (Path(outbox) / f"{customer}.paid").exists()


@flow(flow_run_name="trial-of-{customer}")
def trial(customer: str, outbox: str, day: float = 86_400) -> str:
    """Gives how it ended: paid or over. `day` in seconds."""
    # Recorded, since the flow is called again from the top whenever it wakes up; datetime.now() would be another.
    began = hub.now()
    end = began + timedelta(seconds=30 * day)
    mail(outbox, customer, f"Welcome! Your trial ends on {end:%d %B %Y}.")
    hub.sleep(20 * day)
    if has_paid(outbox, customer):
        return "paid"
    mail(outbox, customer, "Ten days are left.")
    get_run_logger().info("%s was reminded", customer)
    hub.sleep_until(end)
    if has_paid(outbox, customer):
        return "paid"
    mail(outbox, customer, "Your trial is over. Your data is kept for a year.")
    return "over"
