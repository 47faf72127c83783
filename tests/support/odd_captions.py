"""Captions that are hard on tokenizers, by what is odd about them."""

from __future__ import annotations

ODD = {
    "emoji": "🐶 a dog 👩‍👩‍👧 and 🇫🇷 flags",
    "scripts": "犬 собака كلب สุนัข dog",
    "accents": "un café naïf à Zürich, cafe\u0301",
    "control": "\x00\x01a\x1bdog\u200b\ufeff\x7f",
    "surrogate": "\ud800dog\udfff",
    "one long word": "a" * 100_000,
    "punctuation": "!?.,;:-\u2013\u2014()[]{}<>/\\|@#$%^&*_+=~`\"'",
    "special": "[CLS] a [SEP] b [UNK] [PAD] <|endoftext|> <|startoftext|>",
    "bidi": "\u202edog\u202c",
}
