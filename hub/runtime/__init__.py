"""What carries the rules out: commands, the orchestrator, executors, dispatch, upkeep. Sync only."""
