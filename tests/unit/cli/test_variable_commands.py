"""`hub variables` and what it says."""

from __future__ import annotations

from tests.unit.cli.conftest import Shell


def test_variables_are_set_read_listed_and_removed(hub: Shell) -> None:
    assert hub.json("variables", "ls") == []
    assert "is set" in hub("variables", "set", "size", "5", "--tag", "a", "--tag", "b")
    assert "already" in hub("variables", "set", "size", "6", code=4)
    hub("variables", "set", "size", "[1, 2]", "--overwrite")
    assert hub.json("variables", "get", "size")["value"] == [1, 2]
    hub("variables", "set", "word", "just text")
    assert hub("variables", "get", "word") == "just text\n"
    hub("variables", "set", "digits", "007", "--text")
    assert hub.json("variables", "get", "digits")["value"] == "007"
    hub("variables", "set", "low", "-5")
    assert hub("variables", "get", "low") == "-5\n"
    hub("variables", "set", "nan", "NaN")
    assert hub.json("variables", "get", "nan")["value"] == "NaN"
    hub("variables", "set", "piped", "-", stdin='{"a": 1}\n')
    assert hub.json("variables", "get", "piped")["value"] == {"a": 1}
    assert "just text" in hub("variables", "ls")
    assert "no variable 'nothing'" in hub("variables", "get", "nothing", code=3)
    assert "Would remove" in hub("variables", "unset", "word", "--dry-run")
    assert "cannot be undone" in hub("variables", "unset", "word", code=2)
    assert "is removed" in hub("variables", "unset", "word", "--yes")
    assert "no variable" in hub("variables", "unset", "word", "--yes", code=3)
