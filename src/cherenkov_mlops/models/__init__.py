"""What turns what is seen of an event into predictions: networks, exported forms, and others."""
