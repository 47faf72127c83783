"""`tacit caption`: have a model look at images and describe them."""

from __future__ import annotations

import contextlib
import os

import click

from tacit.batch import Filter, Record
from tacit.cli.group import command
from tacit.cli.options import Number, Price, report_options
from tacit.cli.report import Report
from tacit.errors import CaptionerUnusable
from tacit.files import Task


@command.command(
    short_help="Have a model look at images and describe them.",
    epilog="""\b
Examples:
  tacit caption photos/ -o captions.jsonl --estimate    what it would cost
  tacit caption photos/ -o captions.jsonl               GPT-4o; the key is in OPENAI_API_KEY
  tacit caption shards/*.tar -o captions.jsonl --yes    the images in tar shards
  tacit caption photos/ --base-url http://localhost:8000/v1 -m my-model
  tacit caption photos/ --local -m Salesforce/blip-image-captioning-large
  tacit encode photos/ -o small/ --captions captions.jsonl
\b
An interrupted run goes on where it was: pictures that have a row in the output
are left alone, and answers are kept in a cache.
""",
)
@click.argument("inputs", metavar="FILE|FOLDER|PATTERN|SHARD ...", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    metavar="PATH",
    default="captions.jsonl",
    show_default=True,
    help="A JSONL file; rows are added to one that exists.",
)
@click.option("-f", "--force", is_flag=True, help="Write the output anew, without the rows it has.")
@click.option(
    "-m",
    "--model",
    metavar="NAME",
    help="The endpoint's model, or with --local a folder or hub name.  [default: gpt-4o]",
)
@click.option("--local", is_flag=True, help="Run the model here, with transformers, instead of asking an endpoint.")
@click.option(
    "--base-url",
    metavar="URL",
    help="An endpoint that speaks OpenAI's protocol. It gets the key.  [default: $OPENAI_BASE_URL, else OpenAI]",
)
@click.option("--prompt", metavar="FILE", help="What the model is asked.  [default: the one in the package]")
@click.option(
    "--image-size",
    metavar="N",
    type=click.IntRange(32, 8192),
    default=1024,
    show_default=True,
    help="The longer side of the images sent, at most.",
)
@click.option(
    "--max-tokens",
    metavar="N",
    type=click.IntRange(1, 16384),
    default=300,
    show_default=True,
    help="The length of an answer, at most.",
)
@click.option("-j", "--jobs", metavar="N", type=click.IntRange(1, 256), default=4, show_default=True, help="At a time.")
@click.option(
    "--rate",
    metavar="N",
    type=Number(0, 100_000, min_open=True),
    default=120,
    show_default=True,
    help="Requests a minute, at most.",
)
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=Number(0, 3600, min_open=True),
    default=60,
    show_default=True,
    help="For each request.",
)
@click.option(
    "--attempts", metavar="N", type=click.IntRange(1, 100), default=6, show_default=True, help="For each picture."
)
@click.option("--cache", metavar="FOLDER", help="Where answers are kept.  [default: ~/.cache/tacit/captions]")
@click.option("--no-cache", is_flag=True, help="Neither use nor keep answers.")
@click.option("--price", type=Price(), help="Dollars for a million tokens, such as 2.50,10, for the estimate.")
@click.option(
    "--limit",
    metavar="DOLLARS",
    type=Number(0),
    default=1,
    show_default=True,
    help="Ask for --yes where the estimate is higher.",
)
@click.option("-y", "--yes", is_flag=True, help="Go on whatever the estimate.")
@click.option("--estimate", "only_estimate", is_flag=True, help="Say what it would cost, and stop.")
@click.option("--device", metavar="NAME", default="cpu", show_default=True, help="With --local: cpu, cuda, cuda:1, ...")
@report_options
def caption(
    inputs: tuple[str, ...],
    output: str,
    force: bool,
    model: str | None,
    local: bool,
    base_url: str | None,
    prompt: str | None,
    image_size: int,
    max_tokens: int,
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
    """Have a model look at images and describe them, for `encode --captions`, training and evaluation."""
    if local and (model is None or base_url is not None or price is not None):
        raise click.UsageError("--local needs a --model, and goes with neither --base-url nor --price.")

    from PIL import Image

    from tacit import captions
    from tacit.image import ConversionWarning

    question = captions.load_prompt(prompt)
    options = captions.EndpointOptions(
        model=model or "gpt-4o",
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
            captioner = stack.enter_context(captions.EndpointCaptioner(question, options))
        rows = stack.enter_context(captions.CaptionFile(output, overwrite=force))
        answers = None if no_cache else captions.AnswerCache(cache or captions.default_folder())
        captioning = captions.Captioning(captioner, rows, answers)

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
            click.echo(f"tacit: {remaining}", err=True)
            if not local and remaining.sizes:
                click.echo(f"tacit: {cost}", err=True)
        if only_estimate:
            return 0
        if not local and not yes and cost.exceeds(limit):
            bound = f"{captions.UNPRICED} requests at an unknown price" if cost.dollars is None else f"${limit:g}"
            raise click.UsageError(f"That is more than {bound}: {cost}. Go on with --yes.")

        def work(task: Task) -> Record:
            return captioning(images[task.source])

        tasks = [Task(image.name, problem=image.problem) for image in images.values()]
        filters: list[Filter] = [("ignore", ConversionWarning), ("ignore", Image.DecompressionBombWarning)]
        stack.enter_context(captioning.stopping_on_interrupt())
        report = Report(tasks, _described, as_json, quiet, fatal=CaptionerUnusable)
        return report.follow(work, jobs, filters)


def _described(record: Record) -> str:
    """A caption's beginning, and where it comes from."""
    if record["from"] == "row":
        return "  has a caption"
    text = str(record["caption"])
    return f"  {text if len(text) <= 60 else text[:57] + '...'}" + (
        " (from the cache)" if record["from"] == "cache" else ""
    )
