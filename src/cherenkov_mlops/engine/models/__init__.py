"""One file a model family, and the template to start a model of one's own from."""
