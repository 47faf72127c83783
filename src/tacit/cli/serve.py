"""`tacit serve`: the HTTP service and its page."""

from __future__ import annotations

import ipaddress
import math
import signal
import socket
from typing import Any

import click

from tacit.cli.group import command
from tacit.cli.options import Number, Size
from tacit.errors import InvalidInput, MissingExtra, PathError, UnknownModel
from tacit.files import reason

LOOPBACK = ("localhost", "127.0.0.1", "::1")


@command.command(
    short_help="Serve a page that shows the codec, and an HTTP interface.",
    epilog="""\b
Examples:
  tacit serve                                  the page is at http://127.0.0.1:8000
  curl -T photo.jpg -X POST 'localhost:8000/v1/encode?quality=40' -o photo.tacit
  curl -T photo.tacit -X POST localhost:8000/v1/decode -H 'Accept: image/webp' -o photo.webp
  TACIT_TOKEN=secret tacit serve --host 0.0.0.0
\b
SIGTERM or Ctrl-C once: no new work, what was taken is finished. Twice: at once.
""",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 for any that is free.")
@click.option("-m", "--model", metavar="NAME", help="To encode with: a model's name, or a weights file.")
@click.option("--text-encoder", metavar="NAME", help="Instead of the model's own, as of `tacit encode`.")
@click.option(
    "--workers",
    metavar="N",
    type=click.IntRange(1, 256),
    help="Processes that encode and decode.  [default: one for each core]",
)
@click.option(
    "--threads",
    metavar="N",
    type=click.IntRange(1, 1024),
    help="CPU threads of a job.  [default: the cores, shared by the jobs that run]",
)
@click.option(
    "--queue",
    metavar="N",
    type=click.IntRange(0, 10_000),
    default=16,
    show_default=True,
    help="Jobs that may wait; one more is answered 429.",
)
@click.option(
    "--time-limit",
    metavar="SECONDS",
    type=Number(0, 3600, min_open=True),
    default=60,
    show_default=True,
    help="Of one job.",
)
@click.option("--body-limit", metavar="SIZE", type=Size(), default="64MiB", show_default=True, help="Of one request.")
@click.option(
    "--pixel-limit",
    metavar="MEGAPIXELS",
    type=Number(0, 1000, min_open=True),
    default=50,
    show_default=True,
    help="Of one image.",
)
@click.option(
    "--cache", metavar="SIZE", type=Size(), default="128MiB", show_default=True, help="Memory for results, and uploads."
)
@click.option(
    "--token",
    metavar="TEXT",
    envvar="TACIT_TOKEN",
    help="Ask for this bearer token. Better in the environment: TACIT_TOKEN.",
)
@click.option(
    "--allow-host",
    "hosts",
    metavar="NAME",
    multiple=True,
    help="A name that it may be called by.  [default: any; at a loopback address, that address]",
)
@click.option("--cors", "origins", metavar="ORIGIN", multiple=True, help="Let pages from there use it.")
@click.option(
    "--caption-url",
    metavar="URL",
    help="Write captions with this endpoint of OpenAI's protocol; the key is in OPENAI_API_KEY. It may cost money.",
)
@click.option("--caption-model", metavar="NAME", default="gpt-4o", show_default=True, help="The endpoint's model.")
@click.option("--access-log", is_flag=True, help="Log each request, with its captions, on standard output.")
def serve(
    host: str, port: int, access_log: bool, pixel_limit: float, model: str | None, hosts: tuple[str, ...], **given: Any
) -> int:
    """Serve a page that shows what the codec does, and an HTTP interface to it (docs/web.md)."""
    try:
        import uvicorn

        from tacit.web.app import create_app
        from tacit.web.server import uvicorn_config
        from tacit.web.settings import ServiceSettings
    except ImportError as error:
        raise MissingExtra(f"the service needs {error.name}: pip install 'tacit[web]'") from error
    from tacit import weights

    local = _is_loopback(host)
    options = {name: value for name, value in given.items() if value is not None}
    if model is not None:
        options["model"] = model
    if hosts or local:
        options["hosts"] = tuple(dict.fromkeys([*hosts, host, *(LOOPBACK if local else ())]))
    try:
        settings = ServiceSettings(pixel_limit=math.ceil(1e6 * pixel_limit), **options)
        weights.describe(weights.locate(settings.model))
        app = create_app(settings)
    except (InvalidInput, UnknownModel) as error:
        raise click.UsageError(str(error)) from error
    listening = _listen(host, port)
    name = f"[{host}]" if ":" in host else host
    url = f"http://{name}:{listening.getsockname()[1]}"

    class Server(uvicorn.Server):
        """Says where it is, when it is there."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                click.echo(url)

    if not local and settings.token is None:
        click.echo("tacit: warning: whoever can reach this machine can use the service; --token asks for one", err=True)
    server = Server(uvicorn_config(app, access_log=access_log))
    # uvicorn ends in good order and then sends itself the signal again; by then there is nothing left to end.
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        server.run([listening])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0 if server.started else 1


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(host: str, port: int) -> socket.socket:
    """Raises: PathError, where the address cannot be had."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise PathError(f"cannot listen at {host} port {port}: {reason(error)}") from error
    listening.set_inheritable(False)
    return listening
