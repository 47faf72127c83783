"""Running a model's graphs with ONNX Runtime, on processors, without torch."""
