"""Pages in a headless Chromium from the disk, with the network off."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cherenkov_mlops.commands import compare
from cherenkov_mlops.results import write_results
from cherenkov_mlops.run_dir import RunDir
from cherenkov_mlops.stages import report
from cherenkov_mlops.sweep import pages as study
from studies import make_study_runs
from synthetic import TASKS, make_results

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
AXE = Path(__file__).parent / "vendor" / "axe.min.js"


@dataclass
class Visit:
    """One page in the browser, and what went wrong in it."""

    page: Any
    messages: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def find_violations(self) -> list[str]:
        """Serious and critical violations of accessibility that axe-core sees."""
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{item['id']}: {json.dumps([node['target'] for node in item['nodes']][:3])}"
            for item in found["violations"]
            if item["impact"] in ("serious", "critical")
        ]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium; the tests are skipped where there is none."""
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install playwright"
    )
    program = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if program is None:
        pytest.skip("no Chromium on the PATH: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def pages(tmp_path_factory) -> dict[str, Path]:
    """A report of each task, a comparison of three runs to a baseline, and a study."""
    folder = tmp_path_factory.mktemp("pages")
    found = {}
    for task in TASKS:
        run_dir = RunDir(folder / task)
        write_results(make_results(task, task), run_dir.metrics)
        report.run(None, run_dir)
        found[task] = run_dir.report
    runs = []
    for number in range(3):
        runs.append(folder / f"net_{number}")
        run = make_results("energy", f"net_{number}", noise=1 + 0.4 * number, network=number)
        run.facts |= {"mmacs": 200.0 - 50 * number, "network_time_ms": 0.3 - 0.1 * number}
        write_results(run, runs[-1] / "metrics.json")
    found["comparison"] = folder / "comparison.html"
    compare.run(runs, found["comparison"], baseline="net_1")
    found["study"] = folder / "study.html"
    study.run(_write_study(folder), found["study"])
    return found


def _write_study(folder: Path) -> list[Path]:
    runs = [run for task in ("type", "energy") for run in make_study_runs(task)]
    return [write_results(run, folder / run.run.name / "metrics.json") for run in runs]


@pytest.fixture(params=["light", "dark"])
def scheme(request) -> str:
    """Colour scheme that the system prefers."""
    return request.param


@pytest.fixture
def visit(browser):
    """Function that opens a page without network and records messages and requests."""
    contexts = []

    def open_page(path: Path, scheme: str = "light", width: int = 1360) -> Visit:
        context = browser.new_context(
            color_scheme=scheme, viewport={"width": width, "height": 900}, offline=True
        )
        contexts.append(context)
        visited = Visit(context.new_page())
        visited.page.on("console", lambda message: visited.messages.append(message.text))
        visited.page.on("pageerror", lambda error: visited.messages.append(str(error)))
        visited.page.on("request", lambda request: visited.requests.append(request.url))
        visited.page.goto(path.as_uri())
        return visited

    yield open_page
    for context in contexts:
        context.close()
