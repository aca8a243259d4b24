"""What a host sees of the network accelerator: registers, jobs, counters."""
