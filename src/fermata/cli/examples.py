"""An example or two for the `--help` of every command, in one place, so that they read alike. A test tries each."""

from collections.abc import Mapping

import typer

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "demo": ("fermata demo --speed 600", "fermata demo --dir /tmp/january --fresh"),
    "import fleet": ("fermata import fleet january/fleet --as alice --why 'new rack'",),
    "import updates": ("fermata import updates january/updates.yaml",),
    "import policy": ("fermata import policy january/policy.yaml --why 'lumen allows weekends'",),
    "import campaign": ("fermata import campaign january/campaign.yaml",),
    "import workloads": ("fermata import workloads january/workloads.yaml",),
    "import scenario": ("fermata import scenario january", "fermata import scenario january --store january.db"),
    "remove workloads": ("fermata remove workloads --why 'services moved away'",),
    "inventory sources": ("fermata inventory sources --sources sources.yaml",),
    "inventory sync": ("fermata inventory sync", "fermata inventory sync slurm-west --sources sources.yaml"),
    "inventory diff": ("fermata inventory diff slurm-west --sources sources.yaml",),
    "inventory held": ("fermata inventory held", "fermata inventory held hold_01J --json"),
    "inventory accept": ("fermata inventory accept hold_01J --why 'the racks did move'",),
    "inventory drop": ("fermata inventory drop hold_01J --why 'its export was cut off'",),
    "inventory forget": ("fermata inventory forget slurm-west --why 'cluster is gone'",),
    "updates list": ("fermata updates list",),
    "updates show": ("fermata updates show nic-fw-28.43",),
    "updates register": ("fermata updates register nic.yaml --why 'security fix'",),
    "updates rules": ("fermata updates rules qualification.yaml",),
    "updates signal": ("fermata updates signal nic-fw-28.43 --ring canary --name burn-in --result passed --nodes 16",),
    "updates promote": ("fermata updates promote nic-fw-28.43 --as bob",),
    "updates demote": ("fermata updates demote nic-fw-28.43 --why 'link flaps on two nodes'",),
    "updates withdraw": ("fermata updates withdraw nic-fw-28.43 --why 'replaced by 28.44'",),
    "updates combinations": ("fermata updates combinations --supercomputer sc-1",),
    "updates piles": ("fermata updates piles", "fermata updates piles --freeze launch-week"),
    "pending": ("fermata pending --cluster gb200-westus3-01", "fermata pending --scenario january --detail --limit 20"),
    "requests": ("fermata requests", "fermata requests --customer lumen --json"),
    "requests open": ("fermata requests open repair node gb200-n0001 --cause 'GPU 3 falls off the bus'",),
    "requests approve": ("fermata requests approve req_sc-1_repair --as lumen-capacity",),
    "requests decline": ("fermata requests decline req_sc-1_repair --until 2026-02-01 --why 'launch week'",),
    "requests withdraw": ("fermata requests withdraw req_sc-1_repair node gb200-n0001",),
    "requests start": ("fermata requests start wo_01J --drained",),
    "requests complete": ("fermata requests complete wo_01J --why 'GPU 3 replaced'",),
    "requests cancel": ("fermata requests cancel wo_01J --why 'false alarm'",),
    "requests told": ("fermata requests told req_sc-1_deployment --why 'by phone'",),
    "requests look": ("fermata requests look",),
    "policy test": ("fermata policy test gb200-n0001 nic-fw-28.43 --at 2026-01-05T20:00:00Z",),
    "policy show": ("fermata policy show > policy.yaml",),
    "policy replace": ("fermata policy replace policy.yaml --preview", "fermata policy replace policy.yaml"),
    "approve": ("fermata approve supercomputer sc-1 --as lumen-capacity", "fermata approve --from approvals.csv"),
    "withdraw": ("fermata withdraw rack gb200-r07 --why 'a run was extended'",),
    "decline": ("fermata decline cluster gb200-westus3-01 --until 2026-01-20 --why 'deadline of a paper'",),
    "offer add": ("fermata offer add cluster gb200-westus3-01 --not-before 2026-01-12 --not-after 2026-01-14",),
    "offer list": ("fermata offer list",),
    "offer accept": ("fermata offer accept apr_01J --as carol",),
    "offer refuse": ("fermata offer refuse apr_01J --as carol --why 'no team that day'",),
    "freeze add": ("fermata freeze add cluster h200-01 --from 2026-01-05 --to 2026-01-08 --reason 'model launch'",),
    "freeze end": ("fermata freeze end launch-week --why 'launched early'",),
    "freeze list": ("fermata freeze list", "fermata freeze list --all --json"),
    "freeze exempt": ("fermata freeze exempt launch-week --update bmc-fw-9 --reason 'CVE in use' --as dan",),
    "freeze confirm": ("fermata freeze confirm exm_01J --as erin",),
    "calendar": ("fermata calendar customer lumen --out lumen.ics",),
    "subscriptions list": ("fermata subscriptions list",),
    "subscriptions add": ("fermata subscriptions add mail ops-mail --to ops@example.com --customer lumen",),
    "subscriptions import": ("fermata subscriptions import subscriptions.yaml",),
    "subscriptions validate": ("fermata subscriptions validate ops-hook",),
    "subscriptions remove": ("fermata subscriptions remove ops-hook --why 'moved to chat'",),
    "notices list": ("fermata notices list --customer lumen --state dead",),
    "notices show": ("fermata notices show 17",),
    "notices replay": ("fermata notices replay 17 --to ops-mail",),
    "notices dismiss": ("fermata notices dismiss 17 --why 'told by phone'",),
    "notices test": ("fermata notices test ops-mail",),
    "notices deliver": ("fermata notices deliver",),
    "plan": (
        "fermata plan january --out plan.json --html plan.html",
        "fermata plan january --what-if deadline=2026-01-20",
        "fermata plan january-repave --server http://127.0.0.1:8321",
    ),
    "standing": ("fermata standing january --days 365",),
    "check": ("fermata check plan.json --scenario january", "fermata check plan_01J"),
    "simulate": ("fermata simulate plan.json --scenario january --runs 1000",),
    "why": ("fermata why gb200-n0001", "fermata why gb200-westus3-01 --plan plan.json --scenario january"),
    "tokens create": (
        "fermata tokens create inventory-job --grant automation:customer=acme --days 30",
        "fermata tokens create ec2-events --grant viewer:customer=acme --aws",
    ),
    "tokens list": ("fermata tokens list",),
    "tokens revoke": ("fermata tokens revoke tok_01J",),
    "sign-in": ("fermata sign-in --server https://fermata.example",),
    "sign-out": ("fermata sign-out --server https://fermata.example",),
    "whoami": ("fermata whoami --server https://fermata.example",),
    "query": (
        "fermata query 'resources | where type == \"fermata/nodes\" | count'",
        "fermata query - --csv < question.kql",
    ),
    "publish": ("fermata publish plan.json --as alice",),
    "replan": ("fermata replan", "fermata replan --publish"),
    "replan mode": ("fermata replan mode propose --why 'a person looks first'",),
    "start": ("fermata start january-repave", "fermata start --site site.yaml"),
    "status": ("fermata status", "fermata status --server http://127.0.0.1:8321 --json"),
    "watch": ("fermata watch --server http://127.0.0.1:8321", "fermata watch --once", "fermata watch >> day.log"),
    "chart": ("fermata chart out --out out.png", "fermata chart --list"),
    "forecast": ("fermata forecast", "fermata forecast w016"),
    "room list": ("fermata room list",),
    "room show": ("fermata room win-h100-01-1",),
    "room answer": ("fermata room answer win-h100-01-1 nic-team --text 'two of us, until 23:00'",),
    "room go": ("fermata room go win-h100-01-1 --reason 'customer agreed by phone'",),
    "room no-go": ("fermata room no-go win-h100-01-1 --reason 'cooling of row 4 is down'",),
    "room note": ("fermata room note win-h100-01-1 'switch 12 is being watched'",),
    "room handover": ("fermata room handover win-h100-01-1 --to bob --open 'ticket 4711 for n0007'",),
    "room bridge": ("fermata room bridge win-h100-01-1 https://meet.example.com/january",),
    "readmission": ("fermata readmission gb200-n0001 gb200-n0002",),
    "pause": ("fermata pause --reason 'power work in the hall'", "fermata pause --node gb200-n0001"),
    "resume": ("fermata resume", "fermata resume --node gb200-n0001"),
    "stop": ("fermata stop --window w016 --reason 'customer asked'",),
    "abort": ("fermata abort --window w016 --reason 'NIC firmware breaks links'",),
    "brake on": ("fermata brake on --reason 'fire alarm'",),
    "brake off": ("fermata brake off --reason 'all clear'",),
    "brake show": ("fermata brake show",),
    "gates": ("fermata gates",),
    "gates hold": ("fermata gates hold nic-fw-28.43 --reason 'vendor looks at two cards'",),
    "gates proceed": ("fermata gates proceed nic-fw-28.43 --reason 'both were bad cables'",),
    "gates rollback": ("fermata gates rollback nic-fw-28.43 --reason 'links flap'",),
    "recover": ("fermata recover gb200-n0001", "fermata recover --update nic-fw-28.43 --do --reason 'links flap'"),
    "health learn": ("fermata health learn --out baselines.yaml",),
    "capacity": ("fermata capacity --by customer",),
    "tail": ("fermata tail", "fermata tail --owner nic-team --json"),
    "tail assign": ("fermata tail assign gb200-n0001 --owner nic-team --promised 2026-01-09T12:00:00Z",),
    "tail retry": ("fermata tail retry gb200-n0001 --reason 'card reseated'",),
    "report": ("fermata report --html report.html",),
    "serve": ("fermata serve --store january.db", "fermata serve --site site.yaml --port 8321"),
    "worker": ("fermata worker --site site.yaml --store postgresql://fermata@db/fermata",),
    "metrics dashboards": ("fermata metrics dashboards --out grafana",),
    "metrics rules": ("fermata metrics rules --out prometheus",),
    "node key": ("fermata node key gb200-n0001 --at 10.0.0.5:8321",),
    "adapters list": ("fermata adapters list",),
    "adapters doctor": ("fermata adapters doctor --site site.yaml",),
    "adapters try": ("fermata adapters try redfish --settings redfish.yaml --node gb200-n0001",),
    "doctor": ("fermata doctor", "fermata doctor --backups /srv/backups --checkpoints /srv/checkpoints --json"),
    "audit verify": ("fermata audit verify", "fermata audit verify --archive . --key audit.key.pub"),
    "audit checkpoint": ("fermata audit checkpoint --key audit.key --out /srv/checkpoints",),
    "audit archive": ("fermata audit archive --before 2025-01-01 --to /srv/archive/2024.journal.gz --key audit.key",),
    "audit key": ("fermata audit key audit.key",),
    "audit grants": ("fermata audit grants fermata_app > grants.sql",),
    "backup": ("fermata backup /srv/backups/fermata-2026-01-09.db", "fermata backup /srv/backups --keep 48"),
    "break-glass": (
        "fermata break-glass --role conductor --minutes 30 --why 'chiller 2 fails' --server http://127.0.0.1:8321",
    ),
    "break-glass show": ("fermata break-glass show", "fermata break-glass show --all --json"),
    "break-glass end": ("fermata break-glass end glass_01J",),
    "restore": (
        "fermata restore backup.db --verify",
        "fermata restore backup.db --store postgresql://fermata@db/fermata",
    ),
    "bench rcpsp": ("fermata bench rcpsp j30/j3010_1.sm --seconds 10",),
    "completion": ("fermata completion bash > ~/.local/share/bash-completion/completions/fermata",),
}


def add_examples(app: typer.Typer, path: tuple[str, ...] = ()) -> None:
    """Puts them at the end of the help of every command that `app` has."""
    for command in app.registered_commands:
        command.epilog = _epilog(" ".join((*path, command.name or "")))
    for group in app.registered_groups:
        inner = group.typer_instance
        if inner is None:
            continue
        name = group.name if isinstance(group.name, str) else str(inner.info.name)
        if inner.registered_callback is not None:
            inner.registered_callback.epilog = _epilog(" ".join((*path, name)))
        add_examples(inner, (*path, name))


def _epilog(command: str) -> str:
    lines = EXAMPLES.get(command, ())
    return (
        "\n".join(("\b", "Examples:" if len(lines) > 1 else "Example:", *(f"  {line}" for line in lines)))
        if lines
        else ""
    )
