"""A person signs in at a provider that we did not write, approves, loses the session meanwhile, goes on, signs out."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.doors import world
from tests.doors.conftest import HandClock, db
from tests.server.conftest import QUICK
from tests.server.identity.conftest import ALL, RealClock, listening, new_id
from tests.server.test_browser import browser

from fermata.adapters.secrets import PLAIN
from fermata.domain.access import AccessBook, GranteeKind, GrantLine, OidcTerms
from fermata.domain.secrets import ref_of_file
from fermata.server.app import create_app
from fermata.server.demo import DemoInfo
from fermata.server.identity.admission import Admission
from fermata.store.database import Database

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from oidc_provider_mock import User, run_server_in_thread

__all__ = ["browser", "db"]

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(170), pytest.mark.xdist_group("browser")]

ADA = "lumen-capacity"  # whom the policy names as approver
SIZES = {"desk": (1440, 900), "phone": (390, 844)}


@pytest.fixture
def provider() -> Iterator[str]:
    """oidc-provider-mock, over loopback."""
    claims = {"email": ADA, "groups": ["leads"]}
    nobody = {"email": "nobody@example.com"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with run_server_in_thread(
            user_claims=[User(sub="ada", claims=claims), User(sub="nobody", claims=nobody)]
        ) as server:
            yield f"http://localhost:{server.server_port}"


@contextmanager
def serving(db: Database, book: AccessBook | None, demo: DemoInfo | None = None) -> Iterator[str]:
    world.publish(db)
    access = Admission(book=book, now=RealClock().now, secrets=PLAIN)
    app = create_app(db, HandClock(world.NOW), new_id=new_id, timing=QUICK, access=access, demo=demo)
    with listening(app) as url:
        yield url


@pytest.fixture
def url(db: Database, provider: str, tmp_path: Path) -> Iterator[str]:
    secret = tmp_path / "client-secret"
    secret.write_text("any will do there")
    lines = tuple(GrantLine(kind=GranteeKind.GROUP, name="leads", grant=grant) for grant in sorted(ALL))
    terms = OidcTerms(issuer=provider, client_id="fermata", secret=ref_of_file(secret))
    with serving(db, AccessBook(oidc=terms, lines=lines)) as found:
        yield found


def sign_in(page: Page, who: str) -> None:
    page.get_by_role("link", name="Sign in").click()
    page.get_by_role("button", name=who, exact=True).click()


def looked_at(page: Page, name: str, folder: Path) -> None:
    """Nothing runs off the side, at any width in any theme."""
    for size, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            page.screenshot(path=folder / f"{name}-{size}-{scheme}.png")
            assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    page.set_viewport_size({"width": 1440, "height": 900})


def test_a_session_that_ends_mid_approval_loses_nothing_and_approves_nothing_by_half(
    browser: Browser, url: str, db: Database, tmp_path: Path
) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{url}/requests")
    looked_at(page, "sign-in", tmp_path)
    sign_in(page, "ada")
    expect(page.get_by_text(f"Signed in as {ADA}")).to_be_visible()
    page.locator("#choose[data-ready=true]").wait_for()
    page.locator(".tick").first.click()
    page.locator("#cost dl").wait_for()
    words = page.locator("#send").inner_text()
    context.clear_cookies()
    page.locator("#send").click()
    expect(page.locator("#outcome")).to_contain_text("You are signed out.")
    expect(page.locator("#outcome")).to_contain_text("waits in this tab")
    with context.expect_page() as opened:
        page.locator("#outcome a").click()
    beside = opened.value
    sign_in(beside, "ada")
    expect(beside.get_by_text("Close this tab")).to_be_visible()
    expect(page.locator("#outcome")).to_contain_text("Recorded.", timeout=20_000)
    expect(page.locator("#outcome")).to_contain_text(words)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    page.goto(f"{url}/requests")
    assert "/sign-in" in page.url
    context.close()


def test_somebody_without_a_grant_is_told_so(browser: Browser, url: str, tmp_path: Path) -> None:
    page = browser.new_page()
    page.goto(url)
    sign_in(page, "nobody")
    expect(page.get_by_role("heading", name="No access")).to_be_visible()
    looked_at(page, "no-access", tmp_path)
    page.close()


def test_a_demo_shows_another_of_its_people(browser: Browser, db: Database, tmp_path: Path) -> None:
    with serving(db, None, DemoInfo(speed=3000)) as url:
        page = browser.new_page()
        page.goto(f"{url}/journal")
        looked_at(page, "demo", tmp_path)
        page.get_by_label("Demo: anyone on this machine").select_option("viewer")
        page.get_by_role("button", name="Switch").click()
        expect(page.get_by_label("Demo: anyone on this machine")).to_have_value("viewer")
        assert page.url.endswith("/journal")
        page.close()
