"""What may leave the machine: addresses, policies, data sets that forbid it, and the log of what was sent."""
