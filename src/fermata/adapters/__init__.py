"""What stands behind the ports in the real world, a module per kind; only `wiring` knows them.

What several webhooks need is in `outbound`.
"""
