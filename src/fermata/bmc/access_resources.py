"""The resources about access: sessions, accounts and roles, and the controller's network services."""

from fermata.bmc.access import ACCOUNTS_MAX, PASSWORD_MIN, PRIVILEGES, Account, Session
from fermata.bmc.views import GET, OK_STATUS, Json, Resource, View, collection, stamp


def sessions(view: View, parts: tuple[str, ...]) -> Resource | None:
    """Below SessionService."""
    known = view.controller.access.sessions
    match parts:
        case ():
            return Resource(
                body={
                    "@odata.id": view.path("SessionService"),
                    "@odata.type": "#SessionService.v1_1_9.SessionService",
                    "Id": "SessionService",
                    "Name": "Session service",
                    "ServiceEnabled": True,
                    "SessionTimeout": int(view.controller.profile.session_seconds),
                    "Status": OK_STATUS,
                    "Sessions": view.link("SessionService", "Sessions"),
                }
            )
        case ("Sessions",):
            body = collection(view, "Session", "Sessions", ("SessionService", "Sessions"), known)
            return Resource(body=body, allow=(*GET, "POST"))
        case ("Sessions", name) if name in known:
            return Resource(body=session_body(view, known[name]), allow=(*GET, "DELETE"))
        case _:
            return None


def session_body(view: View, session: Session) -> Json:
    """The Session resource; its token is in a header of the answer that made it."""
    return {
        "@odata.id": view.path("SessionService", "Sessions", session.id),
        "@odata.type": "#Session.v1_7_0.Session",
        "Id": session.id,
        "Name": f"Session of {session.user}",
        "UserName": session.user,
        "Password": None,
        "CreatedTime": stamp(session.began),
        "SessionType": session.kind,
    }


def accounts(view: View, parts: tuple[str, ...]) -> Resource | None:
    """Below AccountService."""
    known = view.controller.access.accounts
    match parts:
        case ():
            return Resource(body=_service(view))
        case ("Accounts",):
            body = collection(view, "ManagerAccount", "Accounts", ("AccountService", "Accounts"), known)
            return Resource(body=body, allow=(*GET, "POST"))
        case ("Accounts", name) if name in known:
            allow = (*GET, "PATCH") if name == "1" else (*GET, "PATCH", "DELETE")
            return Resource(body=account_body(view, known[name]), allow=allow)
        case ("Roles",):
            return Resource(body=collection(view, "Role", "Roles", ("AccountService", "Roles"), PRIVILEGES))
        case ("Roles", name) if name in PRIVILEGES:
            return Resource(body=_role(view, name))
        case _:
            return None


def _service(view: View) -> Json:
    return {
        "@odata.id": view.path("AccountService"),
        "@odata.type": "#AccountService.v1_15_0.AccountService",
        "Id": "AccountService",
        "Name": "Account service",
        "ServiceEnabled": True,
        "HTTPBasicAuth": "Enabled",
        "MinPasswordLength": PASSWORD_MIN,
        "MaxPasswordLength": 64,
        "Status": OK_STATUS,
        "Accounts": view.link("AccountService", "Accounts"),
        "Roles": view.link("AccountService", "Roles"),
    }


def account_body(view: View, account: Account) -> Json:
    """The ManagerAccount resource."""
    return {
        "@odata.id": view.path("AccountService", "Accounts", account.id),
        "@odata.etag": f'W/"{account.revision}"',
        "@odata.type": "#ManagerAccount.v1_12_0.ManagerAccount",
        "Id": account.id,
        "Name": f"Account {account.id} of {ACCOUNTS_MAX}",
        "UserName": account.user,
        "Password": None,
        "RoleId": account.role,
        "Enabled": account.is_enabled,
        "Locked": False,
        "PasswordChangeRequired": account.must_change_password,
        "AccountTypes": ["Redfish"],
        "Links": {"Role": view.link("AccountService", "Roles", account.role)},
    }


def _role(view: View, name: str) -> Json:
    return {
        "@odata.id": view.path("AccountService", "Roles", name),
        "@odata.type": "#Role.v1_3_2.Role",
        "Id": name,
        "Name": name,
        "RoleId": name,
        "IsPredefined": True,
        "AssignedPrivileges": list(PRIVILEGES[name]),
    }


def network_protocol(view: View) -> Json:
    """The ManagerNetworkProtocol resource."""
    return {
        "@odata.id": view.path("Managers", "bmc", "NetworkProtocol"),
        "@odata.type": "#ManagerNetworkProtocol.v1_10_0.ManagerNetworkProtocol",
        "Id": "NetworkProtocol",
        "Name": "Network services",
        "HostName": f"{view.controller.name}-bmc",
        "Status": OK_STATUS,
        "HTTPS": {"ProtocolEnabled": True, "Port": 443},
        "NTP": {"ProtocolEnabled": True, "NTPServers": list(view.controller.settings["ntp"])},
    }
