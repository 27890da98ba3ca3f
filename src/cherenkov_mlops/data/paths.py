"""Where things stand in the HDF5 files of ctapipe's data model, versions 6 and 7."""

INSTRUMENT = "/configuration/instrument"
LAYOUT = f"{INSTRUMENT}/subarray/layout"
#: Settings of the simulated runs.
RUNS = "/configuration/simulation/run"
OBSERVATIONS = "/configuration/observation/observation_block"
#: Groups with a table for each telescope.
POINTINGS = "/configuration/telescope/pointing"
IMAGES = "/dl1/event/telescope/images"
PARAMETERS = "/dl1/event/telescope/parameters"
WAVEFORMS = "/r1/event/telescope"
#: Tables with a row for each event of the array.
TRIGGERS = "/dl1/event/subarray/trigger"
TELESCOPE_TRIGGERS = "/dl1/event/telescope/trigger"
SHOWERS = "/simulation/event/subarray/shower"

EVENT_KEYS = ("obs_id", "event_id")
IMAGE_KEYS = (*EVENT_KEYS, "tel_id")


def telescope_node(group: str, tel_id: int) -> str:
    """Path of the table of a telescope below ``group``."""
    return f"{group}/tel_{tel_id:03d}"
