"""Measuring codecs: what others make of an image, fidelity, and comparisons of rate-distortion curves."""
