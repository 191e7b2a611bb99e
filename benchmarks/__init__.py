"""Budgets, measured: every row beside a floor that was measured in the same run."""
