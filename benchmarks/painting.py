"""When each page of the board first paints, in a real browser at a desk and on a phone, and what a board takes that
stays open for a simulated day: the memory of its tab, and the events that it was sent. Over the January demo.

Apart from the other benchmarks: it needs Chromium, runs the demo as a process of its own, and prints a table.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import httpx
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SIZES = {"desk": (1440, 900), "phone": (390, 844)}
PAGES = (
    "/", "/campaign", "/campaign/what-if", "/campaign/replan", "/policy", "/fleet", "/fleet?shade=pending", "/requests",
    "/updates", "/capacity", "/journal", "/query",
)  # fmt: skip
FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? -1"
COUNT_EVENTS = "window.heard = 0; document.addEventListener('htmx:sseBeforeMessage', () => window.heard++)"
ASK_SECONDS = 15.0
FORESEEN = "or more in half of"


def main() -> None:
    """Paints, then a day."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--runs", type=int, default=3, help="looks at each page, as a stranger; 0: none")
    asked.add_argument("--speed", type=float, default=60.0, help="virtual seconds a second")
    asked.add_argument("--day-seconds", type=float, default=0.0, help="how long the board stays open; 0: no day")
    asked.add_argument("--port", type=int, default=8351)
    options = asked.parse_args()
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        sys.exit(f"no browser found: looked for {', '.join(NAMES)}")
    with _demo(options.port, options.speed) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        if options.runs:
            print(f"{'page':34} {'desk':>8} {'phone':>8}   first contentful paint, ms, median of {options.runs}")
        for page in (*PAGES, *_pages_of_one(url)) if options.runs else ():
            paints = [median(_paints(browser, url + page, size, options.runs)) for size in SIZES.values()]
            print(f"{page.removesuffix('_deployment')[-34:]:34} {paints[0]:8.0f} {paints[1]:8.0f}", flush=True)
        if options.day_seconds:
            _stay(browser, url, options.day_seconds, options.speed)
        browser.close()


@contextmanager
def _demo(port: int, speed: float) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="fermata-paint-") as folder:
        place = ("--dir", str(Path(folder, "demo")), "--port", str(port), "--speed", str(speed))
        process = subprocess.Popen([sys.executable, "-m", "fermata", "demo", *place], stdout=subprocess.DEVNULL)
        url = f"http://127.0.0.1:{port}"
        try:
            _wait_for(url)
            yield url
        finally:
            process.terminate()
            process.wait()


def _wait_for(url: str) -> None:
    """Until it conducts and has foreseen the day: both take a core that the browser needs."""
    for _ in range(1200):
        try:
            if FORESEEN in httpx.get(f"{url}/campaign", headers={"Accept": "text/html"}, timeout=30).text:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.25)
    sys.exit("the demo did not begin to conduct")


def _pages_of_one(url: str) -> Iterator[str]:
    """A window, its room, a request and a node: the first that pages link to."""
    with httpx.Client(base_url=url, headers={"Accept": "text/html"}, timeout=60) as client:
        window = _first(r'href="(/windows/[^"/]+)"', client.get("/"))
        yield from (window, f"{window}/room", _first(r'href="(/requests[?]request=[^"]+)"', client.get("/requests")))
        clusters = client.get("/fleet/names").raise_for_status().json()["clusters"]
        yield f"/nodes/{next(iter(clusters.values()))[0]}"


def _first(pattern: str, answer: httpx.Response) -> str:
    found = re.search(pattern, answer.raise_for_status().text)
    if found is None:
        sys.exit(f"{answer.url} has no link of the kind {pattern}")
    return found[1]


def _paints(browser: Browser, address: str, size: tuple[int, int], runs: int) -> list[float]:
    found = []
    for _ in range(runs):
        context = browser.new_context(viewport={"width": size[0], "height": size[1]})
        page = context.new_page()
        page.goto(address, wait_until="load", timeout=60_000)
        while (painted := float(page.evaluate(FIRST_PAINT))) < 0:
            page.wait_for_timeout(20)
        found.append(painted)
        context.close()
    return found


def _stay(browser: Browser, url: str, seconds: float, speed: float) -> None:
    """Today stays open; its script's heap and the resident memory of its renderer are told four times a minute."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(url)
    page.evaluate(COUNT_EVENTS)
    devtools = page.context.new_cdp_session(page)
    renderer = _renderer(page)
    print(f"\nToday open at {speed:.0f} virtual seconds a second")
    begun = time.monotonic()
    most = 0.0
    while (passed := time.monotonic() - begun) < seconds:
        time.sleep(min(ASK_SECONDS, seconds - passed))
        heap, resident = _heap_mib(devtools), _resident_mib(renderer)
        most = max(most, resident)
        hours = (time.monotonic() - begun) * speed / 3600
        heard = page.evaluate("window.heard")
        print(f"{hours:6.1f} h  {heard:6} events  heap {heap:6.1f} MiB  tab {resident:6.1f} MiB", flush=True)
    print(f"most: {most:.0f} MiB")
    page.close()


def _heap_mib(devtools: CDPSession) -> float:
    devtools.send("HeapProfiler.collectGarbage")
    found: float = devtools.send("Runtime.getHeapUsage")["usedSize"]
    return found / 2**20


def _renderer(page: Page) -> int:
    """The process that draws the page: the one that works while its script does."""
    before = _cpu_ticks()
    page.evaluate("() => { const until = performance.now() + 400; while (performance.now() < until); }")
    after = _cpu_ticks()
    return max(after, key=lambda process: after[process] - before.get(process, 0))


def _cpu_ticks() -> dict[int, int]:
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if b"--type=renderer" in (place / "cmdline").read_bytes():
                fields = (place / "stat").read_text().rpartition(") ")[2].split()
                found[int(place.name)] = int(fields[11]) + int(fields[12])
        except OSError:
            continue
    return found


def _resident_mib(process: int) -> float:
    """What it has of its own: memory of files that all tabs share is left out."""
    status = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"RssAnon:\s+(\d+)", status)
    assert found is not None
    return int(found[1]) / 1024


if __name__ == "__main__":
    main()
