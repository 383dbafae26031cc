"""python -m sandbox.slack: the local Slack alone, for looking at it and for trying a bot by hand."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import click
import yaml

from sandbox.slack import LocalSlack, Manifest, Pace, Tokens


@click.command()
@click.option("--port", default=8070, show_default=True, help="on 127.0.0.1")
@click.option("--manifest", type=click.Path(exists=True, path_type=Path), help="the app's manifest, YAML")
@click.option("--refresh", default=0.0, help="seconds that a socket lives, as a few hours do at Slack; 0 = for ever")
@click.option("--keep", type=click.Path(path_type=Path), help="file that keeps the messages from one start to the next")
def main(port: int, manifest: Path | None, refresh: float, keep: Path | None) -> None:
    """A Slack for one bot, on this machine only."""
    plain = Manifest.from_plain(yaml.safe_load(manifest.read_text("utf-8"))) if manifest else None
    asyncio.run(_serve(LocalSlack(port, manifest=plain, pace=Pace(life=refresh)), keep))


async def _serve(slack: LocalSlack, keep: Path | None) -> None:
    if keep and keep.exists():
        slack.workspace.restore(keep.read_text("utf-8"))
    async with slack:
        tokens = Tokens()
        click.echo(f"page: {slack.url}/")
        click.echo(f"SLACK_API_URL={slack.api_url}")
        click.echo(f"ROUNDSMAN_SLACK_BOT_TOKEN={tokens.bot} ROUNDSMAN_SLACK_APP_TOKEN={tokens.app}")
        await _until_told_to_end()
        if keep:
            keep.write_text(slack.workspace.dump(), "utf-8")


async def _until_told_to_end() -> None:
    end = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end.set)
    await end.wait()


if __name__ == "__main__":
    main()
