"""Reading events and images: from open files, or from the pixel cache, whole batches at a time."""
