"""A simulated fleet behind the real ports: virtual clock, seeded faults. Only wiring may import it."""
