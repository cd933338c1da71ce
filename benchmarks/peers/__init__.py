"""Other people's systems, each with ``measure(workload)``; they live in an environment of their own."""
