"""How fast and how realistic ``simulate`` is.

Usage: python benchmarks/simulation.py [N_IMAGES]

The comparison with CORSIKA and sim_telarray needs ``CHERENKOV_MLOPS_REAL_DATA``. A line
``RESULT images_per_s=... clock_images_per_s=...`` has the rates of the slower particle.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import tables

from cherenkov_mlops.commands.simulate import run
from cherenkov_mlops.simulation.instrument import read_subarray
from cherenkov_mlops.simulation.options import SimulationOptions
from cherenkov_mlops.simulation.validation import (
    broken_share,
    medians_by_intensity,
    parameters_in_file,
    simulate_again,
    simulate_images,
)

#: Cleaning of the reference tables' era: 7 and 5 p.e., two neighbours.
REFERENCE_CLEANING = {"picture_threshold_pe": 7.0, "min_picture_neighbors": 2}
FIRST_NECTARCAM = 5


def main() -> None:
    """Print speed and, with real data, the comparison; the last line is the result."""
    n_images = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    if "CHERENKOV_MLOPS_REAL_DATA" in os.environ:
        folder = Path(os.environ["CHERENKOV_MLOPS_REAL_DATA"])
        compare_gammas(folder)
        compare_particles(folder)
    measure_speed(n_images)


def measure_speed(n_images: int) -> None:
    """Print images a second for each particle, the start included; the last line is the least."""
    rates = {}
    with tempfile.TemporaryDirectory() as folder:
        for particle in ("gamma", "proton"):
            clock, processor = time.perf_counter(), time.process_time()
            path = run(
                Path(folder) / f"{particle}.h5",
                particle=particle,
                n_images=n_images,
                viewcone_deg=3.0,
            )
            clock, processor = time.perf_counter() - clock, time.process_time() - processor
            rates[particle] = (n_images / processor, n_images / clock)
            print(
                f"{particle}: {n_images} images, {path.stat().st_size / 1e6:.1f} MB, "
                f"{rates[particle][0]:.0f} images/s of processor time, "
                f"{rates[particle][1]:.0f} by the clock"
            )
    processor, clock = (min(rate[i] for rate in rates.values()) for i in (0, 1))
    print(f"RESULT images_per_s={processor:.0f} clock_images_per_s={clock:.0f}")


def compare_gammas(folder: Path) -> None:
    """Print medians of the real SST-1M gammas and of the same showers simulated here."""
    path = folder / "dl1" / "gamma_sst1m_prod4.dl1.h5"
    real, ours = parameters_in_file(path), simulate_again(path, repeats=20)
    table = medians_by_intensity(real).add_suffix("_real")
    table = table.join(medians_by_intensity(ours).add_suffix("_ours"))
    for name in ("length", "width"):
        table[f"{name}_ratio"] = table[f"{name}_ours"] / table[f"{name}_real"]
    print("SST-1M gammas by intensity [p.e.], medians [deg]")
    print(table.round(3).to_string(), end="\n\n")


def compare_particles(folder: Path) -> None:
    """Print widths and islands of gammas and protons, here and in the reference tables."""
    rows = {}
    for name, table in (("reference", reference_images(folder)), ("ours", mst_images(folder))):
        bright = {k: images[images["intensity"] > 50] for k, images in table.items()}
        for particle, images in bright.items():
            rows[name, particle] = {
                "n": len(images),
                "width": images["width"].median(),
                "length": images["length"].median(),
                "broken": broken_share(images),
            }
    found = pd.DataFrame(rows).T
    print("Medium-size telescopes, images above 50 p.e. (reference: m in the camera; ours: deg)")
    print(found.round(4).to_string())
    for name in ("width", "broken"):
        ratios = {
            k: found.loc[k, "proton"][name] / found.loc[k, "gamma"][name]
            for k in ("reference", "ours")
        }
        print(f"proton over gamma, {name}: " + ", ".join(f"{k} {v:.2f}" for k, v in ratios.items()))
    print()


def reference_images(folder: Path) -> dict[str, pd.DataFrame]:
    """Parameters of the NectarCam images of the reference tables."""
    columns = {
        "intensity": "hillas_intensity",
        "width": "hillas_width",
        "length": "hillas_length",
        "n_islands": "morphology_num_islands",
    }
    found = {}
    for particle, name in (("gamma", "cta_gammas_diffuse"), ("proton", "cta_protons")):
        with tables.open_file(folder / "reference" / f"{name}.dl1.h5") as file:
            nodes = file.list_nodes("/dl1/event/telescope/parameters")
            nodes = [node for node in nodes if int(node.name[-3:]) >= FIRST_NECTARCAM]
            found[particle] = pd.concat(
                pd.DataFrame({k: node.col(c) for k, c in columns.items()}) for node in nodes
            )
    return found


def mst_images(folder: Path) -> dict[str, pd.DataFrame]:
    """Parameters of simulated images in six telescopes of the same size."""
    array = read_subarray(folder / "dl1" / "gamma_mst_flashcam.dl1.h5")
    kind = next(kind for kind in array.telescope_types if "FlashCam" in str(kind))
    array = array.select_subarray(list(array.get_tel_ids_for_type(kind))[:6])
    return {
        particle: simulate_images(
            SimulationOptions(
                particle=particle,
                n_showers=8000,
                energy_min_tev=energy,
                energy_max_tev=300,
                viewcone_deg=8,
                scatter_radius_m=1500,
            ),
            array,
            REFERENCE_CLEANING,
        )
        for particle, energy in (("gamma", 0.1), ("proton", 0.15))
    }


if __name__ == "__main__":
    main()
