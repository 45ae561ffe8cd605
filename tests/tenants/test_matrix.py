"""Roles, routes and tenants: nobody reads a name of what is another's, whatever they call, as often as they try."""

import asyncio
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from tests.conftest import copy_sqlite
from tests.tenants import calls, changes, world
from tests.tenants.conftest import Served, StandingClock, serve

from fermata.domain.identity import GrantLevel, Principal, Role
from fermata.domain.ids import CustomerId
from fermata.server.app import create_app
from fermata.store.database import Database

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

Seen = Mapping[str, tuple[int, str]]
CUSTOMER = {
    "zqlumen": ("customer", world.WORDS[world.MERIDIAN]),
    "zqmeridian labs": ("customer", world.WORDS[world.LUMEN]),
    "zqapart": ("supercomputer", (*world.WORDS[world.LUMEN], "zqgamma", "zqshared")),
    "zqgamma": ("cluster", (*world.WORDS[world.LUMEN], "zqbeta", "zqapart")),
}
WHOLE_NUMBERS = (r"\b79(?:19|24)\b",)


def find_leaks(text: str, asked: str, names: Mapping[str, str], words: tuple[str, ...]) -> list[str]:
    """What is another's in an answer, less what the caller named."""
    given = {*re.findall(r"[\w.-]*zq[\w-]+", asked), *names.values(), *re.findall(r"zq\w+", asked)}
    for name in sorted(given, key=len, reverse=True):
        text = text.replace(name, "")
    return re.findall("|".join(f".{{0,60}}{word}.{{0,30}}" for word in (*words, *WHOLE_NUMBERS)), text)


def look_everywhere(served: Served, caller: Principal) -> Iterator[tuple[str, Mapping[str, str], str, int]]:
    client = served.call(caller)
    for templates in calls.CALLS.values():
        for template in templates:
            for address, names in calls.expand(template):
                answer = client.get(address)
                yield address, names, f"{answer.text}\n{answer.headers}", answer.status_code
    for query in calls.NASTY:
        answer = client.post("/api/v1/query", json={"query": query})
        yield query, {}, answer.text, answer.status_code
        for path, body in calls.ask_elsewhere(query):
            answer = client.post(path, json=body)
            yield f"{path} {query}", {}, answer.text, answer.status_code


def test_an_answer_that_was_put_off_proves_nothing_and_fails(served: Served) -> None:
    served.client.get("/api/v1/policy")
    for status in (429, 503):
        put_off = httpx.Response(status, text="later", request=httpx.Request("GET", "http://127.0.0.1/"))
        for hook in served.client.event_hooks["response"]:
            with pytest.raises(AssertionError, match="put off"):
                hook(put_off)


def test_every_route_that_reads_has_an_example_call(served: Served) -> None:
    reading = {path for methods, path in calls.routes_of(served.app) if "GET" in methods}
    assert reading == set(calls.CALLS), "tests/tenants/calls.py has an example for each route that reads"


def test_every_route_that_changes_is_of_the_whole_or_has_an_example_call(served: Served) -> None:
    changing = {
        (method, path)
        for methods, path in calls.routes_of(served.app)
        for method in methods - {"GET"}
        if changes.may_change_a_part(method, path)
    }
    assert changing == set(changes.EXAMPLES), "tests/tenants/changes.py has an example for each of these"


@pytest.mark.parametrize("name", CUSTOMER)
def test_nobody_reads_a_name_of_what_is_anothers(served: Served, name: str) -> None:
    level, words = CUSTOMER[name]
    caller = world.principal(Role.VIEWER, GrantLevel(level), name)
    leaks, answers = [], 0
    for address, names, text, status in look_everywhere(served, caller):
        assert status < 500, (address, text)
        answers += status == 200
        leaks += [(address, leak) for leak in find_leaks(text, address, names, words)]
    assert not leaks
    assert answers > 100, "most of what is called is answered"


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("role", Role)
def test_no_role_widens_what_is_seen(served: Served, role: Role) -> None:
    caller = world.principal(role, GrantLevel.CUSTOMER, "zqlumen")
    client, leaks = served.call(caller), []
    for address in ("/", "/fleet", "/requests", "/api/v1/requests", "/api/v1/journal", "/query.csv?q=resources"):
        leaks += find_leaks(client.get(address).text, address, {}, world.WORDS[world.MERIDIAN])
    assert not leaks


@pytest.mark.databases("sqlite")
def test_what_is_out_of_sight_is_answered_as_what_is_not_there(served: Served) -> None:
    client = served.call(world.principal(Role.VIEWER, GrantLevel.CUSTOMER, "zqlumen"))
    different = []
    for template in (each for of in calls.CALLS.values() for each in of if "{" in each):
        answers = {}
        for address, names in calls.expand(template):
            answer = client.get(address)
            answers[names["cluster"]] = answer.status_code, calls.settle(answer.text, names)
        if "zqshared" not in template.format(**{**calls.PLACES[2], "subscription": "", "group": "zqshared"}):
            different += [template] * (answers["zqgamma"] != answers["zqnowhere"])
        different += [template] * (answers["zqbeta"] != answers["zqnowhere"])
    assert not different


@pytest.mark.databases("sqlite")
def test_answers_are_the_same_however_much_others_have(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """But for what numbers all lines of a store, and hashes of the whole of what a plan was made from."""
    seen: list[dict[str, tuple[int, str]]] = []
    caller = world.principal(Role.VIEWER, GrantLevel.CUSTOMER, "zqlumen")
    for extra in (0, 5):
        folder = tmp_path_factory.mktemp(f"extra{extra}")
        db = Database(f"sqlite:///{folder}/store.sqlite")
        copy_sqlite(sqlite_template, folder / "store.sqlite")
        world.build(db, folder / "scenario", extra=extra)
        seen += [
            {at: (status, calls.settle(text)) for at, _, text, status in look_everywhere(served, caller)}
            for served in serve(db)
        ]
        db.close()
    for answers in seen:  # rows of a join have no order
        for at, (status, text) in answers.items():
            answers[at] = status, "".join(sorted(re.findall(r"[^{}]+|[{}]", text))) if "| join" in at else text
    assert not [address for address, answer in seen[0].items() if answer != seen[1][address]]


@pytest.mark.parametrize("who", [world.LUMEN, world.MERIDIAN])
def test_what_is_changed_names_nothing_of_others(served: Served, who: CustomerId) -> None:
    actor = {world.LUMEN: world.ALEX, world.MERIDIAN: world.MARA}[who]
    client = served.call(world.all_roles(who, actor))
    leaks, done = [], set()
    for place in (*calls.PLACES, calls.NOWHERE):
        for method, address, body in changes.expand(place, actor):
            if "/brake/" in address and place is not calls.NOWHERE:
                continue  # it would hold what is asked after it
            answer = client.request(method, address, json=body)
            assert answer.status_code < 500, (method, address, answer.text)
            found = find_leaks(f"{answer.text}", f"{address} {body}", {}, calls.others_of(who))
            leaks += [(method, address, leak) for leak in found]
            if answer.status_code < 300 and answer.status_code != 204:  # what is not there is gone already
                is_own = place["customer"] == who or place["supercomputer"] == "zqshared"
                assert is_own or not changes.changes_something(method, address), address
                done.add((method, address.partition("?")[0]))
    assert not leaks
    assert len(done) > 5, "most of what is one's own can be changed"


@pytest.mark.databases("sqlite")
def test_a_change_of_what_is_out_of_sight_is_answered_as_of_what_is_not_there(served: Served) -> None:
    client = served.call(world.all_roles(world.LUMEN, world.ALEX))
    answers = []
    for place in (calls.PLACES[1], calls.NOWHERE):
        texts = []
        for method, address, body in changes.expand(place, world.ALEX):
            if "looks" in address or "/brake/" in address:
                continue  # of everything, whoever is named
            answer = client.request(method, address, json=body)
            settled = calls.settle(address, place), calls.settle(answer.text, place)
            texts.append((method, answer.status_code, *settled))
        answers.append(texts)
    assert answers[0] == answers[1]


@pytest.mark.parametrize("who", [world.LUMEN, world.MERIDIAN])
def test_ec2s_door_tells_who_is_known_of_their_own_nodes_alone(served: Served, who: CustomerId) -> None:
    client = served.call(world.all_roles(who, world.ALEX))
    every = client.post("/", data={"Action": "DescribeInstanceStatus"})
    assert every.status_code == 200
    for place in calls.PLACES:
        node, is_own = f"{place['cluster']}-n0", place["customer"] == who
        assert (f"<instanceId>{node}<" in every.text) is is_own
        one = client.post("/", data={"Action": "DescribeInstanceStatus", "InstanceId.1": node})
        assert (one.status_code, "InvalidInstanceID.NotFound" in one.text) == ((200, False) if is_own else (400, True))
    assert not find_leaks(every.text, "", {}, calls.others_of(who))


def test_what_is_of_the_whole_is_not_changed_by_who_sees_a_part(served: Served) -> None:
    client = served.call(world.principal(Role.CONDUCTOR, GrantLevel.CUSTOMER, world.LUMEN))
    for path in ("campaigns/january-repave/plan", "plans/plan_doors/publish", "run/pause", "brake/off", "signals"):
        answer = client.post(f"/api/v1/{path}", json={"actor": world.ALEX, "why": "x"})
        assert answer.status_code in (403, 422), path
    assert client.post("/api/v1/run/pause", json={"actor": world.ALEX}).status_code == 403


def test_without_a_principal_everything_is_as_it_was(served: Served) -> None:
    text = served.call(None).get("/query.csv?q=resources").text
    assert "zqalpha-n0" in text
    assert "zqbeta-n0" in text


@pytest.mark.databases("sqlite")
def test_the_stream_of_a_part_is_of_that_part(db: Database) -> None:
    app = create_app(db, StandingClock(), new_id=str)
    sight = world.principal(Role.VIEWER, GrantLevel.CUSTOMER, "zqlumen").sees
    live = app.state.sights.look(sight, to_change=False).live

    async def watch() -> str:
        await live.parts()
        stream = live.stream(None)
        return b"".join([await anext(stream), await anext(stream)]).decode()

    text = asyncio.run(watch())
    app.state.sights.close()
    assert "zqalpha" in text
    assert not find_leaks(text, "", {}, world.WORDS[world.MERIDIAN])


@pytest.mark.databases("sqlite")
def test_whoever_sees_a_part_can_sign_out_and_make_and_revoke_tokens_of_their_own(served: Served) -> None:
    client = served.call(world.all_roles(world.LUMEN, world.ALEX))
    assert client.post("/sign-out").status_code == 200
    grant = {"role": "viewer", "level": "customer", "name": "zqlumen"}
    made = client.post("/api/v1/tokens", json={"label": "of mine", "grants": [grant]})
    assert made.status_code == 201
    others = client.post("/api/v1/tokens", json={"label": "x", "grants": [{**grant, "name": world.MERIDIAN}]})
    assert others.status_code == 409
    assert client.delete(f"/api/v1/tokens/{made.json()['id']}").json()["revoked_at"]


@pytest.mark.databases("sqlite")
def test_names_of_what_others_have_are_known_as_soon_as_there_are_some(served: Served) -> None:
    sight = world.principal(Role.VIEWER, GrantLevel.CUSTOMER, "zqlumen").sees
    foreign = served.app.state.sights.foreign
    others = frozenset({"zqbeta-n0", "zqgamma-leaf", "w-zqbeta", world.MARA, "zqapart", "zqbeta-r0", "wo_zqgamma_2"})
    own = frozenset({"zqalpha-n0", "zqalpha-leaf", "w-zqalpha", world.ALEX, "zqshared", "wo_zqalpha_2", "zqnowhere"})
    assert foreign(sight, others | own) == others
    with served.db.begin() as conn:
        conn.execute(sa.text("UPDATE node SET name = 'zqbeta-late' WHERE name = 'zqbeta-n0'"))
        conn.execute(sa.text("UPDATE node SET cluster = 'zqgamma' WHERE name = 'zqalpha-n0'"))
        conn.execute(sa.text("UPDATE window_run SET \"window\" = 'w-zqbeta-2' WHERE \"window\" = 'w-zqbeta'"))
    late = frozenset({"zqbeta-late", "zqalpha-n0", "w-zqbeta-2"})
    assert foreign(sight, late) == late


@pytest.mark.databases("sqlite")
def test_the_same_key_of_another_caller_is_another_key(served: Served) -> None:
    order = {"text": "the fan on zqgamma-n1 smokes"}
    mine = world.principal(Role.OPERATOR, GrantLevel.CUSTOMER, world.MERIDIAN)
    theirs = world.principal(Role.OPERATOR, GrantLevel.CUSTOMER, world.LUMEN)
    path, headers = "/api/v1/windows/w-zqgamma/room/notes", {"Idempotency-Key": "one"}
    assert served.call(mine).post(path, json=order, headers=headers).status_code == 201
    again = served.call(mine).post(path, json=order, headers=headers)
    assert again.headers["Idempotency-Replayed"] == "true"
    other = served.call(theirs).post(path, json=order, headers=headers)
    assert other.status_code == 403
    assert "Idempotency-Replayed" not in other.headers
