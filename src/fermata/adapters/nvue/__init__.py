"""Images of switches that speak NVIDIA's NVUE REST API: Cumulus Linux and NVOS, on Ethernet, InfiniBand and NVLink."""

from fermata.adapters.nvue.build import KIND, PORTS, build
from fermata.adapters.nvue.settings import Settings

__all__ = ["KIND", "PORTS", "Settings", "build"]
