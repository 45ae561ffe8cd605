"""fermata-bmc, an emulator of management controllers that speak Redfish. Nothing else of Fermata imports it."""
