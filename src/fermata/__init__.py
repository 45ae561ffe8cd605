"""Fermata: the control plane for planned maintenance of GPU supercomputers."""

__version__ = "0.1.0"
