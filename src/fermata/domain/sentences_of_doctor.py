"""What an operator reads about a store, its settings and its machine: what is wrong, and what to do."""

from types import MappingProxyType

from fermata.domain.doctor_codes import DoctorCode as D

OF_DOCTOR = MappingProxyType(
    {
        D.STORE_UNREACHABLE: "{store} cannot be read ({why}): see --store, and that the database runs.",
        D.STORE_NOT_OF_RELEASE: (
            "The store has schema {found}, this release {known}: any command that opens the store upgrades an older"
            " one, after a backup; of a newer one take that release."
        ),
        D.STORE_ON_NETWORK: (
            "{store} lies on {kind}, whose locks SQLite cannot rely on: move it to a disk of this machine, or to"
            " PostgreSQL (fermata backup, then fermata restore --store postgresql://...)."
        ),
        D.STORE_SHARED: (
            "{workers} workers hold leases in a SQLite store, which takes one: stop all but one, or move to PostgreSQL."
        ),
        D.STORE_WRITABLE: (
            "{path} may be written by others on this machine ({mode}), past the journal: run chmod go-w on it."
        ),
        D.DISK_NEARLY_FULL: (
            "{folder} has {free} left of {total}: when it is full nothing is stored and no node is given back. Make"
            " room, or move what is there."
        ),
        D.CLOCK_OFF: (
            "This machine's clock is {seconds} s {way} the database's: windows, leases and freezes go by it. Let NTP"
            " keep both."
        ),
        D.CLOCK_FREE: "Nothing keeps this machine's clock in time: start chrony or systemd-timesyncd.",
        D.SECRET_READABLE: "{path} ({what}) may be read by others ({mode}): run chmod 600 on it, and renew the secret.",
        D.SECRET_UNUSABLE: "{path} ({what}) cannot be read: {why}.",
        D.SECRET_SHORT: (
            "{path} holds {bytes} bytes, of at least {least} random ones: keys of nodes could be guessed. Make another"
            " one with openssl rand -out FILE 48, and give the nodes their new keys."
        ),
        D.LISTENS_IN_CLEAR: (
            "The server is to listen on {host}, which other machines reach, without TLS: name --tls-cert, or the"
            " trusted_proxy of access.yaml that ends TLS in front, or listen on 127.0.0.1 behind a proxy."
        ),
        D.CERTIFICATE_UNUSABLE: "{files}: {why}. --tls-cert names a certificate in PEM, --tls-key its key.",
        D.CERTIFICATE_OF_OTHER_KEY: "{file} is not the certificate of the key in {key}: name two that belong together.",
        D.CERTIFICATE_NOT_YET: "{file} is valid from {at} on: see this machine's clock, or take the one in force.",
        D.CERTIFICATE_OVER: "{file} ended on {at}: nobody trusts the server now. Renew it, then start serve again.",
        D.CERTIFICATE_ENDS: "{file} ends on {at}, in {days} d: renew it, then start serve again.",
        D.CERTIFICATE_OF_OTHER_NAME: (
            "{file} is of {names}, and people reach the server as {host} (FERMATA_PUBLIC_URL): take one of that name."
        ),
        D.PUBLIC_URL_IN_CLEAR: (
            "{url} is plain http: whoever is between can read and change what people agree to there. Put https before"
            " the server and into FERMATA_PUBLIC_URL."
        ),
        D.PUBLIC_URL_UNREACHABLE: (
            "{url} gives no answer ({why}): subscribers cannot agree by it. See the proxy, its certificate, and"
            " FERMATA_PUBLIC_URL."
        ),
        D.MAIL_UNREACHABLE: (
            "The mail server {host} gives no answer ({why}): notices by mail wait, and end undelivered. See"
            " FERMATA_SMTP_HOST and the firewall."
        ),
        D.NOBODY_APPROVES: (
            "The policy of {customer} names no approver: what needs approval waits. Name one under `approvers`."
        ),
        D.CUSTOMER_UNRULED: (
            "{customer} has {nodes} and no policy, so all work on them is blocked: import a policy that states it."
        ),
        D.ZONE_UNKNOWN: (
            "This machine knows no time zone {zone}, of {what}: mend the name, or update the package tzdata."
        ),
        D.NOBODY_CONDUCTS: (
            "Plan {plan} is in force for {campaign}, no site is named here and no worker holds a lease: nothing of it"
            " is conducted. Name the site's file by FERMATA_SITE for serve or worker."
        ),
        D.ADAPTER_UNWELL: "{adapter}: {why}",
        D.BRAKE_LEFT_ON: "{told} Look at the fleet, then release it with fermata brake off --reason.",
        D.LEASE_OF_NOBODY: (
            "{owner} held {what} until {until} and is gone, and nobody has taken it over: start fermata worker, or"
            " serve --site."
        ),
        D.BACKUP_OLD: (
            "{folder} has {newest}, and asked for is one within {days} d: see what runs fermata backup --keep, and try"
            " fermata restore --verify."
        ),
        D.CHECKPOINT_OLD: (
            "{folder} has {newest}, and asked for is one within {days} d: lines cut off the journal since then are not"
            " seen. See what runs fermata audit checkpoint."
        ),
        D.JOURNAL_BROKEN: "{why} Run fermata audit verify for the whole of it.",
        D.JOURNAL_GROWS: (
            "The journal has {lines} lines, the oldest of {at}: verifying it takes minutes. Put the old ones into an"
            " archive with fermata audit archive."
        ),
        D.JOURNAL_UNGUARDED: (
            "Role {role} may change or delete lines of {tables}: run the server with a role of its own, and the SQL of"
            " fermata audit grants."
        ),
        D.SOURCE_SILENT: (
            "Source {source} was last heard at {at}, and what is older than {limit} is no evidence: its units wait. See"
            " fermata inventory sources."
        ),
        D.METRICS_UNUSABLE: "{path} cannot be used ({why}): gates that name metrics of it wait.",
        D.METRICS_MISSING: (
            "The gates of {campaign} ask for metrics and no file has any: they wait. Name one by FERMATA_METRICS."
        ),
    }
)
