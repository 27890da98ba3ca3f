"""Files in and out: what DL1 files hold, the manifest, and event tables from DL2 files."""
