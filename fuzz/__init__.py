"""Fuzzing with atheris: programs that feed damaged and invented files to what reads untrusted input.

`python -m fuzz container` runs one. See README.md in this folder.
"""
