"""Training: configurations, data, losses and runs, from the first step to a weights file."""
