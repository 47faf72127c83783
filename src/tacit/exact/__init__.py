"""Integer-exact evaluation of a network: the same integers on every machine.

A learned codec breaks when encoder and decoder disagree in the last bit of a probability. Here everything that the
entropy coder's state depends on is integer arithmetic, on integers *held in floating-point numbers*. As long as no
partial sum can reach the bound below which these hold every integer, every order of summation gives the same result,
whatever the thread count, batch size, memory layout, BLAS or device, with the ordinary fast kernels. The bound is
proven for each output channel when a network is frozen, and again when it is loaded.

There are two arithmetics. float32 (`SINGLE`, below 2^24) is fast on every processor, in browsers and on consumer GPUs.
There, each output channel's weights are as fine as its bound allows and are rounded together, each hidden channel has a
scale of its own, and what hardly ever occurs is clamped. float64 (`DOUBLE`, below 2^53) has room for 16-bit weights and
21-bit activations.

float32 has traps: TF32, autocast, products of bf16 factors, fast-math modes, convolutions that transform their input
(Winograd). Only matrix products, shifted multiply-adds and element-wise operations are used; and where a caller's
settings or a device shorten the factors of float32 products, the same integers are held in float64 instead.

Arithmetic of one layer: out = clamp(round_half_even(sum(weight * in) + bias) * 2^-shift), low, high), where weights are
int16, biases integers, and shift is per output channel.
"""
