"""Ask a person before something is released: a signed link by mail, a form without a login, a time limit, a default.

hub deploy examples/approval.py:release && hub deployments run release -p version=7 -p outbox=outbox
"""

from __future__ import annotations

from email.message import EmailMessage
from pathlib import Path
from typing import Literal

import hub
from hub import flow, get_run_logger, task
from pydantic import BaseModel, Field


class Approval(BaseModel):
    """What is asked. Whoever opens the link gets it as a form, with these descriptions and bounds."""

    decision: Literal["release", "hold back"] = Field(description="Whether it goes out.")
    share: int = Field(100, ge=1, le=100, description="To how many percent of the machines.")
    reason: str = Field("", max_length=500)


NOBODY = Approval(decision="hold back", reason="nobody answered in time")


@task(retries=3, retry_delay_seconds=10)
def send_mail(outbox: str, to: str, version: int, link: str) -> None:
    """Leave the mail where a mail program finds it; smtplib would send it as well."""
    mail = EmailMessage()
    mail["To"], mail["Subject"] = to, f"May release {version} go out?"
    mail.set_content(f"Answer here, once and without a login: {link}\n")
    folder = Path(outbox)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"release-{version}.eml").write_bytes(bytes(mail))


@task
def roll_out(version: int, share: int) -> str:
    """What the approval is for."""
    return f"release {version} is on {share} % of the machines"


@flow
def release(version: int, outbox: str, to: str = "ops@example.org", patience: float = 86_400) -> str:
    """Ask, wait up to `patience` seconds, and release or hold back."""
    link = hub.input_link("approval", valid=patience)
    send_mail(outbox, to, version, link)
    approval = hub.wait_for_input(
        Approval, key="approval", timeout=patience, default=NOBODY, description=f"May release {version} go out?"
    )
    if approval.decision == "hold back":
        get_run_logger().info("held back: %s", approval.reason)
        return f"release {version} is held back: {approval.reason}"
    return roll_out(version, approval.share)
