"""What a host sees: registers, jobs, counters."""
