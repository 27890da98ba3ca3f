"""The commands ``convert``, ``merge`` and ``slim``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cherenkov_mlops.cli.options import open_session

if TYPE_CHECKING:
    from cherenkov_mlops.conversion.converting import Converted

Folder = Annotated[
    Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the outputs.")
]
DL1Inputs = Annotated[
    list[str],
    typer.Argument(metavar="INPUT...", help="DL1 files, patterns, or folders of *.h5."),
]
Replace = Annotated[bool, typer.Option("--force", help="Make again what is there.")]


def convert(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Files, patterns, or folders of *.simtel.gz, *.simtel.zst, *.simtel.",
        ),
    ],
    output: Folder,
    jobs: Annotated[
        int | None, typer.Option(help="Files at a time [default: one a processor].")
    ] = None,
    images: Annotated[
        bool | None, typer.Option("--images/--no-images", help="DL1 images [default: yes].")
    ] = None,
    parameters: Annotated[
        bool | None,
        typer.Option("--parameters/--no-parameters", help="Image parameters [default: yes]."),
    ] = None,
    waveforms: Annotated[
        bool | None,
        typer.Option("--waveforms/--no-waveforms", help="R1 waveforms [default: no]."),
    ] = None,
    focal_length: Annotated[
        str | None,
        typer.Option(metavar="EFFECTIVE|EQUIVALENT", help="Which one [default: EFFECTIVE]."),
    ] = None,
    ctapipe_config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Options of ctapipe-process: YAML, TOML, JSON, Python."),
    ] = None,
    force: Replace = False,
) -> None:
    """Convert simulation files to DL1; what was interrupted goes on.

    Runs ctapipe-process, several files at a time. A file that fails does not stop the others; the
    exit code is 3 then.
    """
    with open_session("convert") as session:
        from cherenkov_mlops.commands import convert as command
        from cherenkov_mlops.console import show_table
        from cherenkov_mlops.conversion.converting import refuse_failures
        from cherenkov_mlops.conversion.options import ConvertOptions

        options = ConvertOptions(images, parameters, waveforms, focal_length, ctapipe_config)
        session.logs = output
        converted = command.run(inputs, output, options, jobs=jobs, force=force)
        columns = ("file", "events", "images", "seconds", "particles", "notes")
        show_table(columns, [[each.source.name, *_describe(each)] for each in converted])
        refuse_failures(converted, output / "convert.log")


def _describe(each: "Converted") -> list[str]:
    """Events, images a telescope type, seconds, particles, notes or the reason of a failure."""
    if each.reason:
        return ["", "", "", "", f"failed: {each.reason}"]
    facts = each.facts
    images = ", ".join(f"{number} {kind}" for kind, number in facts["images"].items())
    particles = ", ".join(facts["particles"])
    return [str(facts["events"]), images, f"{facts['seconds']:.1f}", particles] + [
        "; ".join(facts["notes"])
    ]


def merge(
    inputs: DL1Inputs,
    output: Folder,
    into: Annotated[int, typer.Option(metavar="N", help="Number of outputs.")] = 1,
    name: Annotated[str, typer.Option(help="Begin of the names of the outputs.")] = "merged",
    remove_inputs: Annotated[
        bool,
        typer.Option("--remove-inputs", help="Remove the inputs when all rows are in the outputs."),
    ] = False,
    force: Replace = False,
) -> None:
    """Merge DL1 files into a few of about the same number of images.

    Rows stay in the order of the inputs.
    """
    with open_session("merge"):
        from cherenkov_mlops.commands import merge as command

        command.run(inputs, output, into=into, name=name, remove_inputs=remove_inputs, force=force)


def slim(
    inputs: DL1Inputs,
    output: Folder,
    level: Annotated[int, typer.Option(help="Compression: 1, fast, to 9, small; 0 = none.")] = 5,
    codec: Annotated[str, typer.Option(help="zstd, lz4 or zlib.")] = "zstd",
    telescope_truth: Annotated[
        bool,
        typer.Option("--telescope-truth", help="Keep true images and impact distances too."),
    ] = False,
    force: Replace = False,
) -> None:
    """Copy DL1 files without waveforms, true images, monitoring and DL2.

    Keeps configuration, dl1, and the simulated showers with all that effective areas need.
    """
    with open_session("slim"):
        from cherenkov_mlops.commands import slim as command
        from cherenkov_mlops.conversion.slimming import SlimOptions

        options = SlimOptions(telescope_truth, codec, level)
        command.run(inputs, output, options, force=force)
