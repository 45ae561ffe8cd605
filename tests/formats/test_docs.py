"""docs/formats.md names every column, key and choice that the readers know."""

from enum import StrEnum
from pathlib import Path

import pytest

from fermata.domain import campaign as campaign_words
from fermata.domain import fleet as fleet_words
from fermata.domain import plans as plan_words
from fermata.domain import policy as policy_words
from fermata.domain import updates as update_words
from fermata.formats import approvals, campaign, campaign_rules, fleet, planreading, policy, updates, workloads
from fermata.formats.tables import Columns

DOCS = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")


def known_keys() -> set[str]:
    keys: set[str] = set()
    for module in (approvals, campaign, campaign_rules, fleet, planreading, policy, updates, workloads):
        for name, value in vars(module).items():
            if name.isupper() and isinstance(value, tuple):
                keys.update(value)
            elif isinstance(value, Columns):
                keys.update((*value.required, *value.optional))
    keys.update(key for limit in campaign_rules.LIMIT_KEYS.values() for key in limit)
    return keys | set(approvals.VERDICTS) | {*campaign_words.SCOPE_KEYS, *campaign_words.NODE_KEYS}


def known_choices() -> set[str]:
    return {
        choice.value
        for module in (campaign_words, fleet_words, plan_words, policy_words, update_words)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, StrEnum) and value is not StrEnum
        for choice in value
    } - {verdict.value for verdict in policy_words.Verdict}


@pytest.mark.parametrize("word", sorted((known_keys() | known_choices()) - set(campaign.WEEKDAYS[1:6])))
def test_word_is_documented(word):
    assert word in DOCS
