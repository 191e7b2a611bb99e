"""A server that takes requests as Slack's Web API documents them, and refuses what it does not know as Slack does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qsl

from tests.vendors import Answer, Asked, as_json, serving

TOKEN = "xoxb-canary-4417"
CHANNEL = "C0123456789"
Trouble = tuple[int, dict[str, str], Any] | Literal["cut"] | None


@dataclass
class Slack:
    """One workspace with the channels `C0123456789` (#ops) and `C0000000002`. `trouble` says what befalls the request
    of a number: an answer instead of the effect; "cut": the effect, and no answer."""

    url: str = ""
    messages: list[dict[str, Any]] = field(default_factory=list)
    files: list[dict[str, Any]] = field(default_factory=list)
    responses: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    waiting: dict[str, dict[str, Any]] = field(default_factory=dict)
    scopes: set[str] = field(default_factory=lambda: {"chat:write", "channels:history", "files:write", "files:read"})
    trouble: Callable[[int], Trouble] = lambda _number: None

    @property
    def names(self) -> dict[str, str]:
        return {CHANNEL: CHANNEL, "#ops": CHANNEL, "ops": CHANNEL, "C0000000002": "C0000000002"}

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> Any:
        if path.startswith("/upload/"):
            self.waiting[path.removeprefix("/upload/")]["data"] = body
            return None
        if path.startswith("/hooks/"):
            assert "authorization" not in headers, "an address for responses must not get the token"
            self.responses.append(json.loads(body))
            return None
        method = path.removeprefix("/api/")
        if headers.get("authorization") != f"Bearer {TOKEN}":
            return _no("invalid_auth" if "authorization" in headers else "not_authed")
        does = getattr(self, "do_" + method.replace(".", "_"), None)
        if does is None:
            return _no("unknown_method")
        kind = headers.get("content-type", "")
        if kind.startswith("application/json"):
            if method.startswith(("conversations.", "files.get", "files.list", "auth.")):
                return _no("invalid_arguments")  # those take forms only
            given = json.loads(body)
        elif kind == "application/x-www-form-urlencoded":
            given = dict(parse_qsl(body.decode()))
        else:
            return _no("invalid_post_type")
        return does(given)

    def do_auth_test(self, _given: dict[str, Any]) -> Any:
        return {"ok": True, "user": "hub", "user_id": "U0HUB", "team": "Acme", "team_id": "T1", "bot_id": "B1"}

    def do_chat_postMessage(self, given: dict[str, Any]) -> Any:
        if given["channel"] not in self.names:
            return _no("channel_not_found")
        if not given.get("text") and not given.get("blocks"):
            return _no("no_text")
        if wrong := self._wrong(given):
            return wrong
        if given.keys() - {
            "channel", "text", "blocks", "thread_ts", "reply_broadcast", "metadata", "unfurl_links"
        }:  # fmt: skip
            return _no("invalid_arguments")
        made = {**given, "channel": self.names[given["channel"]], "ts": f"17951661{len(self.messages):02}.000100"}
        self.messages.append(made)
        return {"ok": True, "channel": made["channel"], "ts": made["ts"], "message": {"text": given.get("text", "")}}

    def _wrong(self, given: dict[str, Any]) -> Any:
        blocks, told = given.get("blocks") or [], given.get("metadata")
        if len(blocks) > 50 or any("type" not in block for block in blocks):
            return _no("invalid_blocks")
        if any(len(block["text"]["text"]) > 3_000 for block in blocks if block["type"] == "section"):
            return _no("invalid_blocks")
        for one in (one for block in blocks if block["type"] == "actions" for one in block["elements"]):
            if len(one.get("value", "")) > 2_000 or len(one["text"]["text"]) > 75 or "action_id" not in one:
                return _no("invalid_blocks")
        shaped = told is None or told.keys() == {"event_type", "event_payload"}
        return None if shaped else _no("invalid_metadata_format")

    def do_chat_update(self, given: dict[str, Any]) -> Any:
        found = self._message(given["channel"], given["ts"])
        if found is None:
            return _no("message_not_found")
        found.update({name: given[name] for name in ("text", "blocks") if name in given})
        return {"ok": True, "channel": found["channel"], "ts": found["ts"], "text": found.get("text", "")}

    def do_reactions_add(self, given: dict[str, Any]) -> Any:
        found = self._message(given["channel"], given["timestamp"])
        if found is None:
            return _no("message_not_found")
        if given["name"] in found.setdefault("reactions", []):
            return _no("already_reacted")
        found["reactions"].append(given["name"])
        return {"ok": True}

    def do_conversations_history(self, given: dict[str, Any]) -> Any:
        return self._told(given, [one for one in self.messages if not one.get("thread_ts")])

    def do_conversations_replies(self, given: dict[str, Any]) -> Any:
        return self._told(given, [one for one in self.messages if given["ts"] in (one["ts"], one.get("thread_ts"))])

    def _told(self, given: dict[str, Any], found: list[dict[str, Any]]) -> Any:
        if "channels:history" not in self.scopes:
            return {**_no("missing_scope"), "needed": "channels:history", "provided": "chat:write"}
        if given["channel"] not in set(self.names.values()):
            return _no("channel_not_found")  # a name is not enough here
        with_metadata = given.get("include_all_metadata") == "true"
        here = [one for one in found if one["channel"] == given["channel"]]
        shown = [{k: v for k, v in one.items() if with_metadata or k != "metadata"} for one in here]
        return {"ok": True, "messages": shown[::-1][: int(given["limit"])], "has_more": False}

    def do_files_getUploadURLExternal(self, given: dict[str, Any]) -> Any:
        ident = f"F{len(self.waiting) + 1:010}"
        self.waiting[ident] = {"name": given["filename"], "size": int(given["length"])}
        return {"ok": True, "upload_url": f"{self.url.removesuffix('/api')}/upload/{ident}", "file_id": ident}

    def do_files_completeUploadExternal(self, given: dict[str, Any]) -> Any:
        made = []
        for one in given["files"]:
            found = self.waiting.get(one["id"], {})
            if len(found.get("data", b"")) != found.get("size"):
                return _no("file_not_found")
            more = {"channel": given["channel_id"], "thread": given.get("thread_ts"), "user": "U0HUB"}
            link = f"https://acme.slack.com/files/{one['id']}"
            made.append({**found, **more, "id": one["id"], "title": one["title"], "permalink": link})
        self.files += made
        return {"ok": True, "files": [{"id": one["id"], "permalink": one["permalink"]} for one in made]}

    def do_files_list(self, given: dict[str, Any]) -> Any:
        found = [one for one in self.files if one["channel"] == given["channel"]]
        return {"ok": True, "files": [{k: v for k, v in one.items() if k != "data"} for one in found]}

    def _message(self, channel: str, ts: str) -> dict[str, Any] | None:
        return next((one for one in self.messages if (one["channel"], one["ts"]) == (channel, ts)), None)


def _no(error: str) -> dict[str, Any]:
    return {"ok": False, "error": error}


@contextmanager
def slack() -> Iterator[Slack]:
    """The server on a free port."""
    made = Slack()

    def answer(asked: Asked) -> Answer | None:
        trouble = made.trouble(len(made.asked) + 1)
        made.asked.append(asked.path.removeprefix("/api/"))
        if isinstance(trouble, tuple):
            return as_json(*trouble)
        said = made.answer(asked.path, asked.headers, asked.body)
        return None if trouble == "cut" else Answer(200, {}, b"ok") if said is None else as_json(200, {}, said)

    with serving(answer) as url:
        made.url = f"{url}/api"
        yield made
