"""Accounts: who there is, who is invited, what they may do, what was done; and the page behind an invitation."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from hub.errors import AuthenticationError, ConflictError, HubError, PermissionError_, RateLimitedError, UsageError
from hub.runtime.commands import Command, apply
from hub.runtime.commands import invitations as inviting
from hub.runtime.scopes import ROLES
from hub.store import identity
from hub.store.tables import User
from hub.types import Actor, Scope, derived_id
from hub.web.auth import SIGNED_IN
from hub.web.hosts import address_of
from hub.web.ui.queries import one
from hub.web.ui.table import Pages
from hub.web.ui.templating import link
from hub.web.ui.view import View

pages = Pages()
USERS = User.__table__
READ, WRITE = "users:read", "users:write"
MAX_PASSWORD = 1000


@pages.get("/ui/users", needs=READ)
def user_list(view: View) -> Response:
    """Accounts, newest first, and the invitations that are open."""
    cursor = view.query("cursor")
    with view.store.read() as tx:
        found = identity.users(tx, view.scope, cursor=cursor or None)
        open_, now = identity.invitations(tx, view.scope, limit=200), tx.now
    return view.page("users.html", topics="catalog", found=found, invited=open_.items, now=now, cursor=cursor)


@pages.get("/ui/users/new", needs=WRITE)
def invite_form(view: View) -> Response:
    """The form to invite somebody."""
    return _invite_form(view, {"name": "", "role": "viewer"})


@pages.post("/ui/users/new", needs=WRITE)
def invite(view: View) -> Response:
    """Make an invitation, and show its link once."""
    typed = {"name": view.form.text("name"), "role": view.form.text("role")}
    try:
        return _link(view, {"name": typed["name"] or None, "role": typed["role"]})
    except (UsageError, ConflictError, PermissionError_) as error:
        return _invite_form(view, typed, error)


@pages.get("/ui/users/{user_id}/edit", needs=WRITE)
def edit(view: View) -> Response:
    """The form for what an account may do."""
    return _form(view, _row(view))


@pages.post("/ui/users/{user_id}/edit", needs=WRITE)
def change(view: View) -> Response:
    """Give an account another role."""
    row = _row(view)
    try:
        view.change("user.update", row["id"], {"role": view.form.text("role")})
    except (UsageError, ConflictError, PermissionError_) as error:
        return _form(view, row, error)
    return view.go(link("/ui/users", done="account-changed"))


@pages.post("/ui/users/{user_id}/switch", needs=WRITE)
def switch(view: View) -> Response:
    """Switch an account off or on."""
    row, off = _row(view), view.form.text("to") == "off"
    view.change("user.update", row["id"], {"disabled": off})
    return view.go(link("/ui/users", done="account-off" if off else "account-on"))


@pages.post("/ui/users/{user_id}/password", needs=WRITE)
def new_password(view: View) -> Response:
    """Make a link by which a person chooses a new password, and show it once."""
    return _link(view, {"user": _row(view)["id"]})


@pages.post("/ui/users/invitations/{invitation_id}/revoke", needs=WRITE)
def revoke(view: View) -> Response:
    """Take an invitation back."""
    view.change("invitation.revoke", view.id_of("invitation_id", "invitation"))
    return view.go(link("/ui/users", done="uninvited"))


@pages.get("/ui/audit", needs="audit:read")
def audit(view: View) -> Response:
    """Who did what, when and from where, newest first."""
    cursor = view.query("cursor")
    where = {name: view.query(name) for name in ("actor", "op", "target") if view.query(name)}
    with view.store.read() as tx:
        found, now = identity.audit(tx, view.scope, cursor=cursor or None, where=where), tx.now
        names = {row["id"]: row["name"] for row in identity.users(tx, view.scope, limit=200).items}
    return view.page(
        "audit.html", topics="catalog", found=found, names=names, now=now, cursor=cursor, where=where
    )  # fmt: skip


@pages.get("/ui/me", needs=SIGNED_IN)
def me(view: View) -> Response:
    """Who one is here, and the form for another password."""
    return _me(view)


@pages.post("/ui/me", needs=SIGNED_IN)
def change_password(view: View) -> Response:
    """Give oneself another password; every other session of one's own ends."""
    current, new, again = (view.form.raw(name) or "" for name in ("current", "password", "again"))
    answer = view.go(link("/ui/me", done="password-changed"))
    try:
        if new != again:
            raise UsageError("the two new passwords are not the same", hint="Type both again.")
        view.services.auth.change_password(view.request, answer, view.scope, current[:MAX_PASSWORD], new[:MAX_PASSWORD])
    except (UsageError, AuthenticationError, RateLimitedError, PermissionError_) as error:
        return _me(view, error)
    return answer


def _me(view: View, error: HubError | None = None) -> Response:
    actor = view.scope.actor
    with view.store.read() as tx:
        user = identity.user(tx, actor.id) if actor.kind == "user" else None
    name = user["name"] if user else "The owner of this machine" if actor.kind == "local" else str(actor)
    return view.page(
        "password.html", status=error.status if error else 200, error=error, name=name, scopes=sorted(actor.scopes),
        changes=bool(user and user["password_hash"]),
    )  # fmt: skip


# --- the page behind an invitation -------------------------------------------------------------------------------


@pages.get("/ui/invitations/{token}", needs=None, trusts="the invitation, once")
def invited(view: View) -> Response:
    """What an invitation offers. Looking changes nothing: mail programs follow links, too."""
    row = _invitation(view)
    return _over(view) if row is None else _accept_form(view, row, {"name": row["name"]})


@pages.post("/ui/invitations/{token}", needs=None, trusts="the invitation, once")
def accept(view: View) -> Response:
    """Make the account, and sign in; or give the account its new password."""
    row = _invitation(view)
    if row is None:
        return _over(view)
    typed = {"name": row["name"] or view.form.text("name")}
    password, again = (view.form.raw(name) or "" for name in ("password", "again"))
    auth = view.services.auth
    try:
        if password != again:
            raise UsageError("the two passwords are not the same", hint="Type both again.")
        if not typed["name"]:
            raise UsageError("the account needs a name")
        args = {"password_hash": auth.passwords.hash(password[:MAX_PASSWORD]), "name": typed["name"]}
        scope = Scope(row["workspace_id"], Actor(inviting.ACTOR, row["id"], address=auth.address(view.request)))
        command_id = derived_id(row["id"], "accepted", view.form.text("command_id"))
        done = apply(view.store, Command("invitation.accept", scope, row["id"], args, id=command_id, via="ui"))
    except (UsageError, ConflictError) as error:
        return _accept_form(view, row, typed, error)
    with view.store.read() as tx:
        user = identity.user(tx, str(done.result["id"])) or {}
    answer = view.go(link("/ui", done="welcome"))
    auth.begin_session(answer, user)
    return answer


def _invitation(view: View) -> dict[str, Any] | None:
    """The open invitation that the path's token means. Raises RateLimitedError for somebody who guesses."""
    view.services.auth.check_links(view.request)
    with view.store.read() as tx:
        row = identity.invitation_of(tx, inviting.digest(view.path["token"][:200]))
        good = row is not None and inviting.is_open(tx, row)
    if row is None:
        view.services.auth.wrong_link(view.request)
    return row if good else None


def _over(view: View) -> Response:
    text = "A link is good once, and not for ever. Ask whoever sent it for a new one."
    return view.page("answer-over.html", status=404, title="This link is not good any more", text=text, good=False)


def _accept_form(view: View, row: dict[str, Any], typed: dict[str, str], error: HubError | None = None) -> Response:
    status = error.status if error else 200
    return view.page("invited.html", status=status, row=row, typed=typed, error=error, may=_may(row["role"]))


def _link(view: View, args: dict[str, Any]) -> Response:
    made = view.change("invitation.create", "", {name: value for name, value in args.items() if value}).result
    base = address_of(view.services.settings, view.request)
    token = made.get("token")
    return view.page("invitation.html", made=made, address=f"{base}/ui/invitations/{token}" if token else "")


def _invite_form(view: View, typed: dict[str, str], error: HubError | None = None) -> Response:
    return view.page(
        "user-invite.html", status=error.status if error else 200, typed=typed, error=error, roles=_roles(view)
    )


def _form(view: View, row: dict[str, Any], error: HubError | None = None) -> Response:
    return view.page("user-form.html", status=error.status if error else 200, row=row, error=error, roles=_roles(view))


def _roles(view: View) -> list[tuple[str, str]]:
    """The roles that the asker may give, with what they allow."""
    held = view.scope.actor.scopes
    return [(role, f"{role}: {_may(role)}") for role, scopes in ROLES.items() if "*" in held or scopes <= held]


def _may(role: str) -> str:
    return {
        "viewer": "may look at everything but secrets, accounts and the audit trail",
        "operator": "may look, start and stop runs, and acknowledge alerts",
        "developer": "may do what an operator may, and change what runs, when and with what",
        "admin": "may do what a developer may, and manage accounts, tokens, links and plugins",
        "owner": "may do everything",
    }.get(role, "")


def _row(view: View) -> dict[str, Any]:
    with view.store.read() as tx:
        return one(tx, view.scope, USERS, view.id_of("user_id", "account"), "account")
