"""`tacit caption`: have a model look at images and describe them."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import click

from tacit.batch import Record, WarningFilter
from tacit.cli.batch_report import BatchReport
from tacit.cli.console import print_message
from tacit.cli.group import command
from tacit.cli.options import json_option, quiet_option
from tacit.cli.parameters import NumberRange, TokenPrice
from tacit.codec.options import DEFAULT_FINDER
from tacit.errors import CaptionerUnusable, UnknownModel
from tacit.files import Task

if TYPE_CHECKING:
    from tacit.captions import Boxer

LONGEST_SHOWN = 60  # characters of a caption that are printed
ENDPOINT = "endpoint"  # the finder that asks for boxes together with the caption


@command.command(
    short_help="Have a model look at images and describe them.",
    epilog="""\b
Examples:
  tacit caption photos/ -o captions.jsonl --estimate    only show the cost
  tacit caption photos/ -o captions.jsonl               GPT-4o; the key is in OPENAI_API_KEY
  tacit caption shards/*.tar -o captions.jsonl --yes    the images in tar shards
  tacit caption photos/ --base-url http://localhost:8000/v1 -m my-model
  tacit caption photos/ --local -m Salesforce/blip-image-captioning-large
  tacit encode photos/ -o small/ --captions captions.jsonl
  tacit caption photos/ --boxes                         and where everything is
  tacit bulk photos/ small/ --captions captions.jsonl --boxes captions.jsonl
\b
Run an interrupted command again to go on from there: images that have a row in
the output are left out, and answers are kept in a cache.
""",
)
@click.argument("inputs", metavar="FILE|FOLDER|PATTERN|SHARD ...", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    metavar="PATH",
    default="captions.jsonl",
    show_default=True,
    help="JSONL file to write to; rows are added to a file that exists.",
)
@click.option("-f", "--force", is_flag=True, help="Start the output anew, without the rows that it has.")
@click.option(
    "-m",
    "--model",
    metavar="NAME",
    help="Model of the endpoint, or with --local a folder or a model of the Hugging Face hub.  [default: gpt-4o]",
)
@click.option("--local", is_flag=True, help="Run the model on this machine, with transformers, without an endpoint.")
@click.option(
    "--base-url",
    metavar="URL",
    help="Endpoint with OpenAI's protocol; the key is sent to it.  [default: $OPENAI_BASE_URL, else OpenAI]",
)
@click.option(
    "--prompt", metavar="FILE", help="File with the question to the model.  [default: the question in the package]"
)
@click.option(
    "--boxes",
    is_flag=True,
    help="Write where the things of each caption are, too, for --boxes of `tacit encode` and `tacit bulk`.",
)
@click.option(
    "--finder",
    metavar="NAME",
    help="With --boxes, what finds them; see docs/steering.md.  [default: endpoint, which is asked for them together "
    "with the caption; with --local, embedded]",
)
@click.option(
    "--image-size",
    metavar="N",
    type=click.IntRange(32, 8192),
    default=1024,
    show_default=True,
    help="Longer side, in pixels, to which larger images are reduced before they are sent.",
)
@click.option(
    "--max-tokens",
    metavar="N",
    type=click.IntRange(1, 16384),
    help="Largest length of an answer, in tokens.  [default: 300; 1500 where it has boxes]",
)
@click.option(
    "-j",
    "--jobs",
    metavar="N",
    type=click.IntRange(1, 256),
    default=4,
    show_default=True,
    help="Number of requests at a time.",
)
@click.option(
    "--rate",
    metavar="N",
    type=NumberRange(0, 100_000, min_open=True),
    default=120,
    show_default=True,
    help="Largest number of requests in a minute.",
)
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=NumberRange(0, 3600, min_open=True),
    default=60,
    show_default=True,
    help="Time that one request may take.",
)
@click.option(
    "--attempts",
    metavar="N",
    type=click.IntRange(1, 100),
    default=6,
    show_default=True,
    help="Largest number of requests for one image.",
)
@click.option("--cache", metavar="FOLDER", help="Folder that keeps answers.  [default: ~/.cache/tacit/captions]")
@click.option("--no-cache", is_flag=True, help="Neither use answers in the cache nor keep new ones.")
@click.option(
    "--price",
    type=TokenPrice(),
    help="Price of a million tokens in dollars, for the estimate: of the input and of the output, such as 2.50,10.",
)
@click.option(
    "--limit",
    metavar="DOLLARS",
    type=NumberRange(0),
    default=1,
    show_default=True,
    help="Estimated cost above which --yes is needed.",
)
@click.option("-y", "--yes", is_flag=True, help="Send the requests, whatever the estimate.")
@click.option("--estimate", "only_estimate", is_flag=True, help="Print the estimated cost and stop.")
@click.option(
    "--device",
    metavar="NAME",
    default="cpu",
    show_default=True,
    help="With --local, the device that the model runs on: cpu, cuda, cuda:1 and so on.",
)
@json_option
@quiet_option
def caption(
    inputs: tuple[str, ...],
    output: str,
    force: bool,
    model: str | None,
    local: bool,
    base_url: str | None,
    prompt: str | None,
    boxes: bool,
    finder: str | None,
    image_size: int,
    max_tokens: int | None,
    jobs: int,
    rate: float,
    timeout: float,
    attempts: int,
    cache: str | None,
    no_cache: bool,
    price: tuple[float, float] | None,
    limit: float,
    yes: bool,
    only_estimate: bool,
    device: str,
    as_json: bool,
    quiet: bool,
) -> int:
    """Have a model look at images and write captions of them.

    `tacit encode --captions`, training and evaluation read the output.
    """
    if local and (model is None or base_url is not None or price is not None):
        raise click.UsageError("--local needs --model, and must not be used together with --base-url or --price.")
    if finder is not None and not boxes:
        raise click.UsageError("--finder must be used together with --boxes.")
    finder = finder or (DEFAULT_FINDER if local else ENDPOINT)
    asked = boxes and finder.split(":")[0] == ENDPOINT  # for boxes, together with the caption
    model_name = model or "gpt-4o"
    if asked and (local or finder not in (ENDPOINT, f"{ENDPOINT}:{model_name}")):
        raise click.UsageError(f"--finder {finder} must be the endpoint and the --model that write the captions.")
    max_tokens = max_tokens or (1500 if asked else 300)

    from PIL import Image

    from tacit import captions
    from tacit.image import ConversionWarning

    question = captions.load_prompt(prompt)
    boxer: Boxer | None = None
    if boxes:
        from tacit.finding.boxers import AnswerBoxer

        boxer = AnswerBoxer() if asked else _finder_boxer(finder)
        question = AnswerBoxer.question(question) if asked else question
    options = captions.EndpointOptions(
        model=model_name,
        base_url=base_url or os.environ.get("OPENAI_BASE_URL") or captions.EndpointOptions.base_url,
        image_size=image_size,
        max_tokens=max_tokens,
        rate=rate,
        timeout=timeout,
        attempts=attempts,
    )
    captioner: captions.Captioner
    with contextlib.ExitStack() as stack:
        if model is not None and local:
            captioner = captions.LocalCaptioner(model, question, device=device, max_tokens=max_tokens)
        else:
            captioner = stack.enter_context(
                captions.EndpointCaptioner(question, options, say=None if quiet else print_message)
            )
        rows = stack.enter_context(captions.CaptionFile(output, overwrite=force))
        answers = None if no_cache else captions.AnswerCache(cache or captions.default_folder())
        captioning = captions.Captioning(captioner, rows, answers, boxer)

        images = {image.name: image for image in captions.find_images(inputs)}
        remaining = captioning.remaining_work(images.values())
        cost = captions.estimate(
            remaining.sizes,
            question,
            model=options.model,
            image_size=image_size,
            max_tokens=max_tokens,
            price=price and captions.Price(*price),
        )
        if not quiet or only_estimate:
            print_message(remaining)
            if not local and remaining.sizes:
                print_message(cost)
        if only_estimate:
            return 0
        if not local and not yes and cost.exceeds(limit):
            bound = f"{captions.UNPRICED} requests at an unknown price" if cost.dollars is None else f"${limit:g}"
            raise click.UsageError(f"This needs --yes, because it is more than {bound}: {cost}.")

        def work(task: Task) -> Record:
            return captioning(images[task.source])

        tasks = [Task(image.name, problem=image.problem) for image in images.values()]
        filters: list[WarningFilter] = [("ignore", ConversionWarning), ("ignore", Image.DecompressionBombWarning)]
        stack.enter_context(captioning.stopping_on_interrupt())
        report = BatchReport(tasks, _result_line, as_json=as_json, quiet=quiet, fatal=CaptionerUnusable)
        return report.run(work, jobs, filters)


def _finder_boxer(finder: str) -> Boxer:
    """Return what has a finder say where things are.

    Raises:
        click.UsageError: There is no such finder.
    """
    from tacit.finding import load_finder
    from tacit.finding.boxers import FinderBoxer

    try:
        return FinderBoxer(load_finder(finder))
    except UnknownModel as error:
        raise click.UsageError(str(error)) from error


def _result_line(record: Record) -> str:
    """Return the beginning of a caption, and where it comes from if that is the cache."""
    if record["caption"] is None:
        return "  has a caption"
    text = str(record["caption"])
    shortened = text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 3] + "..."
    number = record.get("boxes")
    boxes = "" if number is None else f", {number:,} box{'es' if number != 1 else ''}"
    return f"  {shortened}{' (from the cache)' if record['from'] == 'cache' else ''}{boxes}"
