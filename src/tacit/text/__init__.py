"""Captions as token embeddings: the tokens that models see, and the encoders that make them."""
