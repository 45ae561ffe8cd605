"""Firmware, power and versions of machines whose management controllers speak Redfish (DMTF DSP0266 and DSP0268)."""

from fermata.adapters.redfish.build import KIND, PORTS, build
from fermata.adapters.redfish.settings import Settings

__all__ = ["KIND", "PORTS", "Settings", "build"]
