"""What the adapter asks of NVIDIA's maintenance-operator while it empties nodes."""

from collections.abc import Collection, Mapping
from typing import Any

from fermata.adapters.kubernetes.claims import API, NO_CLAIMS, SHOWN_MAX, Claim, Claims, read_claims, write_claim
from fermata.adapters.kubernetes.cluster import Cluster
from fermata.adapters.kubernetes.evicting import Waits
from fermata.adapters.kubernetes.settings import MaintenanceOperator
from fermata.adapters.kubernetes_link import CONFLICT, NO_ANSWER, NOT_FOUND, Rejected, answer_of, told
from fermata.domain.health import shorten
from fermata.domain.ids import StepKey
from fermata.domain.observations import Accepted, Answer, Unsure
from fermata.ports import Ask, Refused, TryLater

_ALL = f"/apis/{API}/nodemaintenances"


class Operator:
    """The NodeMaintenances of one API server. `words` None: nobody is asked."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster, self.words = cluster, cluster.settings.maintenance_operator

    def claims(self) -> Claims:
        """Raises TryLater or Refused."""
        if self.words is None:
            return NO_CLAIMS
        try:
            with told(self._cluster.settings.url):
                found = self._cluster.plain.get(_ALL).raise_for_status().json()
        except Refused as refused:
            raise Refused(f"NodeMaintenances cannot be listed: {refused.why}") from refused
        if not isinstance(found, dict) or not isinstance(found.get("items"), list):
            raise Refused(f"{self._cluster.settings.url} lists no NodeMaintenances")
        return Claims(self.words, read_claims(found["items"], self._cluster.settings.prefix))

    def let_go(self, claim: Claim) -> Answer:
        """Ends ours; one that is gone, or was made anew meanwhile, is left."""
        path = f"{_at(claim.namespace)}/{claim.name}"
        options: Any = {"preconditions": {"uid": claim.uid}}
        try:
            self._cluster.plain.request("DELETE", path, json=options).raise_for_status()
        except Rejected as error:
            gone = error.response.status_code in (NOT_FOUND, CONFLICT)
            return Accepted() if gone else answer_of(error, f"the end of {claim.title}")
        except NO_ANSWER:
            return Unsure()
        return Accepted()

    def look(self, draining: Mapping[str, Ask], late: Collection[str]) -> Mapping[str, Waits]:
        """By node what keeps the operator from having granted it; what is granted is absent. Claims what is not claimed
        yet, but for nodes that are late.
        """
        if self.words is None:
            return {}
        waits: dict[str, Waits] = {node: Waits() for node in draining}
        try:
            claims = self.claims()
        except (TryLater, Refused) as error:
            return {node: _say(error) for node in draining}
        for node, ask in draining.items():
            try:
                why = self._look(claims, node, ask.key, may_ask=node not in late)
            except (TryLater, Refused) as error:
                waits[node] = _say(error)
                continue
            if why is None:
                del waits[node]
            else:
                waits[node].told.append(why)
        return waits

    def _look(self, claims: Claims, node: str, key: StepKey, *, may_ask: bool) -> str | None:
        assert self.words is not None
        ours, other = claims.ours(node), claims.find_other(node)
        if other is not None and other.is_agreed:
            return None  # it began with our cordon, as its customers agreed: the node is emptied for it
        behind = f"; before it, {other.say()}" if other is not None else ""
        if ours is None:
            return f"{self._claim(self.words, node, key) if may_ask else 'no NodeMaintenance of ours is there'}{behind}"
        if (ours.requestor, ours.node) != (self.words.requestor, node):
            raise Refused(f"{ours.title} stands in our place, and is of {ours.requestor} for {ours.node}")
        if ours.is_leaving or ours.step != key:
            if may_ask and not ours.is_leaving:
                self.let_go(ours)
            return f"{ours.title} is of an earlier step, and ends"
        if not ours.is_ready:
            return f"{ours.say()}{behind}{_list(ours.pods)}"
        return None

    def _claim(self, words: MaintenanceOperator, node: str, key: StepKey) -> str:
        """The node is looked at again once it is claimed: an operator that empties it must not do that to a node which
        was given back in between.
        """
        settings = self._cluster.settings
        try:
            path, body = _at(words.namespace), write_claim(settings, words, node, key)
            made = self._cluster.plain.post(path, json=body).raise_for_status().json()
        except Rejected as error:
            if error.response.status_code == CONFLICT:
                return "a NodeMaintenance of ours is there since this moment"
            with told(settings.url):
                raise
        except NO_ANSWER:
            return "the answer to a NodeMaintenance was lost"
        claim = read_claims([made], settings.prefix)[0]
        hold = self._cluster.holds({node}).get(node)
        if hold is None or not hold.is_ours or hold.trail.last is None or hold.trail.last.key != key:
            self.let_go(claim)
            return f"{node} changed hands while {claim.title} was made"
        return claim.say()


def _at(namespace: str) -> str:
    return f"/apis/{API}/namespaces/{namespace}/nodemaintenances"


def _say(error: TryLater | Refused) -> Waits:
    return Waits(told=[str(error)], refused=[str(error)] if isinstance(error, Refused) else [])


def _list(pods: tuple[str, ...]) -> str:
    more = f" and {len(pods) - SHOWN_MAX} more" if len(pods) > SHOWN_MAX else ""
    return f"; it waits for {', '.join(shorten(pod) for pod in pods[:SHOWN_MAX])}{more}" if pods else ""
