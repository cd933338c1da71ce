"""One of our ways a file: ``measure(workload) -> {"samples_per_s": …, "first_step_s": …}``."""
