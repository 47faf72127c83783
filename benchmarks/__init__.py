"""Measurements of speed, memory and rate, whose results are kept as JSON in results/."""
