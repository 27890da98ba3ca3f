"""CTLearn's tools, patched by subclassing: the only folder that imports TensorFlow and CTLearn."""
