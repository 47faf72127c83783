"""Callbacks: what happens around a training step."""
