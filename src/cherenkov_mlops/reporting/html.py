"""The page about one run or several: a report is a comparison of one run."""

import json
from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cherenkov_mlops.figures.style import DARK_PALETTE, PALETTE
from cherenkov_mlops.reporting import sections
from cherenkov_mlops.reporting.ranking import Ranking
from cherenkov_mlops.reporting.sources import EMBEDDED_ID
from cherenkov_mlops.reporting.svg import page_color, symbol_html
from cherenkov_mlops.results import Results, results_to_json

#: Line style of Matplotlib -> dashes of SVG, for the swatch beside a run's name.
_DASHES = {"-": "none", "--": "8 4", "-.": "10 3 3 3", ":": "3 3"}


def render_report(run: Results) -> str:
    """HTML page about one run, with its results inside."""
    return render_page([run], embedded=results_to_json(run))


def render_page(
    runs: Sequence[Results],
    *,
    embedded: dict[str, Any],
    ranking: Ranking | None = None,
    baseline: int | None = None,
) -> str:
    """HTML page about one run or several, that needs no other file.

    Parameters
    ----------
    runs : sequence of Results
        One run makes a report, several make a comparison.
    embedded : dict
        Content of the page's JSON element.
    ranking : Ranking, optional
        Ranks of the runs; without it values stand side by side.
    baseline : int, optional
        Place of the run to which the others are related.
    """
    views = sections.run_views(runs)
    page = {
        "title": sections.page_title(views),
        "created": max(str(view.run["created"]) for view in views),
        "runs": views,
        "single": len(views) == 1,
        "baseline": None if baseline is None else views[baseline].label,
        "ranked": ranking is not None,
        "cards": sections.key_cards(views),
        "notices": sections.notices(views),
        "tables": sections.metric_tables(views, ranking, baseline),
        "metric_rows": sections.metric_rows(views[0]) if len(views) == 1 else [],
        "data": sections.data_section(views),
        "training": sections.figure_blocks(views, generic=True),
        "figures": sections.figure_blocks(views, generic=False),
        "costs": sections.cost_rows(views),
        "config": sections.config_section(views),
        "provenance": sections.provenance_rows(views),
        "palette": list(zip(PALETTE, DARK_PALETTE, strict=True)),
        "embedded": embed_json(embedded),
        "embedded_id": EMBEDDED_ID if len(views) == 1 else "comparison",
    }
    return _environment().get_template("page.html.j2").render(page)


def embed_json(content: dict[str, Any]) -> Markup:
    """JSON that cannot end the script element around it; still valid JSON."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("cherenkov_mlops.reporting", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {
        "symbol": symbol_html,
        "run_color": page_color,
        "dashes": _DASHES.__getitem__,
    }
    return environment
