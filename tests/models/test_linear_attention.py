"""Attention of linear cost: what it equals, what it must not see, and what it costs."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from support.pictures import samples, synthetic
from support.tiny_models import LINEAR, LONG, TINY, TINY_TACO, linear_config, tiny_model, tiny_taco, write_weights
from tacit import weights
from tacit.codec import Codec
from tacit.models.attention import CrossAttention, Extractor, Injector
from tacit.models.linear_attention import NEVER, PixelProjection, WordProjection, cells
from tacit.models.tacit_s import TacitSModel
from tacit.models.tacit_s_config import TacitSConfig
from tacit.models.taco import TacoConfig, TacoModel
from tacit.text.tokens import TextTokens

WIDTH, TEXT, SLOTS = 16, 8, 6


def caption(words: int, seed: int = 0) -> TextTokens:
    """One caption of so many words, of different weights."""
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(1, words, TEXT, generator=generator)
    mask = torch.ones(1, words, dtype=torch.bool)
    return TextTokens(embeddings, mask, 1 + torch.rand(1, words, generator=generator) / 2)


def picture(height: int = 5, width: int = 4, seed: int = 1) -> Tensor:
    return torch.randn(1, WIDTH, height, width, generator=torch.Generator().manual_seed(seed))


def both(kind: type[Any], *, slots: int = SLOTS, learned: float = 0.0, **options: Any) -> tuple[Any, Any]:
    """The same layer with full and with linear attention, whose projection has learned so much."""
    torch.manual_seed(3)
    full, linear = kind(WIDTH, TEXT, 2, **options), kind(WIDTH, TEXT, 2, slots=slots, **options)
    if kind is Injector:
        nn.init.normal_(full.gamma)
    missing, unexpected = linear.load_state_dict(full.state_dict(), strict=False)
    assert missing == ["projection.table"]
    assert not unexpected
    nn.init.normal_(linear.projection.table, std=learned)
    return full.requires_grad_(False), linear


def values(out: Tensor | TextTokens) -> Tensor:
    return out if isinstance(out, Tensor) else out.embeddings


def made_linear(model: Any) -> Any:
    """The tiny model with linear attention and a projection that has learned something."""
    torch.manual_seed(4)
    linear = type(model)(linear_config(model.config))
    linear.load_state_dict(model.state_dict(), strict=False)
    for name, parameter in linear.named_parameters():
        if name.endswith("projection.table"):
            nn.init.normal_(parameter)
    return linear.eval()


@pytest.mark.parametrize("gradients", [True, False])
@pytest.mark.parametrize("words", [1, 2, SLOTS])
def test_captions_of_at_most_k_words_are_attended_to_in_full(words: int, gradients: bool) -> None:
    full, linear = both(Injector, learned=1.0)
    with torch.set_grad_enabled(gradients):
        a, b = (layer(picture(), caption(words)) for layer in (full, linear))
    assert torch.allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("gradients", [True, False])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (1, 5)])
def test_pictures_of_at_most_k_pixels_are_attended_to_in_full(size: tuple[int, int], gradients: bool) -> None:
    full, linear = both(Extractor, learned=1.0)
    with torch.set_grad_enabled(gradients):
        a, b = (values(layer(picture(*size), caption(9))) for layer in (full, linear))
    assert torch.allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("words", [SLOTS + 1, 25, 400])
def test_equal_words_count_as_in_full_attention(words: int) -> None:
    """But for the first, all words are one, of different weights: a slot then stands for what it holds."""
    full, linear = both(Injector, learned=1.0)
    tokens = caption(words)
    embeddings = torch.cat([tokens.embeddings[:, :1], tokens.embeddings[:, 1:2].expand(-1, words - 1, -1)], dim=1)
    tokens = TextTokens(embeddings, tokens.mask, tokens.weights)
    a, b = (layer(picture(), tokens) for layer in (full, linear))
    assert torch.allclose(a, b, atol=1e-5)
    c = linear(picture(), TextTokens(embeddings, tokens.mask, torch.ones_like(tokens.weights)))
    assert not torch.allclose(b, c, atol=1e-4)


def test_equal_pixels_count_as_in_full_attention() -> None:
    full, linear = both(Extractor, learned=1.0)
    flat = picture(1, 1).expand(-1, -1, 13, 9)
    a, b = (values(layer(flat, caption(5))) for layer in (full, linear))
    assert torch.allclose(a, b, atol=1e-5)


def test_with_more_slots_linear_comes_nearer_to_full() -> None:
    """Words and pixels that change slowly, as neighbours in a picture do."""
    steps = torch.linspace(0, 3, 64)
    tokens = caption(64)
    moving = tokens.embeddings[:, :1] + steps.sin()[:, None] * tokens.embeddings[:, 1:2]
    tokens = TextTokens(moving, tokens.mask, tokens.weights)
    waves = picture(1, 1) + torch.outer(steps[:40], steps[:50]).sin()
    for kind in (Injector, Extractor):
        errors = []
        for slots in (4, 16, 49):
            full, linear = both(kind, slots=slots)
            with torch.no_grad():
                a, b = (values(layer(waves, tokens)) for layer in (full, linear))
            errors.append(float((a - b).norm()))
        assert errors[0] > 2 * errors[1] > 4 * errors[2]


def test_the_first_word_keeps_its_slot() -> None:
    _, linear = both(Injector, learned=1.0)
    words, bias = torch.randn(1, 50, WIDTH), torch.zeros(1, 50)
    slots, _ = linear.projection(words, bias)
    assert torch.allclose(slots[:, 0], words[:, 0])
    moved, _ = linear.projection(torch.cat([words[:, :1] + 1, words[:, 1:]], dim=1), bias)
    assert torch.equal(moved[:, 1:], slots[:, 1:])


@settings(deadline=None, max_examples=60)
@given(words=st.integers(1, 40), before=st.integers(0, 3), after=st.integers(0, 30), gradients=st.booleans())
def test_padding_never_changes_the_result(words: int, before: int, after: int, gradients: bool) -> None:
    _, linear = both(Injector, learned=1.0)
    tokens = caption(words)

    def padded(t: Tensor, value: float) -> Tensor:
        left, right = (t.new_full((1, count, *t.shape[2:]), value) for count in (before, after))
        return torch.cat([left, t, right], dim=1)

    more = TextTokens(padded(tokens.embeddings, 7.0), padded(tokens.mask, False), padded(tokens.weights, 3.0))
    with torch.set_grad_enabled(gradients):
        a, b = (linear(picture(), t) for t in (tokens, more))
    assert torch.allclose(a, b, atol=1e-5)


def test_captions_of_all_lengths_share_a_batch() -> None:
    _, linear = both(Injector, learned=1.0)
    captions = [caption(n, seed=n) for n in (1, 3, SLOTS, SLOTS + 1, 40)]
    together = linear(picture().expand(5, -1, -1, -1), TextTokens.stack(captions))
    for i, one in enumerate(captions):
        assert torch.allclose(together[i : i + 1], linear(picture(), one), atol=1e-5)


def test_a_row_without_a_word_spoils_nothing() -> None:
    _, linear = both(Injector)
    tokens = TextTokens.stack([caption(9), TextTokens.empty(1, TEXT)])
    out = linear(picture().expand(2, -1, -1, -1), tokens)
    assert torch.allclose(out[:1], linear(picture(), caption(9)), atol=1e-5)
    assert out.isfinite().all()
    out.square().sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in linear.parameters())


def test_words_of_published_weights_are_all_real() -> None:
    full, linear = both(Injector, published=True)
    hidden = dataclasses.replace(caption(30), mask=torch.zeros(1, 30, dtype=torch.bool))
    assert torch.equal(linear(picture(), caption(30)), linear(picture(), hidden))
    assert torch.allclose(full(picture(), caption(5)), linear(picture(), caption(5)), atol=1e-6)


def test_a_words_weight_acts() -> None:
    """Heavier, a word takes over; without weight it is not there; and weights count against each other alone."""
    full, linear = both(Injector, learned=1.0)
    tokens = caption(40)

    def weighed(weight: float) -> TextTokens:
        changed = tokens.weights.clone()
        changed[0, 17] = weight
        return TextTokens(tokens.embeddings, tokens.mask, changed)

    alone = full(picture(), TextTokens(*(t[:, 17:18] for t in (tokens.embeddings, tokens.mask, tokens.weights))))
    distances = [float((linear(picture(), weighed(w)) - alone).detach().norm()) for w in (1.0, 1.5, 30.0, 1e6, 1e12)]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 1e-3 < 0.1 < distances[0]
    keep = [i for i in range(40) if i != 17]
    without = TextTokens(*(t[:, keep] for t in (tokens.embeddings, tokens.mask, tokens.weights)))
    assert torch.allclose(linear(picture(), weighed(0.0)), linear(picture(), without), atol=1e-5)
    doubled = TextTokens(tokens.embeddings, tokens.mask, 2 * tokens.weights)
    assert torch.allclose(linear(picture(), doubled), linear(picture(), tokens), atol=1e-5)


@pytest.mark.parametrize("words", [SLOTS + 1, 77, 1000, 30_000])
def test_all_words_are_shared_out_at_every_length(words: int) -> None:
    projection = WordProjection(SLOTS).requires_grad_(False)
    slots, bias = projection(torch.ones(1, words, WIDTH), None)
    assert slots.shape == (1, SLOTS, WIDTH)
    assert torch.allclose(slots, torch.ones_like(slots), atol=1e-4)  # means
    held = bias.exp() / bias.exp().sum() * words
    assert float(held[0, 0]) == pytest.approx(1, rel=1e-3)
    even = (words - 1) / (SLOTS - 1)
    assert torch.all((held[0, 1:] > 0.8 * even) & (held[0, 1:] < 1.2 * even))


@pytest.mark.parametrize("size", [(3, 3), (1, 500), (300, 2), (37, 91), (256, 256)])
@pytest.mark.parametrize("slots", [2, 6, 7, 32])
def test_all_pixels_are_shared_out_at_every_size(size: tuple[int, int], slots: int) -> None:
    projection = PixelProjection(slots).requires_grad_(False)
    means, bias = projection(torch.ones(1, size[0] * size[1], WIDTH), *size)
    assert means.isfinite().all()
    assert bias is None or float(bias.max()) == 0
    if min(size) > slots:
        assert torch.allclose(means, torch.ones_like(means), atol=1e-4)
        held = bias.exp() / bias.exp().sum() * slots
        assert torch.all((held > 0.6) & (held < 1.4))


def test_a_projection_learned_at_one_length_serves_others() -> None:
    """Twice the words or pixels, each there twice, are the same sequence, more finely sampled."""
    torch.manual_seed(5)
    words, pixels = WordProjection(SLOTS), PixelProjection(SLOTS)
    for projection in (words, pixels):
        nn.init.normal_(projection.table)
        projection.requires_grad_(False)
    rows = torch.randn(1, 240, WIDTH).cumsum(dim=1) / 20
    twice = torch.cat([rows[:, :1], rows[:, 1:].repeat_interleave(2, dim=1)], dim=1)
    once, _ = words(rows, None)
    assert torch.allclose(once, words(twice, None)[0], atol=0.01 * float(once.std()))
    plane = torch.randn(1, WIDTH, 24, 30).cumsum(2).cumsum(3) / 20
    fine = plane.repeat_interleave(2, 2).repeat_interleave(2, 3)
    once, _ = pixels(plane.flatten(2).transpose(1, 2), 24, 30)
    again, _ = pixels(fine.flatten(2).transpose(1, 2), 48, 60)
    assert torch.allclose(once, again, atol=0.01 * float(once.std()))


@pytest.mark.parametrize("count", [1, 2, 3, 5, 32, 64, 77])
def test_cells_cover_the_square(count: int) -> None:
    centres = cells(count)
    assert centres.shape == (count, 2)
    assert len({tuple(c) for c in centres.tolist()}) == count
    grid = torch.cartesian_prod(torch.linspace(0, 1, 101), torch.linspace(0, 1, 101))
    assert float(torch.cdist(grid, centres).min(dim=1).values.max()) < 1.2 / math.sqrt(count)


def test_half_precision_is_near() -> None:
    _, linear = both(Injector, slots=64, learned=0.3)
    tokens, x = caption(500), picture()
    expected = linear(x, tokens)
    half = TextTokens(tokens.embeddings.bfloat16(), tokens.mask, tokens.weights.bfloat16())
    with torch.no_grad():
        found = linear.bfloat16()(x.bfloat16(), half).float()
    assert (found - expected).abs().max() < 0.02 * (expected - x).abs().max() + 0.02


def test_a_bias_that_learns_acts_as_one_that_does_not() -> None:
    """It takes another way, on which it has a gradient."""
    attention = CrossAttention(WIDTH, 2).double()
    queries, keys, bias = (torch.randn(2, *shape, dtype=torch.float64) for shape in ((9, WIDTH), (5, WIDTH), (5,)))
    bias[0, 2] = NEVER
    learning = bias.clone().requires_grad_()
    assert torch.allclose(attention(queries, keys, bias), attention(queries, keys, learning))
    assert torch.autograd.gradcheck(lambda b: attention(queries, keys, b), learning)


def test_results_do_not_vary() -> None:
    _, linear = both(Extractor, learned=1.0)
    first, second = (values(linear(picture(60, 70), caption(50))) for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("make", [tiny_model, tiny_taco], ids=["tacit-s", "taco"])
def test_gradients_reach_every_projection(make: Any) -> None:
    model = made_linear(make())
    x = samples(64, 2)
    tokens = TextTokens(torch.randn(2, 20, 256), torch.ones(2, 20, dtype=torch.bool), torch.ones(2, 20))
    model(x, tokens, torch.tensor([20.0, 80.0])).x_hat.square().sum().backward()
    tables = {n: p.grad for n, p in model.named_parameters() if n.endswith("projection.table")}
    assert len(tables) == 3
    for name, gradient in tables.items():
        assert gradient is not None, name
        assert gradient.isfinite().all(), name
        assert gradient.any(), name


def test_short_captions_leave_gradients_of_zero() -> None:
    """Not of None: processes that train together wait for each parameter's."""
    model = made_linear(tiny_model())
    model(samples(64, 1), TextTokens.empty(1, 256), torch.tensor([20.0])).x_hat.sum().backward()
    for name, parameter in model.analysis.named_parameters():
        if name.endswith("projection.table"):
            assert parameter.grad is not None, name
    assert not model.analysis.inject8.projection.table.grad.any()


def operations(slots: int, side: int, words: int) -> int:
    """Multiplications of the text layers at taco's widths for side x side pixels; counted, nothing is computed."""
    with FakeTensorMode(), torch.no_grad():
        extract, inject = Extractor(192, 512, 8, slots=slots), Injector(192, 512, 8, slots=slots)
        x = torch.empty(1, 192, side, side)
        tokens = TextTokens(torch.empty(1, words, 512), torch.ones(1, words, dtype=torch.bool), torch.ones(1, words))
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            inject(x, extract(x, tokens))
    return int(counter.get_total_flops())


def exponent(slots: int, points: list[tuple[int, int]]) -> float:
    """Of the operations, from the first to the last point, which are of sizes that double."""
    first, last = operations(slots, *points[0]), operations(slots, *points[-1])
    return math.log2(last / first) / (len(points) - 1)


def test_operations_grow_linearly_where_full_attentions_grow_quadratically() -> None:
    sides = [32, 45, 64, 91, 128, 181, 256, 362, 512]
    growing = [(side, 64 * 2**i) for i, side in enumerate(sides)]
    assert exponent(0, growing[-3:]) > 1.9
    assert exponent(64, growing) < 1.05
    for slots in (0, 64):  # alone, both are linear
        assert exponent(slots, [(side, 256) for side in sides]) < 1.05
        assert exponent(slots, [(64, words) for _, words in growing]) < 1.05
    assert operations(64, 512, 8192) < operations(0, 512, 8192) / 20


@pytest.mark.parametrize("config", [TacitSConfig, TacoConfig])
@pytest.mark.parametrize(
    "options", [{"attention": "sparse"}, {"linear_length": 1}, {"linear_length": 2.5}, {"linear_length": "many"}]
)
def test_what_is_no_attention(config: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        config(**options)


def test_full_attention_has_no_projection() -> None:
    for model in (TacitSModel(TINY), TacoModel(TINY_TACO)):
        assert not [name for name in model.state_dict() if "projection" in name]


@pytest.mark.parametrize("make", [tiny_model, tiny_taco], ids=["tacit-s", "taco"])
def test_linear_attention_concerns_the_encoder_alone(make: Any, tmp_path: Path) -> None:
    """Its weights encode, with and without a caption, in tiles too, and the weights of full attention decode that."""
    from tacit.training.freezing import freeze_model

    model = make()
    entropy = freeze_model(model, samples().mul(255).byte())
    hashes = {
        name: weights.save(tmp_path / f"{name}.safetensors", one, entropy, {})
        for name, one in (("full", model), ("linear", made_linear(model)))
    }
    assert hashes["full"] == hashes["linear"]
    full, linear = (Codec(tmp_path / f"{name}.safetensors", engine="torch", precision="fp32") for name in hashes)
    image = Image.fromarray(synthetic(1040, 40))
    files = {text: linear.encode(image, text, 50) for text in (None, "a boat", LONG)}
    assert len(set(files.values())) == 3
    for text, data in files.items():
        assert full.decode(data).tobytes() == linear.decode(data).tobytes()
        assert linear.encode(image, text, 50) == data
    assert full.encode(image, LONG, 50) != files[LONG]


def test_weights_files_from_before_have_full_attention(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new = write_weights(tmp_path / "new.safetensors", tiny_model())

    def as_before(self: TacitSConfig) -> dict[str, Any]:
        return {k: v for k, v in dataclasses.asdict(self).items() if k not in LINEAR}

    monkeypatch.setattr(TacitSConfig, "as_dict", as_before)
    old = write_weights(tmp_path / "old.safetensors", tiny_model())
    assert b"linear_length" in new.read_bytes()
    assert b"linear_length" not in old.read_bytes()
    assert weights.describe(old).decode_hash == weights.describe(new).decode_hash
    assert weights.load(old).config == TINY
