"""The two documents of OData: the service document, and the metadata that names the schemas in use by reference."""

from fermata.bmc.views import Json

PUBLISHED = "http://redfish.dmtf.org/schemas/v1"  # where DMTF publishes its schemas; an identifier here
UNVERSIONED = (
    "ComputerSystemCollection", "ManagerCollection", "ChassisCollection", "SoftwareInventoryCollection",
    "TaskCollection", "SessionCollection", "ManagerAccountCollection", "RoleCollection",
)  # fmt: skip
VERSIONED = {
    "ServiceRoot": "v1_16_0",
    "ComputerSystem": "v1_20_0",
    "Manager": "v1_19_0",
    "ManagerNetworkProtocol": "v1_10_0",
    "Chassis": "v1_25_0",
    "UpdateService": "v1_13_0",
    "SoftwareInventory": "v1_10_0",
    "TaskService": "v1_2_0",
    "Task": "v1_7_4",
    "SessionService": "v1_1_9",
    "Session": "v1_7_0",
    "AccountService": "v1_15_0",
    "ManagerAccount": "v1_12_0",
    "Role": "v1_3_2",
    "Message": "v1_2_1",
    "Settings": "v1_3_5",
    "Resource": "v1_19_0",
}


def service_document(root: str) -> Json:
    """At /odata below the service root."""
    sections = ("Systems", "Managers", "Chassis", "UpdateService", "SessionService", "AccountService")
    links = [{"name": name, "kind": "Singleton", "url": f"{root}/{name}"} for name in sections]
    first = {"name": "Service", "kind": "Singleton", "url": f"{root}/"}
    return {"@odata.context": f"{root}/$metadata", "value": [first, *links]}


def _reference(name: str, *versions: str) -> str:
    includes = "".join(f'<edmx:Include Namespace="{space}"/>' for space in (name, *versions))
    return f'<edmx:Reference Uri="{PUBLISHED}/{name}_v1.xml">{includes}</edmx:Reference>'


METADATA = "".join(
    (
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<edmx:Edmx xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx" Version="4.0">',
        *(_reference(name) for name in UNVERSIONED),
        *(_reference(name, f"{name}.{version}") for name, version in VERSIONED.items()),
        f'<edmx:Reference Uri="{PUBLISHED}/RedfishExtensions_v1.xml">',
        '<edmx:Include Namespace="RedfishExtensions.v1_0_0" Alias="Redfish"/></edmx:Reference>',
        '<edmx:DataServices><Schema xmlns="http://docs.oasis-open.org/odata/ns/edm" Namespace="Service">',
        '<EntityContainer Name="Service" Extends="ServiceRoot.v1_16_0.ServiceContainer"/>',
        "</Schema></edmx:DataServices></edmx:Edmx>",
    )
).encode()
