"""Bring names and status of Kraken's markets up to date."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from chandlery.exchanges.base import Listing
from chandlery.exchanges.kraken.api.client import KrakenApi
from chandlery.management.base import ChandleryCommand, clock, tiers
from chandlery.management.step_text import waiting_text
from chandlery.pipeline.events import AskWaiting
from chandlery.pipeline.sync import Change, MarketDiff, sync_markets
from chandlery.reporting.as_json import as_plain
from chandlery.reporting.wording import PLAIN_WIDTH, listed, plain, plural, sentence, wrapped

MOST_NAMES = 20
STOPPED = 130


class Command(ChandleryCommand):
    help = (
        "Ask Kraken for its list of markets, and record which are new, which have gone and whose name or status has "
        "changed. Of a market that has gone nothing is asked any more, until it is on the list again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="show what would change and write nothing")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        dry_run = options["dry_run"]
        self.prepare_state(dry_run=dry_run)
        try:
            listings = asyncio.run(self._ask(quiet=not options["verbosity"]))
        except KeyboardInterrupt:
            self.leave(STOPPED)
            return
        diff = sync_markets(listings, tiers(), clock()(), dry_run=dry_run)
        if options["json"]:
            self.stdout.write(json.dumps({"dry_run": dry_run, **as_plain(diff)}, indent=2))
            return
        if not options["verbosity"]:
            return
        for line in diff_lines(diff, MOST_NAMES if options["verbosity"] < 2 else None):
            for part in wrapped(line, PLAIN_WIDTH):
                self.stdout.write(part)
        if dry_run:
            self.stdout.write("Nothing was written.")

    async def _ask(self, *, quiet: bool) -> list[Listing]:
        async with KrakenApi(settings.KRAKEN_API, on_wait=None if quiet else self._waiting) as api:
            return await api.asset_pairs()

    def _waiting(self, why: str, seconds: float) -> None:
        text = waiting_text(AskWaiting(why, seconds))
        self.stderr.write(sentence(text))


def diff_lines(diff: MarketDiff, most: int | None) -> Iterator[str]:
    """What has changed, at most so many names of each kind."""
    yield f"Kraken lists {plural(diff.markets, 'market')}."
    if diff.empty:
        yield "Nothing has changed."
        return
    for title, names in (
        ("Listed", [listing.altname for listing in diff.listed]),
        ("Listed again", diff.back),
        ("Delisted", diff.delisted),
    ):
        if names:
            yield f"{title} ({len(names):,}): {_names(names, most)}"
    if diff.changed:
        yield f"Changed ({len({change.market for change in diff.changed}):,}):"
        for change in diff.changed[:most]:
            yield f"  {_change_text(change)}"
        if most is not None and len(diff.changed) > most:
            yield f"  … and {len(diff.changed) - most:,} more (--verbosity 2 shows all)"


def _names(names: Sequence[str], most: int | None) -> str:
    return listed(names, len(names) if most is None else most)


def _change_text(change: Change) -> str:
    was = f" (was {plain(change.before)})" if change.before else ""
    return f"{plain(change.market)}: {change.field} {plain(change.after) or 'none'}{was}"
