"""One look for all figures: colours that the colour-blind tell apart, with lines and markers."""

from matplotlib.colors import LinearSegmentedColormap

#: Colours of runs (and of classes), after Okabe & Ito (2008), darkened for white paper.
PALETTE = ("#0a6cb0", "#c94f0c", "#07805f", "#a8488b", "#a87200", "#3d8fc4")
#: Their counterparts on a dark page.
DARK_PALETTE = ("#62b3ee", "#ff9552", "#3fcf9f", "#e596c8", "#efb941", "#9fd3f5")
#: Text and axes; a colour that nothing else has, so that a page can replace it.
INK = "#333a46"
#: Grid lines and guides.
FAINT = "#c9ced8"

LINE_STYLES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

SHARES = LinearSegmentedColormap.from_list(
    "shares", ["#eef4fa", "#a9cde8", "#4b94c8", "#0a5c9c", "#062f57"]
)

#: Settings of Matplotlib under which all figures are made.
RC_PARAMS = {
    "axes.axisbelow": True,
    "axes.edgecolor": FAINT,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 10.5,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlesize": 10.5,
    "figure.facecolor": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.8,
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "svg.hashsalt": "cherenkov-mlops",
    "text.color": INK,
    "xtick.color": INK,
    "xtick.labelsize": 9.5,
    "ytick.color": INK,
    "ytick.labelsize": 9.5,
}


def run_style(index: int) -> dict[str, str]:
    """Colour, line style and marker of the run at this place on the page."""
    return {
        "color": PALETTE[index % len(PALETTE)],
        "linestyle": LINE_STYLES[index % len(LINE_STYLES)],
        "marker": MARKERS[index % len(MARKERS)],
    }
