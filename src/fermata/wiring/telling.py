"""Whom notices are delivered by."""

import logging
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import urlsplit

from fermata.adapters.cloud_events_webhook import CloudEventsWebhook
from fermata.adapters.event_grid_webhook import EventGridWebhook
from fermata.adapters.incident_api import IncidentApi
from fermata.adapters.outbound import Outbound
from fermata.adapters.smtp import Mail, MailServer
from fermata.adapters.status_page import StatusPage
from fermata.adapters.vault import Vault
from fermata.domain.subscriptions import ChannelKind
from fermata.execution.delivering import PostOffice
from fermata.ports import Channel, Clock
from fermata.settings import Settings
from fermata.store.database import Database
from fermata.wiring.named_secrets import find_password, open_secrets


def open_channels(settings: Settings, clock: Clock) -> Mapping[ChannelKind, Channel]:
    """Every kind of channel that notices are sent by."""
    from fermata.adapters.chat import Chat  # noqa: PLC0415 - Apprise takes a tenth of a second; most commands send nothing

    for name in ("httpx", "httpcore", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)  # below, they log the addresses they call, which are secrets
    outbound = Outbound(allow_local=settings.local_targets, networks=settings.outbound_networks)
    server = MailServer(
        host=settings.smtp_host,
        port=settings.smtp_port,
        sender=settings.smtp_sender,
        user=settings.smtp_user,
        password=find_password(settings),
        starttls=settings.smtp_starttls,
    )
    secrets = open_secrets(settings)
    vault = Vault(settings.channel_secrets, secrets.book.channels, secrets)
    origin = urlsplit(settings.public_url).hostname or "fermata"
    return {
        ChannelKind.EVENT_GRID: EventGridWebhook(outbound, clock, vault),
        ChannelKind.CLOUD_EVENTS: CloudEventsWebhook(outbound, clock, origin, vault),
        ChannelKind.MAIL: Mail(server, clock),
        ChannelKind.CHAT: Chat(outbound),
        ChannelKind.INCIDENT_API: IncidentApi(outbound, clock, vault),
        ChannelKind.STATUS_PAGE: StatusPage(outbound, clock, vault),
    }


def open_office(database: Database, settings: Settings, clock: Clock) -> PostOffice:
    """What delivering notices needs."""
    return PostOffice(
        database=database,
        channels=open_channels(settings, clock),
        clock=clock,
        public_url=settings.public_url or None,
        mail_sender=settings.smtp_sender,
        kept=timedelta(days=settings.notice_days),
    )
