"""The page about one run or several: a report is a comparison of one run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cherenkov_mlops.figures import FigureEntry
from cherenkov_mlops.figures.style import DARK_PALETTE, PALETTE
from cherenkov_mlops.reporting import sections
from cherenkov_mlops.reporting.data_section import data_section, spectra_block
from cherenkov_mlops.reporting.figure_blocks import Block, make_block, task_blocks, training_blocks
from cherenkov_mlops.reporting.gaps import refuse_gaps
from cherenkov_mlops.reporting.images import example_groups
from cherenkov_mlops.reporting.notices import run_notices, task_notices
from cherenkov_mlops.reporting.ranking import Ranking
from cherenkov_mlops.reporting.relation import deviation_figures, pareto_figures
from cherenkov_mlops.reporting.sources import EMBEDDED_ID
from cherenkov_mlops.reporting.svg import VARIABLES, page_color, symbol_html
from cherenkov_mlops.reporting.views import (
    RunView,
    TaskView,
    gaps_of,
    page_title,
    run_views,
    task_views,
)
from cherenkov_mlops.results import LEVELS, Finding, Gap, Results, results_to_json
from cherenkov_mlops.tasks.base import Task

#: Sections of a task's results that are shown with the data.
_TESTED = ("test", "n_invalid", "test_digest", "predictions")
#: Line style of Matplotlib -> dashes of SVG, for the swatch beside a run's name.
_DASHES = {"-": "none", "--": "8 4", "-.": "10 3 3 3", ":": "3 3"}


@dataclass(frozen=True)
class TaskSection:
    """What a page says about one task.

    Parameters
    ----------
    task : Task
        Which.
    views : list of TaskView
        The runs that have it.
    prefix : str
        Put before the ids of its parts; empty on a page about one task.
    ranking : Ranking or None
        Ranks of the runs.
    source : str
        Name of the run whose model predicted it, if that is not the run itself.
    """

    task: Task
    views: list[TaskView]
    prefix: str
    ranking: Ranking | None
    source: str
    cards: list[dict[str, Any]]
    notices: list[tuple[str, Finding]]
    tables: dict[str, Any]
    metric_rows: list[dict[str, Any]]
    figures: list[Block]
    deviations: list[Block]
    pareto: list[Block]
    examples: list[dict[str, Any]]

    def gaps_of(self, *sections: str) -> list[tuple[str, Gap]]:
        """Label of the run and gap, for all gaps in these sections of the task's results."""
        return gaps_of(self.views, *(f"tasks.{self.task.name}.{name}" for name in sections))


def render_report(run: Results, *, strict: bool = False) -> str:
    """Make the HTML page about one run, with its results inside.

    Raises
    ------
    UserError
        Something is lost of the results, and the page is to be ``strict``.
    """
    return render_page(run_views([run]), embedded=results_to_json(run), strict=strict)


def render_page(
    views: Sequence[RunView],
    *,
    embedded: dict[str, Any],
    rankings: Mapping[str, Ranking] | None = None,
    baseline: int | None = None,
    strict: bool = False,
) -> str:
    """Make the HTML page about one run or several, that needs no other file.

    Parameters
    ----------
    views : sequence of RunView
        One run makes a report, several make a comparison.
    embedded : dict
        Content of the page's JSON element.
    rankings : mapping of str to Ranking, optional
        Ranks of the runs of each task; without them values stand side by side.
    baseline : int, optional
        Place of the run to which the others are related.
    strict : bool
        Whether to refuse runs of whose results something is lost.

    Raises
    ------
    UserError
        Something is lost, and the page is to be strict.
    """
    if strict:
        for view in views:
            refuse_gaps(view.gaps, view.label)
    single = len(views) == 1
    reference = None if baseline is None else views[baseline]
    training = training_blocks(views)
    by_task = task_views(views)
    kinds = [own[0].task.kind for own in by_task.values()]
    parts = [
        _task_section(
            own,
            f"{name}_" if len(by_task) > 1 else "",
            # Figures of one name are told apart where tasks share them.
            f"{name}_" if kinds.count(own[0].task.kind) > 1 else "",
            (rankings or {}).get(name),
            reference,
            single,
        )
        for name, own in by_task.items()
    ]
    if strict:
        # That columns do not fit each other is seen when they are drawn.
        for view in views:
            blocks = [*training, *(block for part in parts for block in part.figures)]
            drawn = [gap for block in blocks for label, gap in block.gaps if label == view.label]
            refuse_gaps(drawn, view.label)
    # Those of the only task stand with those of the run, and tasks that are lost as a whole, too.
    notices = sections.collect_notices(views, lambda view: run_notices(view.results))
    all_notices = _worst_first([*(item for part in parts for item in part.notices), *notices])
    data_gaps = [
        *gaps_of(views, "data"),
        *(gap for part in parts for gap in part.gaps_of(*_TESTED)),
    ]
    lost = [
        (view.label, gap)
        for view in views
        for gap in view.gaps
        if gap.path[0] == "tasks" and len(gap.path) == 2
    ]
    page = {
        "title": page_title(views),
        "created": max(view.run.created for view in views),
        "runs": views,
        "single": single,
        "baseline": reference.label if reference else None,
        "palette": list(zip(PALETTE, DARK_PALETTE, strict=True)),
        "embedded": embed_json(embedded),
        "colors": embed_json({name: color for color, name in VARIABLES.items()}),
        "embedded_id": EMBEDDED_ID if single else "comparison",
        "gaps_of": partial(gaps_of, views),
        "notices": all_notices if len(parts) == 1 else notices,
        "lost_tasks": lost,
        "data_gaps": data_gaps,
        "all_notices": all_notices,
        "parts": parts,
        "training": training,
        "data": data_section(views),
        "spectra": spectra_block(views) if single else None,
        "costs": sections.cost_rows(views),
        "config": sections.config_section(views),
        "provenance": sections.provenance_section(views),
    }
    return page_environment().get_template("page.html.j2").render(page)


def _worst_first(notices: list[tuple[str, Finding]]) -> list[tuple[str, Finding]]:
    return sorted(notices, key=lambda item: LEVELS.index(item[1].level))


def _task_section(
    views: list[TaskView],
    prefix: str,
    figure_prefix: str,
    ranking: Ranking | None,
    reference: RunView | None,
    single: bool,
) -> TaskSection:
    task = views[0].task
    baseline = next((v for v in views if reference and v.label == reference.label), None)
    related = deviation_figures(views, baseline) if baseline else []
    pareto = pareto_figures(views) if len(views) > 1 else []
    return TaskSection(
        task=task,
        views=views,
        prefix=prefix,
        ranking=ranking,
        source=views[0].part.source if single else "",
        cards=sections.key_cards(views),
        notices=sections.collect_notices(views, lambda v: task_notices(v.results, task.name)),
        tables=sections.metric_tables(views, ranking, baseline),
        metric_rows=sections.metric_rows(views[0]) if single else [],
        figures=task_blocks(views, baseline=baseline, prefix=figure_prefix),
        deviations=[make_block(_named(entry, figure_prefix), drawn) for entry, drawn in related],
        pareto=[make_block(_named(entry, prefix), drawn) for entry, drawn in pareto],
        examples=example_groups(views[0], prefix) if single else [],
    )


def _named(entry: FigureEntry, prefix: str) -> FigureEntry:
    return replace(entry, name=f"{prefix}{entry.name}")


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
