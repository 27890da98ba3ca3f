"""The page about one run or several: a report is a comparison of one run."""

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cherenkov_mlops.figures.style import DARK_PALETTE, PALETTE
from cherenkov_mlops.reporting import sections
from cherenkov_mlops.reporting.data_section import data_section, spectra_block
from cherenkov_mlops.reporting.figure_blocks import Block, figure_blocks, make_block
from cherenkov_mlops.reporting.images import example_groups
from cherenkov_mlops.reporting.losses import refuse_losses
from cherenkov_mlops.reporting.provenance_section import provenance_section
from cherenkov_mlops.reporting.ranking import Ranking
from cherenkov_mlops.reporting.relation import deviation_figures, pareto_figures
from cherenkov_mlops.reporting.sources import EMBEDDED_ID
from cherenkov_mlops.reporting.svg import VARIABLES, page_color, symbol_html
from cherenkov_mlops.reporting.views import RunView, losses_of, page_title, run_views
from cherenkov_mlops.results import Results, results_to_json

#: Line style of Matplotlib -> dashes of SVG, for the swatch beside a run's name.
_DASHES = {"-": "none", "--": "8 4", "-.": "10 3 3 3", ":": "3 3"}


def render_report(run: Results, *, strict: bool = False) -> str:
    """HTML page about one run, with its results inside.

    Raises
    ------
    UserError
        Something is lost of the results, and the page is to be ``strict``.
    """
    return render_page([run], embedded=results_to_json(run), strict=strict)


def render_page(
    runs: Sequence[Results],
    *,
    embedded: dict[str, Any],
    ranking: Ranking | None = None,
    baseline: int | None = None,
    strict: bool = False,
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
    strict : bool
        Whether to refuse runs of whose results something is lost.

    Raises
    ------
    UserError
        Something is lost, and the page is to be strict.
    """
    views = run_views(runs)
    if strict:
        _refuse_any_loss(views)
    blocks = {
        "training": figure_blocks(views, generic=True, baseline=baseline),
        "figures": figure_blocks(views, generic=False, baseline=baseline),
    }
    if strict:
        # Only drawing shows the losses of figures.
        _refuse_any_loss(views, [*blocks["training"], *blocks["figures"]])
    page = {
        "title": page_title(views),
        "created": max(str(view.run["created"]) for view in views),
        "runs": views,
        "single": len(views) == 1,
        "baseline": None if baseline is None else views[baseline].label,
        "ranked": ranking is not None,
        "palette": list(zip(PALETTE, DARK_PALETTE, strict=True)),
        "embedded": embed_json(embedded),
        "colors": embed_json({name: color for color, name in VARIABLES.items()}),
        "embedded_id": EMBEDDED_ID if len(views) == 1 else "comparison",
        "losses_of": partial(losses_of, views),
    }
    parts = _tables(views, ranking, baseline) | _related(views, baseline) | blocks
    return page_environment().get_template("page.html.j2").render(page | parts)


def _tables(
    views: Sequence[RunView], ranking: Ranking | None, baseline: int | None
) -> dict[str, Any]:
    """Everything on the page that is a table."""
    single = len(views) == 1
    return {
        "cards": sections.key_cards(views),
        "notices": sections.notices(views),
        "tables": sections.metric_tables(views, ranking, baseline),
        "metric_rows": sections.metric_rows(views[0]) if single else [],
        "data": data_section(views),
        "spectra": spectra_block(views) if single else None,
        "examples": example_groups(views[0]) if single else [],
        "costs": sections.cost_rows(views),
        "config": sections.config_section(views),
        "provenance": provenance_section(views),
    }


def _related(views: Sequence[RunView], baseline: int | None) -> dict[str, list[Block]]:
    """Figures that only a comparison has."""
    deviations = [] if baseline is None else deviation_figures(views, views[baseline])
    pareto = pareto_figures(views) if len(views) > 1 else []
    return {
        "deviations": [make_block(entry, drawn) for entry, drawn in deviations],
        "pareto": [make_block(entry, drawn) for entry, drawn in pareto],
    }


def _refuse_any_loss(views: Sequence[RunView], blocks: Sequence[Block] = ()) -> None:
    for view in views:
        drawn = [loss for block in blocks for label, loss in block.losses if label == view.label]
        refuse_losses([*view.losses, *drawn], view.label)


def embed_json(content: dict[str, Any]) -> Markup:
    """JSON that cannot end the script element around it; still valid JSON."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def page_environment() -> Environment:
    """Where the templates of all pages are."""
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
