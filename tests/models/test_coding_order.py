"""The coding order: what is coded when, from what, and that training, encoding and decoding walk the same one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from support.pictures import samples
from support.tiny_models import TINY, tiny_model, tiny_taco
from support.walks import entropy_of, record
from tacit.codec import Codec
from tacit.models.attention import to_rows
from tacit.models.coding_order import Step, checkerboard, walk
from tacit.text.tokens import TextTokens


class Spy:
    """Nets that pass on everything that they are given, so that what a step sees can be read off its parameters."""

    def __init__(self, groups: tuple[int, ...]) -> None:
        self.groups = groups
        spread = torch.nn.Conv2d(1, 1, 5, padding=2, bias=False)
        torch.nn.init.ones_(spread.weight)

        def context(x: Tensor) -> Tensor:  # the sum over 5x5 positions and all channels
            with torch.no_grad():
                total: Tensor = spread(x.sum(dim=1, keepdim=True).float())
                return total.double()

        def head(x: Tensor) -> Tensor:
            return x

        self.channel_context = [context] * (len(groups) - 1)
        self.local_context = [context] * len(groups)
        self.parameters_anchor = [head] * len(groups)
        self.parameters_other = [head] * len(groups)


def noise(step: Step, batch: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(1000 * step.group + 10 * step.anchor + seed)
    return torch.randint(-99, 100, (batch, len(step.positions), step.stop - step.start), generator=generator).double()


def test_anchors_are_where_row_and_column_add_up_to_an_odd_number() -> None:
    anchors, others = checkerboard(3, 4)
    assert anchors.tolist() == [1, 3, 4, 6, 9, 11]
    assert others.tolist() == [0, 2, 5, 7, 8, 10]
    anchors, others = checkerboard(1, 1)
    assert anchors.tolist() == []
    assert others.tolist() == [0]


@pytest.mark.parametrize("height", range(1, 7))
@pytest.mark.parametrize("width", range(1, 7))
def test_positions_of_every_size(height: int, width: int) -> None:
    odd = (torch.arange(height)[:, None] + torch.arange(width)) % 2 == 1
    anchors, others = checkerboard(height, width)
    assert torch.equal(anchors, odd.flatten().nonzero().flatten())
    assert torch.equal(others, (~odd).flatten().nonzero().flatten())


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch's, of its own doing
@pytest.mark.parametrize("make", [tiny_model, tiny_taco], ids=["tacit-s", "taco"])
def test_training_is_one_graph(make: Callable[[], Any]) -> None:
    """What `run.compile=true` compiles has no part whose shape follows from values. The compiler behind the graph needs
    C++ and a minute; it is torch's."""
    model = make().train()
    x, words, seeds = samples(64, 2), TextTokens.empty(2, model.config.text_width), torch.tensor([1, 2])

    def loss(network: Callable[..., Any]) -> Tensor:
        found = network(x, words, torch.tensor([10.0, 70.0]), seeds)
        return (found.y_bits + found.z_bits).mean() + found.x_hat.square().mean()  # type: ignore[no-any-return]

    torch.compiler.reset()
    with torch.no_grad():
        assert torch.equal(loss(torch.compile(model, backend="eager", fullgraph=True)), loss(model))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 3), st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_every_value_is_visited_once_and_put_in_its_place(
    height: int, width: int, batch: int, groups: list[int]
) -> None:
    latents = sum(groups)
    visits = torch.zeros(latents, height * width, dtype=torch.int64)
    # each value says where it belongs
    places = torch.arange(batch * latents * height * width).view(batch, latents, height, width)
    rows = to_rows(places)
    order = []

    def visit(step: Step, parameters: Tensor) -> Tensor:
        visits[step.start : step.stop, step.positions] += 1
        order.append((step.group, not step.anchor))
        return rows[:, step.positions, step.start : step.stop].double()

    found = walk(Spy(tuple(groups)), torch.zeros(batch, 2, height, width).double(), visit)
    assert (visits == 1).all()
    assert torch.equal(found.long(), places)
    assert order == [(g, other) for g in range(len(groups)) for other in (False, True)]


def test_what_a_step_sees() -> None:
    """In this order: the anchors around (others only), the earlier groups (from the second on), the hyper-features."""
    hyper = torch.arange(12).view(1, 1, 3, 4).double()
    anchors, others = checkerboard(3, 4)
    steps, seen = record(Spy((2, 1)), hyper, lambda n, step, p: torch.full((1, 6, step.stop - step.start), 10.0**n))
    inside = torch.tensor([[6, 8, 8, 6], [6, 8, 8, 6], [6, 8, 8, 6]])  # positions within 5x5: all rows, 3 or 4 columns
    assert [len(s.positions) for s in steps] == [6] * 4
    assert seen[0].tolist() == [[[float(a)] for a in anchors]]
    around = torch.nn.functional.conv2d(
        torch.tensor([(r + c) % 2 for r in range(3) for c in range(4)]).view(1, 1, 3, 4).float(),
        torch.ones(1, 1, 5, 5),
        padding=2,
    ).flatten()
    assert seen[1].tolist() == [[[2 * float(around[o]), float(o)] for o in others]]
    total = 2 * (around + 10 * (9 + 3 * (inside[0] > 6).repeat(3) - around))  # anchors hold 1, others 10
    assert seen[2].tolist() == [[[float(total[a]), float(a)] for a in anchors]]
    assert seen[3].tolist() == [[[100 * float(around[o]), float(total[o]), float(o)] for o in others]]


@pytest.mark.parametrize("name", ["tiny", "taco"])
def test_parameters_depend_on_nothing_that_is_decoded_later(name: str, codec: Codec, taco_codec: Codec) -> None:
    entropy = entropy_of({"tiny": codec, "taco": taco_codec}[name])
    generator = torch.Generator().manual_seed(0)
    layers: Any = entropy.hyper_synthesis.layers
    channels = layers[-1].weight.shape[-1]
    hyper = torch.randint(0, 2**12, (2, channels, 5, 6), generator=generator).double()
    steps, plain = record(entropy, hyper, lambda n, step, p: noise(step, 2))
    for changed in range(len(steps)):

        def other(n: int, step: Step, parameters: Tensor, changed: int = changed) -> Tensor:
            return noise(step, 2, seed=5 if n == changed else 0)

        _, seen = record(entropy, hyper, other)
        for n, (before, after) in enumerate(zip(plain, seen, strict=True)):
            if n <= changed:
                assert torch.equal(before, after), f"step {n} sees step {changed}"
            elif n == changed + 1:
                assert not torch.equal(before, after), f"step {n} does not see step {changed}"


def test_others_see_only_anchors_of_their_own_group(codec: Codec) -> None:
    """Within a step nothing sees its neighbours: one value changed changes no parameters of that step."""
    entropy = entropy_of(codec)
    hyper = torch.zeros(1, TINY.features, 4, 4, dtype=torch.float64)

    def one_more(n: int, step: Step, _: Tensor) -> Tensor:
        values = noise(step, 1)
        if n == 1:
            values[0, 3] += 40
        return values

    _, plain = record(entropy, hyper, lambda n, step, p: noise(step, 1))
    _, seen = record(entropy, hyper, one_more)
    assert torch.equal(plain[1], seen[1])
    assert not torch.equal(plain[2], seen[2])


def test_images_of_a_batch_do_not_see_each_other(codec: Codec) -> None:
    entropy = entropy_of(codec)
    generator = torch.Generator().manual_seed(0)
    hyper = torch.randint(0, 2**12, (2, TINY.features, 5, 6), generator=generator).double()
    other = hyper.clone()
    other[1] += 1000
    _, plain = record(entropy, hyper, lambda n, step, p: noise(step, 2))
    _, seen = record(entropy, other, lambda n, step, p: noise(step, 2))
    for before, after in zip(plain, seen, strict=True):
        assert torch.equal(before[0], after[0])
    assert any(not torch.equal(before[1], after[1]) for before, after in zip(plain, seen, strict=True))


def test_training_walks_the_same_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The float model's bits are those of its own parameters at the same steps as coding's."""
    import tacit.models.freezing
    import tacit.models.frozen
    import tacit.models.tacit_s

    walked: list[list[tuple[int, int, int, bool, int]]] = []

    def spy(nets: Any, hyper: Tensor, visit: Callable[[Step, Tensor], Tensor]) -> Tensor:
        steps: list[tuple[int, int, int, bool, int]] = []
        walked.append(steps)

        def noted(step: Step, parameters: Tensor) -> Tensor:
            steps.append((step.group, step.start, step.stop, step.anchor, len(step.positions)))
            return visit(step, parameters)

        return walk(nets, hyper, noted)

    monkeypatch.setattr(tacit.models.tacit_s, "walk", spy)
    monkeypatch.setattr(tacit.models.freezing, "walk", spy)
    monkeypatch.setattr(tacit.models.frozen, "walk", spy)
    model = tiny_model()
    x = samples(64, 1)
    tokens, quality = TextTokens.empty(1, 256), torch.tensor([50.0])
    with torch.no_grad():
        model(x, tokens, quality)
        y = model.analysis(x, tokens) * model.gain(quality)
        frozen = tacit.models.freezing.freeze_entropy(model, y, model.hyper_latents(y), quality)
        (stream,), _ = frozen.compress(y, model.hyper_latents(y), 5000)
        frozen.decompress([stream], 4, 4, 5000)
    assert len(walked) == 4  # training, freezing, encoding, decoding
    assert all(steps == walked[0] for steps in walked)
    assert len(walked[0]) == 2 * len(TINY.groups)
