"""The rules that a plugin keeps, in three levels: bronze, silver, gold. `hub plugins check` shows them as a table.

class TestConformance(PluginConformance):
    plugin = my_module
"""

from __future__ import annotations

from hub.testing.conformance.rules import Rule

RULES: tuple[Rule, ...] = (
    Rule("C01", "bronze", "bronze", "imports_quickly_and_quietly"),
    Rule("C02", "bronze", "bronze", "says_what_it_is"),
    Rule("C03", "bronze", "bronze", "fits_this_hub_and_the_next"),
    Rule("C04", "bronze", "bronze", "hooks_are_the_hubs"),
    Rule("C05", "bronze", "bronze", "settings_explain_themselves"),
    Rule("C06", "bronze", "bronze", "settings_come_back"),
    Rule("C12", "bronze", "bronze", "keeps_secrets"),
    Rule("README", "bronze", "bronze", "has_a_readme"),
    Rule("C07", "silver", "silver", "actions_speak_json"),
    Rule("C08", "silver", "repeating", "actions_are_done_once"),
    Rule("C09", "silver", "cancelling", "ends_when_it_is_cancelled"),
    Rule("C10", "silver", "silver", "nothing_waits_for_ever"),
    Rule("C11", "silver", "silver", "failures_say_whether_to_try_again"),
    Rule("C13", "silver", "webhooks", "forged_webhooks_are_refused"),
    Rule("C14", "silver", "webhooks", "samples_are_understood"),
    Rule("C15", "silver", "silver", "told_twice_is_told_once"),
    Rule("MAINTAINER", "silver", "silver", "somebody_looks_after_it"),
    Rule("CHANGELOG", "silver", "silver", "changes_are_written_down"),
    Rule("C16", "gold", "neighbours", "lives_beside_others"),
    Rule("C17", "gold", "gold", "leaves_nothing_behind"),
    Rule("C18", "gold", "ages", "works_with_the_oldest_hub"),
    Rule("C19", "gold", "gold", "lives_with_others"),
    Rule("C20", "gold", "gold", "is_fully_told"),
)
