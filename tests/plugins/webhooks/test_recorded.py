"""Recorded payload in, event out: what each sample of each preset comes to, as (type, id)."""

from __future__ import annotations

import pytest
from hub.webhooks.events import provider_events
from hub.webhooks.presets import Presets
from hub.webhooks.signing import sample_request

from hub_plugins.webhooks.plugin import hub_presets

PRESETS = Presets.load(hub_presets())
AZURE = (
    "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/acme"
    "/providers/Microsoft.Storage/storageAccounts/acmein"
)
RECORDED = [
    ("adyen", "AUTHORISATION", [("AUTHORISATION", "7914073381342284.AUTHORISATION.true")]),
    ("adyen", "balancePlatform.transfer.created", [("balancePlatform.transfer.created", None)]),
    ("alertmanager", "firing", [("firing", None)]),
    ("asana", "task.changed", [("task.changed", None)]),
    (
        "atlassian-connect",
        "jira:issue_updated",
        [("jira:issue_updated", "0fb3a7a1-0000-4000-8000-000000000009")],
    ),
    ("aws-sns", "Notification", [("Notification", "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324")]),
    (
        "aws-sns",
        "SubscriptionConfirmation",
        [("SubscriptionConfirmation", "165545c9-2a5c-472c-8df2-7ff2be2b3b1b")],
    ),
    (
        "azure-event-grid",
        "Microsoft.Storage.BlobCreated",
        [("Microsoft.Storage.BlobCreated", f"{AZURE}#831e1650-001e-001b-66ab-eeb76e069631")],
    ),
    (
        "azure-event-grid",
        "CloudEvents",
        [("Microsoft.Storage.BlobDeleted", f"{AZURE}#9aeb0fdf-c01e-0131-0922-9eb54906e209")],
    ),
    ("auth0", "login", [("s", "90020261120091530000000000000000000001223372036854775808")]),
    ("basic", "example", [("report.ready", None)]),
    ("bitbucket-cloud", "repo:push", [("repo:push", "1a2b3c4d-0000-4000-8000-000000000002")]),
    ("bitbucket-server", "repo:refs_changed", [("repo:refs_changed", "5f0c5a2e-0000-4000-8000-000000000001")]),
    ("box", "FILE.UPLOADED", [("FILE.UPLOADED", "eb0c4e06-751f-442c-86f8-fd5bb404dbec")]),
    (
        "calendly",
        "invitee.created",
        [
            (
                "invitee.created",
                "invitee.created.https://api.calendly.com/scheduled_events/AAAAAAAAAAAAAAAA/invitees/BBBBBBBBBBBBBBBB.2026-11-20T09:15:30.000000Z",
            )
        ],
    ),
    ("circleci", "workflow-completed", [("workflow-completed", "3888f21b-eaa7-38e3-8f3d-75a63bba8895")]),
    ("clerk", "user.created", [("user.created", None)]),
    ("cloudevents", "binary", [("com.example.order.created", "/shop/orders#A-1001")]),
    ("cloudevents", "structured", [("com.example.order.created", "/shop/orders#A-1002")]),
    (
        "cloudevents",
        "batch",
        [("com.example.order.created", "/shop/orders#A-1003"), ("com.example.order.paid", "/shop/orders#A-1004")],
    ),
    ("convoy", "charge.success", [("charge.success", "evt_1001")]),
    ("datadog", "Triggered", [("Triggered", "4567890123456789")]),
    ("discord", "APPLICATION_AUTHORIZED", [("APPLICATION_AUTHORIZED", None)]),
    ("discord", "interaction", [("interaction.2", "995105663481028772")]),
    ("docker-hub", "push", [("push", "acme/billing.latest.1795166130")]),
    ("dropbox", "list_folder", [("list_folder", None)]),
    ("generic-hmac", "example", [("order.created", None)]),
    ("gitea", "push", [("push", "f6266f16-0000-4000-8000-000000000001")]),
    ("gitea", "form", [("create", "f6266f16-0000-4000-8000-000000000002")]),
    ("github", "ping", [("ping", "5b2f6a60-1111-11ee-8c2a-000000000001")]),
    ("github", "push", [("push", "5b2f6a60-1111-11ee-8c2a-000000000002")]),
    ("github", "workflow_run", [("workflow_run", "5b2f6a60-1111-11ee-8c2a-000000000003")]),
    ("gitlab", "push", [("push", "0c2e7b5a-33d1-4b43-9d0e-000000000001")]),
    ("gitlab", "pipeline", [("pipeline", "0c2e7b5a-33d1-4b43-9d0e-000000000002")]),
    ("gocardless", "payments.confirmed", [("payments.confirmed", "EV00BD05S5VM2T")]),
    ("gogs", "push", [("push", "f6266f16-0000-4000-8000-000000000003")]),
    ("google-pubsub", "message", [("message", "projects/acme/subscriptions/hub#2070443601311540")]),
    (
        "google-pubsub",
        "OBJECT_FINALIZE",
        [("OBJECT_FINALIZE", "projects/acme/subscriptions/hub#2070443601311541")],
    ),
    ("grafana", "firing", [("firing", None)]),
    (
        "hubspot",
        "contact.propertyChange",
        [
            ("contact.propertyChange", "3816279340.25.1795166130216"),
            ("contact.creation", "3816279480.22.1795166131000"),
        ],
    ),
    ("intercom", "contact.created", [("contact.created", "notif_ccd8a4d0-f965-11e3-a367-c779cae3e1b3")]),
    ("jira", "jira:issue_updated", [("jira:issue_updated", "0fb3a7a1-0000-4000-8000-000000000001")]),
    ("jwt", "example", [("order.created", "1001")]),
    ("lemon-squeezy", "order_created", [("order_created", "order_created.orders.1.2026-11-20T09:15:30.000000Z")]),
    ("line", "message", [("message", "01FZ74A0TDDPYRVKNK77XKC3ZR")]),
    ("linear", "Issue.create", [("Issue.create", "234d1a4e-0000-4000-8000-000000000001")]),
    ("mailgun", "delivered", [("delivered", "5egbgr1vjgqxtrnp65xfznchgdccwh5d6i09vijqi3whgowmn6")]),
    (
        "meta",
        "whatsapp message",
        [("whatsapp_business_account.messages", "wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTdCNTJGOTY")],
    ),
    ("meta", "page feed", [("page.feed", None)]),
    ("microsoft-graph", "created", [("created", "lsgTZMr9KwAAA")]),
    ("mollie", "payment-link.paid", [("payment-link.paid", "event_GvJ8WHrp5isUdRub9CJyH")]),
    ("mtls", "example", [("statement.ready", "st-1001")]),
    ("netlify", "deploy.ready", [("deploy.ready", "5ebc34bf4fea0b01f02efa3a.ready")]),
    ("notion", "page.content_updated", [("page.content_updated", "367cba44-b6f3-4c92-81e7-6a2e9659efd4")]),
    ("okta", "user.lifecycle.create", [("user.lifecycle.create", "ed2ae9c2-0000-4000-8000-000000000002")]),
    ("openai", "response.completed", [("response.completed", None)]),
    ("paddle", "transaction.completed", [("transaction.completed", "evt_01hv8x29kz0t586xy6zn1a62ny")]),
    ("pagerduty", "incident.triggered", [("incident.triggered", "01BWDWL3NYY7LUFPZCC28QUCMK")]),
    (
        "paypal",
        "PAYMENT.CAPTURE.COMPLETED",
        [("PAYMENT.CAPTURE.COMPLETED", "WH-58D329510W468432D-8HN650336L201105X")],
    ),
    ("plaid", "TRANSACTIONS.SYNC_UPDATES_AVAILABLE", [("TRANSACTIONS.SYNC_UPDATES_AVAILABLE", None)]),
    ("postmark", "Bounce", [("Bounce", "883953f4-6105-42a2-a16a-77a8eac79483.Bounce.4323372036854775807")]),
    ("razorpay", "payment.captured", [("payment.captured", "Gb5kMCdcAZ8jJ8")]),
    ("replicate", "prediction.succeeded", [("prediction.succeeded", None)]),
    ("resend", "email.bounced", [("email.bounced", None)]),
    ("sendgrid", "batch", [("delivered", "ZGVsaXZlcmVkLTAtMTA5OTQ5MTktMQ"), ("open", "b3Blbi0xMDk5NDkxOS0y")]),
    ("sentry", "issue.created", [("issue.created", "8a1f0c2e-0000-4000-8000-000000000001")]),
    ("shopify", "orders/create", [("orders/create", "b54557e4-bdd9-4b37-8a5f-000000000001")]),
    ("slack", "app_mention", [("app_mention", "Ev0000000001")]),
    ("slack", "url_verification", [("url_verification", None)]),
    ("slack", "slash_command", [("/deploy", "398738663015.47445629121.0000000001")]),
    ("square", "payment.created", [("payment.created", "13b867cf-db3d-4b1c-90b6-2f32a9d78124")]),
    ("standard-webhooks", "invoice.paid", [("invoice.paid", None)]),
    ("stripe", "payment_intent.succeeded", [("payment_intent.succeeded", "evt_3Pexample0000000000000001")]),
    ("stripe", "invoice.payment_failed", [("invoice.payment_failed", "evt_1Pexample0000000000000002")]),
    ("svix", "user.created", [("user.created", None)]),
    ("token", "example", [("sensor.reading", None)]),
    ("trello", "updateCard", [("updateCard", "51f9424bcd6e040f3c002412")]),
    ("twilio", "message.received", [("message.received", "SM00000000000000000000000000000001.received")]),
    ("twilio", "message.delivered", [("message.delivered", "SM00000000000000000000000000000002.delivered")]),
    ("typeform", "form_response", [("form_response", "LtWXD3crgy")]),
    ("vercel", "deployment.succeeded", [("deployment.succeeded", "evt_1p5FGkLmNoPqRsTuVwXyZ")]),
    ("workos", "dsync.user.created", [("dsync.user.created", "event_07FKJ843CVE8F7BXQSPFH0M53V")]),
    ("x", "post.create", [("post.create", "2080761390344937796")]),
    ("x", "tweet_create_events", [("activity", "1795166130000000001")]),
    ("zendesk", "ticket.created", [("zen:event-type:ticket.created", "cbe4028c-7239-495d-b020-f22348516046")]),
    ("zoom", "meeting.started", [("meeting.started", "meeting.started.4444AAAiAAAAAiAiAiiAii==.1795166130000")]),
]


@pytest.mark.parametrize(
    ("name", "sample", "expected"), RECORDED, ids=[f"{name}-{sample}" for name, sample, _ in RECORDED]
)
def test_a_recorded_payload_gives_its_events(name: str, sample: str, expected: list[tuple[str, str | None]]) -> None:
    preset = PRESETS.get(name)
    options = {key: option.example for key, option in preset.options.items() if option.default is None}
    events = provider_events(preset, sample_request(preset, sample, "https://hub.example/in/x"), options)
    assert [(event.type, event.id) for event in events] == expected


def test_every_sample_is_recorded() -> None:
    assert {(name, sample) for name, sample, _ in RECORDED} == {
        (preset.id, sample.name) for preset in PRESETS for sample in preset.samples
    }
