"""Entropy coding: integer probability tables, and symbols to bytes and back with them."""
