"""`tacit serve`: the HTTP service and its page."""

from __future__ import annotations

import ipaddress
import math
import signal
import socket
from typing import Any

import click

from tacit.cli.console import print_message
from tacit.cli.group import command
from tacit.cli.options import finder_option, model_option, text_encoder_option
from tacit.cli.parameters import ByteSize, NumberRange
from tacit.codec.options import EFFORTS
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
After one SIGTERM or Ctrl-C the service takes no new requests, finishes those that
it has, and ends. After a second one it ends at once.
""",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="Port to listen at; 0 for any that is free.",
)
@model_option
@text_encoder_option
@finder_option
@click.option(
    "--workers",
    metavar="N",
    type=click.IntRange(1, 256),
    help="Number of processes that encode and decode.  [default: number of cores]",
)
@click.option(
    "--threads",
    metavar="N",
    type=click.IntRange(1, 1024),
    help="Number of CPU threads of each job.  [default: cores / jobs that are running]",
)
@click.option(
    "--queue",
    metavar="N",
    type=click.IntRange(0, 10_000),
    default=16,
    show_default=True,
    help="Number of jobs that may wait; the next one is refused with status 429.",
)
@click.option(
    "--time-limit",
    metavar="SECONDS",
    type=NumberRange(0, 3600, min_open=True),
    default=60,
    show_default=True,
    help="Time that one job may take.",
)
@click.option(
    "--body-limit",
    metavar="SIZE",
    type=ByteSize(),
    default="64MiB",
    show_default=True,
    help="Largest size of one request's body.",
)
@click.option(
    "--pixel-limit",
    metavar="MEGAPIXELS",
    type=NumberRange(0, 1000, min_open=True),
    default=50,
    show_default=True,
    help="Largest image that is encoded or decoded.",
)
@click.option(
    "--effort-limit",
    metavar="N",
    type=click.IntRange(EFFORTS[0], EFFORTS[-1]),
    default=EFFORTS[-1],
    show_default=True,
    help="Highest level of effort that a request may ask for; refinement ends early where the time limit would.",
)
@click.option(
    "--cache",
    metavar="SIZE",
    type=ByteSize(),
    default="128MiB",
    show_default=True,
    help="Memory for results that are kept, and as much for uploads.",
)
@click.option(
    "--token",
    metavar="TEXT",
    envvar="TACIT_TOKEN",
    help="Bearer token that clients must send. It is safer in the environment variable TACIT_TOKEN.",
)
@click.option(
    "--allow-host",
    "hosts",
    metavar="NAME",
    multiple=True,
    help="Host name that requests may use; may be given several times.  [default: any; for a loopback address, only "
    "that address]",
)
@click.option(
    "--cors",
    "origins",
    metavar="ORIGIN",
    multiple=True,
    help="Origin of web pages that may use the service; may be given several times.",
)
@click.option(
    "--caption-url",
    metavar="URL",
    help="Endpoint with OpenAI's protocol that writes captions on request, which may cost money; its key is in "
    "OPENAI_API_KEY.",
)
@click.option("--caption-model", metavar="NAME", default="gpt-4o", show_default=True, help="Model of that endpoint.")
@click.option("--access-log", is_flag=True, help="Log each request, with its caption, on standard output.")
def serve(
    host: str,
    port: int,
    access_log: bool,
    pixel_limit: float,
    model: str | None,
    hosts: tuple[str, ...],
    **options: Any,
) -> int:
    """Serve a page that shows what the codec does, and an HTTP interface to the codec.

    docs/web.md describes both.
    """
    try:
        import uvicorn

        from tacit.web.app import create_app
        from tacit.web.server import uvicorn_config
        from tacit.web.settings import ServiceSettings
    except ImportError as error:
        raise MissingExtra(f"the service needs {error.name}: pip install 'tacit[web]'") from error
    from tacit import weights

    local = _is_loopback(host)
    settings_values = {name: value for name, value in options.items() if value is not None}
    if model is not None:
        settings_values["model"] = model
    if hosts or local:
        settings_values["hosts"] = tuple(dict.fromkeys([*hosts, host, *(LOOPBACK if local else ())]))
    try:
        settings = ServiceSettings(pixel_limit=math.ceil(1e6 * pixel_limit), **settings_values)
        weights.describe(weights.locate(settings.model))
        app = create_app(settings)
    except (InvalidInput, UnknownModel) as error:
        raise click.UsageError(str(error)) from error
    listener = _listen(host, port)
    name = f"[{host}]" if ":" in host else host
    url = f"http://{name}:{listener.getsockname()[1]}"

    class Server(uvicorn.Server):
        """Prints the service's address when it is ready."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                click.echo(url)

    if not local and settings.token is None:
        print_message("warning: everybody who can reach this machine can use the service; --token asks for a token")
    server = Server(uvicorn_config(app, access_log=access_log))
    # uvicorn ends in good order and then sends itself the signal again; by then there is nothing left to end.
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        server.run([listener])
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return 0 if server.started else 1


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens at an address.

    Raises:
        PathError: The address cannot be used.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        why = reason(error).partition(" (while ")[0]  # socket names the address once more
        raise PathError(f"cannot listen at {host} port {port}: {why}") from error
    listener.set_inheritable(False)
    return listener
