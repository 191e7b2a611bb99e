"""What is wrong with which field of a form."""

from __future__ import annotations

from hub.errors import HubError


class Faults(dict[str, str]):
    """Sentences by the name of the field; "" for a field that is right, as templates ask for each."""

    def __missing__(self, _name: str) -> str:
        return ""


def faults_of(error: HubError | None) -> Faults:
    """The fault that an error tells of a field; none for an error that belongs to no field."""
    place = str(error.fields.get("field") or "") if error else ""
    detail = error.detail if error else ""
    return Faults({place: detail.partition(f"{place}: ")[2] or detail}) if place else Faults()
