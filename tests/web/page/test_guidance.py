"""The caption, the weights of its words, and the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.page import (
    Visit,
    encode_requests,
    expect,
    file_size,
    open_page,
    wait_until_settled,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow]


TINY = {"name": "tiny", "variable_rate": True, "steers": True}
ABOUT = {"samples": [], "captioner": "gpt-4o", "kept": 60, "body_limit": 1000, "models": [TINY]}


def test_a_caption_is_written_and_weighed_where_the_service_can(visit: Visit, image_file: Path) -> None:
    written = "a grey heron in the Camargue"
    weights = [("a", 1.0, "function word"), ("heron", 1.4, "rare"), ("Camargue", 1.5, "name (GPE)")]
    words = [{"text": t, "start": 0, "end": 1, "weight": w, "reason": r} for t, w, r in weights]
    page = open_page(
        visit,
        image_file,
        answers={
            "/preview": ABOUT,
            "/v1/caption": {"caption": written, "model": "gpt-4o"},
            "/preview/words": {"words": words, "names": "rules"},
        },
    )
    assert page.locator("#samples").is_hidden()
    with page.expect_request(lambda r: r.url.endswith("/encode") and r.post_data_json["caption"] == written):
        page.get_by_role("button", name="Write a caption").click()
    expect(page.locator("#caption")).to_have_value(written)
    expect(page.locator("#words li")).to_have_text(["a", "heron1.40", "Camargue1.50"])
    expect(page.locator("#words li").last).to_have_attribute("title", "1.50: name (GPE)")
    page.locator("#caption").fill("")
    expect(page.locator("#words")).to_be_hidden()


def test_without_a_captioner_none_is_offered(visit: Visit, image_file: Path) -> None:
    page = open_page(visit, image_file)
    assert page.get_by_role("button", name="Write a caption").is_hidden()


def test_words_may_count_by_what_they_weigh(visit: Visit, image_file: Path) -> None:
    page = open_page(visit, image_file)
    expect(page.locator("#words-note")).to_contain_text("Names are found by ")
    with page.expect_request(lambda r: r.url.endswith("/encode") and r.post_data_json["word_weights"]):
        page.get_by_label("Use these weights").check()
    wait_until_settled(page)
    expect(page.get_by_role("alert")).to_be_hidden()


def test_a_model_is_chosen_and_what_it_can_be_asked_is_shown(
    visit: Visit, image_file: Path, app: Any, tiny_taco_fixed_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TACIT_WEIGHTS", str(tiny_taco_fixed_weights.parent))
    page = open_page(visit, image_file)
    note, model = page.locator("#caption-note"), page.get_by_label("Model")
    names = [about.name for about in app.state.service.models().values()]
    assert model.locator("option").all_inner_texts() == names
    assert names[:2] == ["tiny", "tacit-s"]
    expect(note).to_contain_text("at a higher quality")
    tiny = file_size(page)
    model.select_option("tacit-s")
    expect(page.locator("#f-bytes")).not_to_have_attribute("title", f"{tiny:,} bytes")
    wait_until_settled(page)
    model.select_option("tiny-taco-fixed")
    expect(page.locator("#announcement")).to_contain_text("tiny-taco-fixed: ")
    wait_until_settled(page)
    expect(note).to_have_text("The caption guides the encoder. Decoding does not need it.")
    for control in ("#rate", "#steer-part", "#named"):
        expect(page.locator(control)).to_be_hidden()
    page.locator("#curve-run").click()
    expect(page.locator("#curve tbody tr")).to_have_count(19)
    expect(page.locator("#curve tbody tr").first).to_contain_text("fixed")


def test_an_effort_looks_for_a_better_file_when_the_controls_rest(visit: Visit, image_file: Path) -> None:
    page = open_page(visit, image_file)
    plain, bodies = file_size(page), encode_requests(page)
    page.locator("#effort").press("ArrowRight")
    expect(page.locator("#announcement")).to_contain_text("Quality 50: ")
    expect(page.locator("#f-bytes")).not_to_have_attribute("title", f"{plain:,} bytes")
    wait_until_settled(page)
    assert [body.get("effort") for body in bodies] == [None, 1]
    expect(page.locator("#download")).to_be_enabled()
    assert page.locator("#download").get_attribute("data-bytes") == str(file_size(page))
    page.locator("#effort").press("Home")
    expect(page.locator("#f-bytes")).to_have_attribute("title", f"{plain:,} bytes")


def test_a_service_without_effort_offers_none(visit: Visit, image_file: Path) -> None:
    page = open_page(visit, image_file, answers={"/preview": {**ABOUT, "effort_limit": 0}})
    expect(page.locator("#effort-part")).to_be_hidden()
