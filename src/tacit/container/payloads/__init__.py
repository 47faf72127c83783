"""The payloads of chunks: for each kind a module that encodes a value and decodes and checks what a file holds.

What breaks a rule is a `FileError` without the chunk's name, which whoever reads or writes the chunk puts in front.
"""
