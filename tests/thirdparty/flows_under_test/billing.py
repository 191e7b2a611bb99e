"""A user's flows."""

from hub import flow, task


@task(retries=3, retry_delay_seconds=3600)
def price(item):
    return {"tea": 3.5, "cake": 4.0}[item]


@flow
def bill(items):
    return sum(price(item) for item in items)
