"""What executes flows and tasks in this process: one life of a run, its threads and loops, its limits."""
