"""The one place that knows how versions of CTLearn and dl1_data_handler differ."""

from dl1_data_handler.reader import DLDataReader


def bridge_reader_names(reader_class: type = DLDataReader) -> None:
    """Give ``reader_class`` both names of the method that counts its examples.

    dl1_data_handler 0.14.11 renamed ``_get_n_events`` (which CTLearn 0.10.4 calls) to
    ``get_n_events``; with either version both names work afterwards.
    """
    for known, missing in (("_get_n_events", "get_n_events"), ("get_n_events", "_get_n_events")):
        if hasattr(reader_class, known) and not hasattr(reader_class, missing):
            setattr(reader_class, missing, getattr(reader_class, known))


bridge_reader_names()
