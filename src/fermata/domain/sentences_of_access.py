"""What somebody reads who may not do alone what takes two, or may not take a role for a while."""

from types import MappingProxyType

from fermata.domain.access_codes import AccessCode

OF_ACCESS = MappingProxyType(
    {
        AccessCode.PROMOTED_BY_REGISTRANT: (
            "{actor} registered {update} as it is now, and nobody promotes alone what they registered: ask a second"
            " person to look at its signals and promote it."
        ),
        AccessCode.REGISTERED_AS_READY: (
            "{update} would be production-ready by the word of {actor} alone, who registers it: register it as"
            " flight-ready, and let a second person promote it."
        ),
        AccessCode.BREAK_GLASS_NOT_LAID_DOWN: (
            "{holder} may not take the role {role} on {place} in an emergency: what may be taken was laid down"
            " beforehand ({known}). Call somebody who has it."
        ),
        AccessCode.BREAK_GLASS_REASON_MISSING: (
            "Taking the role {role} needs its reason: write what is happening; everybody will read it."
        ),
        AccessCode.BREAK_GLASS_TOO_LONG: (
            "A role is taken for 1 to {most} minutes, not for {minutes}: take it again if it takes longer."
        ),
        AccessCode.BREAK_GLASS_UNKNOWN: "Nobody broke the glass as {name}{nearest}.",
        AccessCode.BREAK_GLASS_OVER: "{name} is over since {at}: there is nothing to end.",
        AccessCode.BREAK_GLASS_OF_ANOTHER: "{name} is somebody else's, not {actor}'s: it is over by itself at {until}.",
    }
)
