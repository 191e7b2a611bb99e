"""The rules that a plugin keeps, in three levels: bronze, silver, gold. `hub plugins check` shows them as a table.

    class TestConformance(PluginConformance):
        plugin = my_module

Numbers that are missing are rules that no program can check honestly; docs/plugins.md says which and why.
"""

from __future__ import annotations

from hub.testing.conformance import bronze
from hub.testing.conformance.rules import Rule

RULES: tuple[Rule, ...] = (
    Rule("C01", "bronze", bronze.imports_quickly_and_quietly),
    Rule("C02", "bronze", bronze.says_what_it_is),
    Rule("C03", "bronze", bronze.fits_this_hub_and_the_next),
    Rule("C04", "bronze", bronze.hooks_are_the_hubs),
    Rule("C05", "bronze", bronze.settings_explain_themselves),
    Rule("C06", "bronze", bronze.settings_come_back),
    Rule("C12", "bronze", bronze.keeps_secrets),
    Rule("README", "bronze", bronze.has_a_readme),
)
