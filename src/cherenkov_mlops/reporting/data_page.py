"""The page about the files that a run trains on, drawn from ``prepare/data.json``."""

from collections.abc import Sequence
from typing import Any

from cherenkov_mlops.figures.data_set import DATA_FIGURES
from cherenkov_mlops.figures.style import DARK_PALETTE, PALETTE, run_style
from cherenkov_mlops.reporting.data_section import data_section
from cherenkov_mlops.reporting.figure_blocks import Block, make_block
from cherenkov_mlops.reporting.html import embed_json, page_environment
from cherenkov_mlops.reporting.images import draw_camera
from cherenkov_mlops.reporting.svg import VARIABLES, figure_svg
from cherenkov_mlops.reporting.tables import MISSING, format_number
from cherenkov_mlops.reporting.views import RunView
from cherenkov_mlops.results import Results, plain_values
from cherenkov_mlops.tasks import TASKS

_SETS = {"training": "train", "validation": "validation"}
_MEGABYTE = 1e6
_DIGEST_DIGITS = 8
_IMAGE_DPI = 120


def render_data_page(description: dict[str, Any]) -> str:
    """HTML page about the training files, that needs no other file.

    Parameters
    ----------
    description : dict
        Content of ``prepare/data.json``.
    """
    view = _view(description)
    (item,) = data_section([view])
    page = {
        "view": view,
        "item": item,
        "created": view.run.created,
        "tasks": ", ".join(TASKS[name].title for name in description["run"]["tasks"]),
        "camera": description["camera"],
        "unit": "image" if view.run.mode == "mono" else "shower",
        "cards": _cards(description),
        "n_of": {
            level: sum(finding["level"] == level for finding in description["findings"])
            for level in ("failure", "warning", "hint")
        },
        "files": [_file_row(description, file) for file in description["files"]],
        "n_hidden_files": description["n_files"] - len(description["files"]),
        "kept": _what_is_kept(description),
        "blocks": _blocks(view, description["figures"]),
        "groups": _image_groups(description),
        "palette": list(zip(PALETTE, DARK_PALETTE, strict=True)),
        "colors": embed_json({name: color for color, name in VARIABLES.items()}),
    }
    return page_environment().get_template("data.html.j2").render(page)


def _view(description: dict[str, Any]) -> RunView:
    """The run as the parts of a report expect it."""
    counts = description["counts"]
    data = {
        "cuts": counts["cuts"],
        "simulation": description["classes"],
        "findings": description["findings"],
    }
    data |= {_SETS[name]: numbers for name, numbers in counts["sets"].items()}
    run = description["run"]
    info = {"tasks": []} | run
    results = Results.model_validate(plain_values({"run": info, "data": data}))
    return RunView(run["name"], run_style(0), results)


def _cards(description: dict[str, Any]) -> list[dict[str, str]]:
    """Numbers at the top of the page: files, and events of each class."""
    size = sum(file["size"] for file in description["files"]) / _MEGABYTE
    listed = len(description["files"])
    more = "" if listed == description["n_files"] else f" ({listed} of them)"
    files = {
        "name": "Files",
        "value": format_number(description["n_files"]),
        "below": f"{size:,.0f} MB{more}",
    }
    classes = [
        {
            "name": f"Events of {each['name']}",
            "value": format_number(each["n_showers"]),
            "below": ", ".join(each["particles"]) or MISSING,
        }
        for each in description["classes"]
    ]
    return [files, *classes]


def _file_row(description: dict[str, Any], file: dict[str, Any]) -> dict[str, Any]:
    names = [each["label"] for each in description["classes"]]
    low, high = file["energy_range_tev"]
    pointings = [f"{zenith:g}, {azimuth:g}" for zenith, azimuth in file["pointings"]]
    return {
        "name": str(file["path"]).rpartition("/")[2],
        "path": str(file["path"]),
        "place": names.index(file["label"]),
        "class": description["run"]["classes"][file["label"]],
        "numbers": [file[key] for key in ("n_showers", "n_images", "n_passing")],
        "energies": f"{low:.3g} to {high:.3g}" if high else MISSING,
        "pointing": pointings[0] if len(pointings) == 1 else f"{len(pointings)} different",
        "megabytes": file["size"] / _MEGABYTE,
        "digest": file["sha256"][:_DIGEST_DIGITS],
    }


def _what_is_kept(description: dict[str, Any]) -> str:
    """What an event needs to be left by the cuts, in words."""
    cuts = [f"{name} ({expression})" for name, expression in description["cuts"]]
    n_telescopes = description["min_telescopes"]
    images = "1 image passes" if n_telescopes == 1 else f"{n_telescopes} images pass"
    return f"at least {images} the cuts {', '.join(cuts) or '(none)'}"


def _blocks(view: RunView, figures: dict[str, Any]) -> list[Block]:
    return [
        make_block(entry, [(view, figures[entry.name])])
        for entry in DATA_FIGURES
        if figures.get(entry.name)
    ]


def _image_groups(description: dict[str, Any]) -> list[dict[str, Any]]:
    """Camera images of each class, from faint to bright."""
    cameras, events = (description["examples"][name] for name in ("cameras", "events"))
    return [
        {
            "name": each["name"],
            "examples": [
                _example(each["name"], number, event, cameras[event["camera"]])
                for number, event in enumerate(events)
                if event["label"] == each["label"]
            ],
        }
        for each in description["classes"]
        if any(event["label"] == each["label"] for event in events)
    ]


def _example(name: str, number: int, event: dict[str, Any], camera: dict[str, Any]) -> Any:
    facts = _facts(event)
    spoken = "; ".join(f"{key}: {value}" for key, value in facts)
    alt_text = f"Camera image of a {event['kind']} {name} event. {spoken}."
    page = draw_camera(camera, event)
    return {
        "title": f"{name}, {event['kind']}",
        "svg": figure_svg(page, f"image-{number}", alt_text, dpi=_IMAGE_DPI),
        "facts": facts,
    }


def _facts(event: dict[str, Any]) -> Sequence[tuple[str, str]]:
    facts = [
        (
            "Intensity",
            f"{format_number(event['intensity'], 3)} p.e." if event["intensity"] else MISSING,
        ),
        ("Run, event", f"{event['obs_id']}, {event['event_id']}"),
        ("Telescope", str(event["tel_id"])),
    ]
    if event["true_energy"] is None:
        return facts
    return [("True energy", f"{format_number(event['true_energy'], 3)} TeV"), *facts]
