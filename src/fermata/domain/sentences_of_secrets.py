"""What an operator reads about a secret that cannot be read: which, where it was looked for, and what to do."""

from types import MappingProxyType

from fermata.domain.secret_codes import SecretCode

OF_SECRETS = MappingProxyType(
    {
        SecretCode.SECRET_ABSENT: (
            "Secret {secret} cannot be read: {where} {why}. Put it there for the user that runs this, or name another"
            " place in the settings."
        ),
        SecretCode.SECRET_UNDESCRIBED: (
            "Secret {secret} cannot be read: {where} describes no {what}. Write it there, and name that file by"
            " FERMATA_SECRETS."
        ),
        SecretCode.SECRET_NOT_GIVEN: (
            "Secret {secret} is not given to us: {where} {why}. See what its policy lets us read, and the login in"
            " {file}."
        ),
        SecretCode.SECRET_SOURCE_AWAY: (
            "Secret {secret} cannot be read now: {where} {why}. It is asked again; see that it runs and can be reached"
            " from here."
        ),
        SecretCode.SECRET_UNFIT: "Secret {secret} was found in {where} and cannot be used: {why}. Write it anew.",
    }
)
