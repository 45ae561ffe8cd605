"""The store, for who only hands it on."""

from fermata.formats.brake import BrakeFile, brake_file
from fermata.settings import Settings
from fermata.store.database import Database, OtherRelease, StoreUnavailable
from fermata.store.opening import open_database
from fermata.store.wakes import listening

__all__ = ["Database", "OtherRelease", "StoreUnavailable", "listening", "open_brake", "open_database"]


def open_brake(store_url: str, settings: Settings) -> BrakeFile:
    """The brake of this machine. Neither file nor store need be there."""
    return brake_file(store_url, settings.brake)
