"""What an operator reads about servers: where they listen, what they show, who answers, and the demo's."""

from types import MappingProxyType

from fermata.domain.codes import Code

OF_SERVERS = MappingProxyType(
    {
        Code.NOT_LOOPBACK: (
            "{host} can be reached from other machines, and {why}: mend that, or use 127.0.0.1 and a tunnel. See"
            " docs/access.md."
        ),
        Code.PORT_TAKEN: "Port {port} of {host} is taken by another process: stop it, or name a free one with --port.",
        Code.TLS_UNUSABLE: (
            "Nothing can be encrypted with {files}: {why}. --tls-cert names a certificate in PEM, its chain behind it,"
            " --tls-key its key, without a passphrase, where that does not stand in the same file."
        ),
        Code.SERVER_UNREACHABLE: "{url} gives no answer ({why}): {advice}.",
        Code.SERVER_NOT_UNDERSTOOD: (
            "{url} does not answer as a Fermata server of version {version} does ({why}): mend --server, or use the"
            " same version on both sides."
        ),
        Code.STORE_CAME_BACK: (
            "PostgreSQL was restored to a point in time, or another server took its place: nothing was saved, and the"
            " brake is on. Look at the fleet, then release it with fermata brake off --reason, and try again."
        ),
        Code.DEMO_RUNNING: "A demo runs in {folder} (process {process}): stop it, or name another folder with --dir.",
        Code.DEMO_HAS_STATE: "{folder} holds a demo: go on with --resume, or delete it and start anew with --fresh.",
        Code.DEMO_SEED_FIXED: "The demo in {folder} was started with seed {seed}: leave --seed out, or start --fresh.",
        Code.DEMO_FOLDER_UNUSABLE: "{folder} cannot be used ({why}): mend that, or name another folder with --dir.",
    }
)
