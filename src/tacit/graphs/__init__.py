"""The networks that run, as ONNX graphs: made when weights are saved, and stored with them.

A graph holds no weights. Its initializers are external: they have the names of the weights file's tensors, with the
types that they are stored in, and the graph itself makes of them what it computes with. So a tensor stands once, in the
weights file, whichever graphs use it. Sizes of images and batches are dynamic.

Making graphs takes the package `onnx`; running them takes none of this (`tacit.engine`).
"""
