"""Measuring codecs: metrics of decoded images, rate-distortion curves and their differences, reports."""
