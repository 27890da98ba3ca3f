"""What is odd about the files of a run: those it trains on, and those it is tested on."""

from dataclasses import replace

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.comparability import class_findings, training_findings
from cherenkov_mlops.data.findings import (
    Finding,
    balance_findings,
    describe_classes,
    file_findings,
    particle_findings,
)
from cherenkov_mlops.data.inputs import Inputs
from cherenkov_mlops.data.manifest import Manifest
from cherenkov_mlops.data.overlap import overlap_findings


def with_findings(config: RunConfig, manifest: Manifest) -> Manifest:
    """The manifest with its classes, and with all that is odd about its files."""
    classes = describe_classes(config, manifest.inputs)
    findings = [
        *find_in_training_files(config, manifest.inputs),
        *balance_findings(classes, manifest.counts.sets["training"]),
    ]
    return replace(manifest, classes=classes, findings=findings)


def find_in_training_files(config: RunConfig, inputs: Inputs) -> list[Finding]:
    """What is odd about training files, before any event is chosen."""
    classes = describe_classes(config, inputs)
    return [
        *overlap_findings(config, inputs),
        *class_findings(classes),
        *particle_findings(classes),
        *file_findings(config, inputs),
    ]


def find_in_test_files(config: RunConfig, training: Inputs, testing: Inputs) -> list[Finding]:
    """What is odd about test files, most of all where they differ from those trained on."""
    tested = describe_classes(config, testing)
    return [
        *training_findings(describe_classes(config, training), tested),
        *file_findings(config, testing),
    ]
