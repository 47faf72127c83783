"""The images that tacit trains on: where they come from, and how samples and batches are drawn from them."""
