"""The commands ``demo`` and ``simulate``."""

from pathlib import Path
from typing import Annotated

import typer

from cherenkov_mlops.cli.options import Force, Overwrite, open_session


def demo(
    folder: Annotated[
        Path, typer.Argument(metavar="[FOLDER]", help="Folder for data, runs and pages.")
    ] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Seed of the simulated showers.")] = 1,
    force: Force = False,
    data_only: Annotated[
        bool, typer.Option("--data-only", help="Simulate the files of the demo, train nothing.")
    ] = False,
) -> None:
    """Run everything on simulated showers, in minutes.

    Needs neither data nor a GPU.
    """
    with open_session("demo"):
        from cherenkov_mlops.commands import demo as command

        command.run(folder, seed=seed, force=force, data_only=data_only)


def simulate(
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="DL1 file to write, *.dl1.h5.")],
    particle: Annotated[
        str, typer.Option(help="gamma, proton, or nsb: windows without a shower.")
    ] = "gamma",
    n_showers: Annotated[int | None, typer.Option(help="Showers to throw.")] = None,
    n_images: Annotated[
        int | None, typer.Option(help="Stop after so many telescope images [default: 1000].")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed: equal options give equal files.")] = 1,
    energy_min_tev: Annotated[float, typer.Option(help="Lowest true energy, TeV.")] = 1.0,
    energy_max_tev: Annotated[float, typer.Option(help="Highest true energy, TeV.")] = 100.0,
    spectral_index: Annotated[float, typer.Option(help="Index of the power law dN/dE.")] = -2.0,
    viewcone_deg: Annotated[
        float, typer.Option(help="Radius of the cone of directions, deg; 0 = a point source.")
    ] = 0.0,
    offset_deg: Annotated[
        float, typer.Option(help="Distance of the point source from the pointing, deg.")
    ] = 0.0,
    zenith_deg: Annotated[float, typer.Option(help="Zenith angle of the pointing, deg.")] = 20.0,
    azimuth_deg: Annotated[
        float, typer.Option(help="Azimuth of the pointing, deg, from north over east.")
    ] = 0.0,
    scatter_radius_m: Annotated[
        float, typer.Option(help="Radius of the disk of shower cores, m.")
    ] = 400.0,
    subarray: Annotated[
        Path | None, typer.Option(help="HDF5 file with ctapipe's SubarrayDescription.")
    ] = None,
    obs_id: Annotated[int | None, typer.Option(help="Observation id.")] = None,
    true_images: Annotated[
        bool, typer.Option("--true-images", help="Write the photoelectrons before noise too.")
    ] = False,
    waveforms: Annotated[
        bool, typer.Option("--waveforms", help="Simulate and write R1 waveforms too.")
    ] = False,
    force: Overwrite = False,
) -> None:
    """Simulate showers into a DL1 file.

    The array is the SST-1M pair, or the one of --subarray.
    """
    options = dict(locals())
    with open_session("simulate"):
        from cherenkov_mlops.commands import simulate as command

        command.run(**options)
