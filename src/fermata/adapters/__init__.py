"""The real world behind the ports, one file per kind. `wiring` chooses; what several webhooks need is in `outbound`."""
