"""`tacit export-web`: the viewer as a static web page."""

from __future__ import annotations

import click

from tacit.cli.group import command


@command.command(
    "export-web",
    short_help="Write a web page that shows .tacit files, to put on any web server.",
    epilog="""\b
Examples:
  tacit export-web site && python -m http.server -d site
  tacit export-web site -m tacit-s               only the weights of tacit-s go along
""",
)
@click.argument("folder", metavar="FOLDER")
@click.option(
    "-m",
    "--model",
    "models",
    metavar="NAME|FILE",
    multiple=True,
    help="Weights that go along; repeatable. Without it, all that are in the package.",
)
def export_web(folder: str, models: tuple[str, ...]) -> None:
    """Write a web page that shows .tacit files into FOLDER.

    It decodes them in the browser, and needs no server but one for files. The folder also holds the element
    <tacit-image> and a service worker for <img>; its README.md says how a page uses them.
    """
    from tacit import viewer

    written = viewer.export(folder, models) if models else viewer.export(folder)
    click.echo(f"{written}: {sum(1 for path in written.rglob('*') if path.is_file())} files")
