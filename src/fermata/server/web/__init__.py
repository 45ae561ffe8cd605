"""The board: server-rendered screens, one file per screen."""
