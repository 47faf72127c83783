"""The images that tacit itself trains on: their sources, and how samples and batches are drawn from them."""
