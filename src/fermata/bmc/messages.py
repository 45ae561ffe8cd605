"""Messages of DMTF's registries Base and Update, as services put them into errors and tasks (DSP0266, DSP2065)."""

from collections.abc import Sequence
from typing import Any

BASE = "Base.1.18"
UPDATE = "Update.1.1"

# by key: status of an answer that carries it, severity, sentence
_BASE: dict[str, tuple[int, str, str]] = {
    "Success": (200, "OK", "The request completed successfully."),
    "NoOperation": (400, "Warning", "The request body contains no property that can be changed."),
    "MalformedJSON": (400, "Critical", "The request body is not valid JSON."),
    "PropertyUnknown": (400, "Warning", "The property %1 is not known here."),
    "PropertyNotWritable": (400, "Warning", "The property %1 is read-only."),
    "PropertyMissing": (400, "Warning", "The property %1 is required."),
    "PropertyValueNotInList": (400, "Warning", "The value %1 of the property %2 is not one of those allowed."),
    "PropertyValueTypeError": (400, "Warning", "The value %1 of the property %2 has the wrong type."),
    "ActionParameterMissing": (400, "Critical", "The action %1 needs the parameter %2."),
    "ActionParameterNotSupported": (400, "Warning", "The parameter %1 is not supported by the action %2."),
    "ActionParameterValueNotInList": (400, "Warning", "The value %1 of parameter %2 of action %3 is not allowed."),
    "ResourceAlreadyExists": (400, "Critical", "There is already a %1 whose %2 is %3."),
    "QueryParameterValueFormatError": (400, "Warning", "The value %1 of the query parameter %2 is not understood."),
    "ResourceAtUriUnauthorized": (401, "Critical", "Nobody may see %1 without valid credentials: %2."),
    "NoValidSession": (401, "Critical", "There is no valid session."),
    "InsufficientPrivilege": (403, "Critical", "The account has not the privileges for this."),
    "PasswordChangeRequired": (403, "Critical", "The password has to be changed first, by a PATCH of %1."),
    "ResourceMissingAtURI": (404, "Critical", "There is nothing at %1."),
    "OperationNotAllowed": (405, "Critical", "The resource does not support this method."),
    "PreconditionFailed": (412, "Critical", "The resource has another ETag by now."),
    "HeaderInvalid": (412, "Critical", "The value of the header %1 is not supported."),
    "UnsupportedMediaType": (415, "Critical", "The body of the request has no media type that is understood."),
    "InternalError": (500, "Critical", "The service failed."),
    "NotImplemented": (501, "Critical", "The service does not know this method."),
    "QueryNotSupported": (501, "Warning", "The query parameter is not supported."),
    "SessionLimitExceeded": (503, "Critical", "There are as many sessions as there can be."),
    "ServiceTemporarilyUnavailable": (503, "Critical", "The service is busy; try again in %1 seconds."),
    "ServiceShuttingDown": (503, "Critical", "The service restarts."),
}
_UPDATE: dict[str, tuple[str, str]] = {
    "TransferringToComponent": ("OK", "The image %1 is transferred to %2."),
    "InstallingOnComponent": ("OK", "The image %1 is installed on %2."),
    "AwaitToUpdate": ("OK", "The image %1 waits for a reset to be installed on %2."),
    "AwaitToActivate": ("OK", "The image %1 is installed on %2 and runs after the next reset."),
    "UpdateSuccessful": ("OK", "The image %1 was installed on %2."),
    "ApplyFailed": ("Critical", "The image %1 could not be installed on %2."),
    "VerificationFailed": ("Critical", "The image %1 does not fit %2."),
}


class Complaint(Exception):
    """An answer that is an error; `key` is one of the registry Base."""

    def __init__(self, key: str, *words: str, retry_after_seconds: int | None = None) -> None:
        super().__init__(key, *words)
        self.key = key
        self.words = words
        self.retry_after_seconds = retry_after_seconds

    @property
    def status(self) -> int:
        """Of the answer."""
        return _BASE[self.key][0]


def base(key: str, *args: str) -> dict[str, Any]:
    """One message of the registry Base."""
    _, severity, sentence = _BASE[key]
    return {
        "@odata.type": "#Message.v1_2_1.Message",
        "MessageId": f"{BASE}.{key}",
        "Message": _filled(sentence, args),
        "MessageArgs": list(args),
        "MessageSeverity": severity,
        "Resolution": "None.",
    }


def error(key: str, *args: str) -> dict[str, Any]:
    """The body of an answer that is an error."""
    return {
        "error": {
            "code": f"{BASE}.{key}",
            "message": _filled(_BASE[key][2], args),
            "@Message.ExtendedInfo": [base(key, *args)],
        }
    }


def update(key: str, image: str, component: str) -> dict[str, Any]:
    """One message of the registry Update."""
    severity, sentence = _UPDATE[key]
    return {
        "@odata.type": "#Message.v1_2_1.Message",
        "MessageId": f"{UPDATE}.{key}",
        "Message": _filled(sentence, (image, component)),
        "MessageArgs": [image, component],
        "MessageSeverity": severity,
        "Resolution": "None.",
    }


def _filled(sentence: str, args: Sequence[str]) -> str:
    for place, word in enumerate(args, 1):
        sentence = sentence.replace(f"%{place}", word)
    return sentence
