"""Integer-exact evaluation of a network: the same integers on every machine.

A learned codec breaks when encoder and decoder disagree in the last bit of a probability. Here everything that the
entropy coder's state depends on is integer arithmetic, on integers *held in float64*. As long as no partial sum can
reach 2^53, every order of summation gives the same result, whatever the thread count, batch size, memory layout, BLAS
or device, with the ordinary fast kernels. The bound is proven for each output channel when a network is frozen.

Why float64, not float32 (2^24): a product of float64 matrices costs twice as much, but leaves room for 16-bit weights
and 21-bit activations, so that freezing loses nothing that can be measured in bytes; and the traps of float32 (TF32,
autocast, reduced-precision matrix products, oneDNN's fast-math mode, Winograd) do not exist there. What is left is
excluded by construction: only matrix products, shifted multiply-adds and element-wise operations are used.

Arithmetic of one layer: out = clamp(round_half_even(sum(weight * in) + bias) * 2^-shift), low, high), where weights are
int16, biases integers, and shift is per output channel.
"""
