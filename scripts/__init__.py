"""Scripts that make parts of this repository: weights, tables, conformance vectors and generated documents."""
