"""A second decoder for the tests, written from docs/format.md: from a region's bytes to its latents, and to pixels.

It uses Python and NumPy only, no torch and no library of range coders. It computes with integers up to the latents, and
with floating-point numbers of 64 bits from there, in the simplest loops that do it. It shares nothing with the package
but the format, and must stay so: that is what makes agreement with it a proof.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

WORD = 2**32
TOTAL_BITS = 24
ESCAPE_VALUES = [2**13] * 2048


# -- range coder ------------------------------------------------------------------------------------------------------


class RangeEncoder:
    """A range encoder that narrows an interval of integers of any size, so that carries need no thought."""

    def __init__(self) -> None:
        self.low, self.range, self.shifts = 0, 2**64 - 1, 0

    def encode(self, symbol: int, frequencies: Sequence[int]) -> None:
        """Code the entry number `symbol` of a table."""
        scale = self.range >> TOTAL_BITS
        self.low += scale * sum(int(f) for f in frequencies[:symbol])
        self.range = scale * int(frequencies[symbol])
        if self.range < WORD:
            self.low, self.range, self.shifts = self.low * WORD, self.range * WORD, self.shifts + 1

    def finish(self) -> bytes:
        """Return the bytes of all that was coded."""
        if self.range == 2**64 - 1:
            return b""
        point = -(-self.low // WORD)
        words = [point // WORD**i % WORD for i in reversed(range(self.shifts + 1))]
        if (self.low + self.range) // WORD == point:
            words.append(0)
        return struct.pack(f"<{len(words)}I", *words)


class RangeDecoder:
    """A range decoder that holds the distance of the coded point from the interval's lower end."""

    def __init__(self, data: bytes, cut: bool = False) -> None:
        self.words = list(struct.unpack(f"<{len(data) // 4}I", data[: len(data) // 4 * 4]))
        self.cut = cut  # whether only the beginning of the bytes is there
        self.ended = False
        self.range = 2**64 - 1
        self.next = 0
        self.offset = self._word() * WORD
        self.offset += self._word()

    def _word(self) -> int:
        self.next += 1
        return self.words[self.next - 1] if self.next <= len(self.words) else 0

    def decode(self, frequencies: Sequence[int]) -> int | None:
        """Return the number of the next entry of a table, or None if the bytes for it are missing."""
        self.ended |= self.cut and self.next > len(self.words)
        if self.ended:
            return None
        scale = self.range >> TOTAL_BITS
        quantile = self.offset // scale
        if quantile >= 2**TOTAL_BITS:
            self.ended = True
            if self.cut:
                return None
            raise ValueError("an encoder must have written the words, got others")
        symbol = below = 0
        while below + int(frequencies[symbol]) <= quantile:
            below += int(frequencies[symbol])
            symbol += 1
        self.offset -= scale * below
        self.range = scale * int(frequencies[symbol])
        if self.range < WORD:
            self.range *= WORD
            self.offset = self.offset * WORD + self._word()
        return symbol

    def at_end(self) -> bool:
        """Return whether everything has been decoded and nothing is left over."""
        return self.next >= len(self.words) and (self.range == 2**64 - 1 or self.offset < 2 * WORD - 1)


Table = tuple[int, Sequence[int]]  # the lowest symbol, and the frequencies with the escape's at the end


def coding_order(indices: Sequence[int], falling: bool) -> list[int]:
    """Return the order in which symbols are coded that have these tables."""
    return sorted(range(len(indices)), key=lambda i: -indices[i] if falling else indices[i])  # Python's sort is stable


def encode_batch(
    encoder: RangeEncoder,
    tables: Sequence[Table],
    indices: Sequence[int],
    symbols: Sequence[int],
    falling: bool = False,
) -> None:
    """Code a batch: for each of `symbols` the number of its table is in `indices`."""
    order = coding_order(indices, falling)
    escapes = []
    for i in order:
        low, frequencies = tables[indices[i]]
        code = symbols[i] - low
        if not 0 <= code < len(frequencies) - 1:
            code = len(frequencies) - 1
            escapes.append(symbols[i])
        encoder.encode(code, frequencies)
    for symbol in escapes:
        encoder.encode(symbol + 1024, ESCAPE_VALUES)


def decode_batch(
    decoder: RangeDecoder, tables: Sequence[Table], indices: Sequence[int], falling: bool = False
) -> list[int]:
    """Return the symbols of a batch, the numbers of whose tables are in `indices`; 0 for those that are missing."""
    symbols = [0] * len(indices)
    escaped = []
    for i in coding_order(indices, falling):
        low, frequencies = tables[indices[i]]
        code = decoder.decode(frequencies)
        if code is None:
            break
        if code == len(frequencies) - 1:
            escaped.append(i)
        else:
            symbols[i] = low + code
    for i in escaped:
        value = decoder.decode(ESCAPE_VALUES)
        decoder.ended |= value == 0
        if decoder.ended:
            break
        assert value is not None
        symbols[i] = value - 1024
    return symbols


# -- integer networks -------------------------------------------------------------------------------------------------


def requantise(total: np.ndarray, shift: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return clamp(round(total / 2^shift)), with halves rounded to even, for totals [..., C] int64."""
    divisor = np.int64(1) << shift.astype(np.int64)
    quotient, rest = total // divisor, total % divisor
    up = (2 * rest > divisor) | ((2 * rest == divisor) & (quotient % 2 == 1))
    result: np.ndarray = np.clip(quotient + up, low, high)
    return result


def layer(spec: dict[str, Any], tensors: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """Return the result of one layer for x [h, w, I] int64."""
    weight, bias = tensors["weight"].astype(np.int64), tensors["bias"].astype(np.int64)
    height, width, _ = x.shape
    kind, k, p = spec["kind"], spec["kernel"], spec["padding"]
    if kind == "point":
        total = np.einsum("hwi,io->hwo", x, weight) + bias
    elif kind in ("depthwise", "dense"):
        total = np.tile(bias, (height, width, 1))
        for row in range(height):
            for column in range(width):
                for tap in range(k * k):
                    r, c = row + tap // k - p, column + tap % k - p
                    if 0 <= r < height and 0 <= c < width:
                        w = weight[tap]
                        total[row, column] += x[r, c] * w if kind == "depthwise" else x[r, c] @ w
    elif kind == "transposed":
        total = np.tile(bias, (2 * height, 2 * width, 1))
        for row in range(2 * height):
            for column in range(2 * width):
                for tap in range(k * k):
                    r, c = row + p - tap // k, column + p - tap % k
                    if r % 2 == c % 2 == 0 and 0 <= r < 2 * height and 0 <= c < 2 * width:
                        total[row, column] += x[r // 2, c // 2] @ weight[tap]
    else:
        raise ValueError(kind)
    return requantise(total, tensors["shift"], tensors["low"], tensors["high"])


def shuffle(x: np.ndarray) -> np.ndarray:
    """Return out with out[2 r + i, 2 c + j, n] = x[r, c, 4 n + 2 i + j]."""
    height, width, channels = x.shape
    out = np.empty((2 * height, 2 * width, channels // 4), dtype=x.dtype)
    for i in range(2):
        for j in range(2):
            out[i::2, j::2] = x[:, :, 2 * i + j :: 4]
    return out


def chain(specs: Sequence[dict[str, Any]], tensors: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """Return the result of a network for x [h, w, I] int64.

    The keys of `tensors` are `index.name`, where the index counts the layers that are not shuffles, and `limits`.
    """
    if "limits" in tensors:
        x = np.clip(x, -tensors["limits"].astype(np.int64), tensors["limits"].astype(np.int64))
    index = 0
    for spec in specs:
        if spec["kind"] == "shuffle":
            x = shuffle(x)
        else:
            x = layer(spec, {n: tensors[f"{index}.{n}"] for n in ("weight", "bias", "shift", "low", "high")}, x)
            index += 1
    return x


# -- a weights file and a region --------------------------------------------------------------------------------------

DTYPES = {"F16": "<f2", "F32": "<f4", "I8": "<i1", "I16": "<i2", "I32": "<i4", "I64": "<i8", "U8": "|u1"}


class Weights:
    """A weights file: its metadata, its tensors, and the entropy model in them."""

    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        (length,) = struct.unpack_from("<Q", data)
        header = json.loads(data[8 : 8 + length])
        self.about = json.loads(header.pop("__metadata__")["tacit"])
        self.tensors = {}
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            flat = np.frombuffer(data[8 + length + begin : 8 + length + end], DTYPES[entry["dtype"]])
            self.tensors[name] = flat.reshape(entry["shape"])
        self.shapes = self.about["entropy"]

    def tables(self, name: str) -> list[Table]:
        """Return the tables of y or z."""
        frequencies, sizes, lows = (
            self.tensors[f"entropy.tables.{name}.{f}"] for f in ("frequencies", "sizes", "lows")
        )
        ends = np.cumsum(sizes)
        return [
            (int(low), frequencies[end - size : end].tolist()) for low, size, end in zip(lows, sizes, ends, strict=True)
        ]

    def run(self, name: str, x: np.ndarray) -> np.ndarray:
        """Return the result of the integer network of this name for x [h, w, I] int64."""
        prefix = f"entropy.{name}."
        tensors = {k.removeprefix(prefix): v for k, v in self.tensors.items() if k.startswith(prefix)}
        return chain(self.shapes["chains"][name], tensors, x)


def latents(
    weights: Weights,
    data: bytes,
    height: int,
    width: int,
    quality: int,
    falling: bool = False,
    cut: bool = False,
) -> np.ndarray:
    """Decode a region.

    Args:
        weights: The weights.
        data: The region's bytes.
        height: Rows of latents.
        width: Columns of latents.
        quality: The quality in hundredths; 0 for a fixed rate.
        falling: Whether the file is progressive.
        cut: Whether only the beginning of the bytes is there.

    Returns:
        y in sixteenths of a step, [M, height, width] int16.
    """
    decoder = RangeDecoder(data, cut)
    rows, columns = -(-height // 4), -(-width // 4)
    z_tables, y_tables = weights.tables("z"), weights.tables("y")
    indices = [channel for channel in range(len(z_tables)) for _ in range(rows * columns)]
    z = np.array(decode_batch(decoder, z_tables, indices, falling), dtype=np.int64).reshape(-1, rows, columns)
    z = z.transpose(1, 2, 0)
    if weights.shapes.get("bits", 53) == 53:
        z = z * 256 + weights.tensors["entropy.medians"].astype(np.int64)
    if weights.shapes["plane"]:
        z = np.concatenate([z, np.full((rows, columns, 1), quality - 5000)], axis=2)
    hyper = weights.run("hyper_synthesis", z)[:height, :width]

    thresholds = weights.tensors.get("entropy.thresholds")
    y = np.zeros((height, width, 0), dtype=np.int64)
    for group, channels in enumerate(weights.shapes["groups"]):
        known = [hyper]
        if group:
            known.insert(0, weights.run(f"channel_context.{group - 1}", y))
        values = np.zeros((height, width, channels), dtype=np.int64)
        for kind in ("anchor", "other"):
            if kind == "other":
                known.insert(0, weights.run(f"local_context.{group}", values))
            parity = 1 if kind == "anchor" else 0
            places = [(r, c) for r in range(height) for c in range(width) if (r + c) % 2 == parity]
            if not places:
                continue
            features = np.concatenate([np.stack([k[r, c] for r, c in places]) for k in known], axis=1)
            parameters = weights.run(f"parameters_{kind}.{group}", features[None])[0]
            scales, means = parameters[:, :channels], parameters[:, channels:]
            if thresholds is not None:
                scales = (scales[:, :, None] > thresholds).sum(axis=2)
            coded = scales >= weights.shapes["skip"]
            symbols = np.zeros_like(means)
            symbols[coded] = decode_batch(decoder, y_tables, scales[coded].tolist(), falling)
            for (r, c), value in zip(places, symbols * 16 + means, strict=True):
                values[r, c] = value
        y = np.concatenate([y, values], axis=2)
    if not (cut or decoder.at_end()):
        raise ValueError("a region must end with its last symbol, got more bytes")
    return y.transpose(2, 0, 1).astype(np.int16)


# -- synthesis --------------------------------------------------------------------------------------------------------


def interpolate(table: np.ndarray, quality: float) -> np.ndarray:
    """Return the row of a table [K, C] at a quality of 0 to 100."""
    t = quality * (len(table) - 1) / 100
    j = min(int(t), len(table) - 2)
    row: np.ndarray = (j + 1 - t) * table[j] + (t - j) * table[j + 1]
    return row


def spread(x: np.ndarray, factor: int) -> np.ndarray:
    """Return out with out[f r + a, f c + b, n] = x[r, c, f f n + f a + b]."""
    height, width, channels = x.shape
    out = np.empty((factor * height, factor * width, channels // factor**2))
    for a in range(factor):
        for b in range(factor):
            out[a::factor, b::factor] = x[:, :, factor * a + b :: factor**2]
    return out


class Synthesis:
    """The synthesis of both architectures: from latents to pixels."""

    def __init__(self, weights: Weights) -> None:
        self.about = weights.about
        self.tensors = {k: v.astype(np.float64) for k, v in weights.tensors.items() if not k.startswith("entropy.")}

    def convolve(self, name: str, x: np.ndarray) -> np.ndarray:
        """Return the convolution of this name of x [h, w, I], of the same size."""
        weight, bias = self.tensors[f"synthesis.{name}.weight"], self.tensors[f"synthesis.{name}.bias"]
        height, width, inputs = x.shape
        k = weight.shape[2]
        padded = np.pad(x, ((k // 2, k // 2), (k // 2, k // 2), (0, 0)))
        out = np.tile(bias, (height, width, 1))
        for a in range(k):
            for b in range(k):
                seen = padded[a : a + height, b : b + width]
                alone = weight.shape[1] == 1 < inputs
                out += seen * weight[:, 0, a, b] if alone else seen @ weight[:, :, a, b].T
        return out

    def up(self, name: str, x: np.ndarray) -> np.ndarray:
        """Return the transposed convolution of this name of x [h, w, I], of twice the size."""
        weight, bias = self.tensors[f"synthesis.{name}.weight"], self.tensors[f"synthesis.{name}.bias"]
        height, width, _ = x.shape
        wide = np.zeros((2 * height + 5, 2 * width + 5, len(bias)))
        for a in range(5):
            for b in range(5):
                wide[a : a + 2 * height : 2, b : b + 2 * width : 2] += x @ weight[:, :, a, b]
        out: np.ndarray = wide[2 : 2 + 2 * height, 2 : 2 + 2 * width] + bias
        return out

    def affine(self, name: str, x: np.ndarray, quality: float) -> np.ndarray:
        """Return x shifted and scaled for a quality of 0 to 100."""
        shift, scale = (interpolate(self.tensors[f"synthesis.{name}.{n}"], quality) for n in ("shift", "scale"))
        out: np.ndarray = x + shift + scale * x
        return out

    def block(self, name: str, x: np.ndarray) -> np.ndarray:
        """Return the result of one block of tacit-s."""
        inner = self.convolve(f"{name}.mix_in", x)
        inner = self.convolve(f"{name}.depthwise", np.where(inner > 0, inner, 0.1 * inner))
        x = x + self.convolve(f"{name}.mix_out", inner)
        value, gate = np.split(self.convolve(f"{name}.gate_in", x), 2, axis=2)
        out: np.ndarray = x + self.convolve(f"{name}.gate_out", value / (1 + np.exp(-gate)))
        return out

    def branch(self, name: str, x: np.ndarray) -> np.ndarray:
        """Return the branch of a bottleneck or a unit of taco."""
        for i in (0, 2, 4):
            x = self.convolve(f"{name}.{i}", np.maximum(x, 0) if i else x)
        return x

    def attention(self, name: str, x: np.ndarray) -> np.ndarray:
        """Return the result of an attention layer of taco."""
        parts = []
        for part in ("conv_a", "conv_b"):
            inner = x
            for i in range(3):
                inner = np.maximum(inner + self.branch(f"{name}.{part}.{i}.conv", inner), 0)
            parts.append(inner)
        out: np.ndarray = x + parts[0] / (1 + np.exp(-self.convolve(f"{name}.conv_b.3", parts[1])))
        return out

    def blocks(self, name: str, x: np.ndarray) -> np.ndarray:
        """Return the result of all blocks of this name in turn."""
        i = 0
        while f"synthesis.{name}.{i}.mix_in.weight" in self.tensors:
            x = self.block(f"{name}.{i}", x)
            i += 1
        return x

    def pixels(self, y: np.ndarray, quality: float | None, width: int, height: int, color: bool) -> np.ndarray:
        """Return the pixels of the whole image, [height, width, 3 or 1] uint8.

        Args:
            y: The latents of the whole image in sixteenths of a step, [M, h, w].
            quality: 0 to 100, or None for a fixed rate.
            width: Columns of pixels.
            height: Rows of pixels.
            color: Whether the image is RGB; if not it is greyscale.
        """
        x = y.transpose(1, 2, 0) / 16
        if quality is not None:
            x = x * np.exp(interpolate(self.tensors["inverse_gain.log_gain"], quality))
        if self.about["architecture"] == "tacit-s":
            assert quality is not None
            x = self.blocks("blocks16", self.affine("affine16", x, quality))
            x = spread(self.convolve("project", x), 2)
            x = self.blocks("blocks8", self.affine("affine8", x, quality))
            x = (spread(x, 8) + 1) / 2
        else:
            for i, kind in enumerate("aubbbuabbbubbbu"):
                name = f"layers.{i}"
                if kind == "b":
                    x = x + self.branch(f"{name}.branch", x)
                else:
                    x = self.up(name, x) if kind == "u" else self.attention(name, x)
        x = np.clip(x[:height, :width], 0, 1)
        if not color:
            x = x.mean(axis=2, keepdims=True)
        return np.rint(255 * x).astype(np.uint8)
