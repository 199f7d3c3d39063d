"""The last of the three old steps: find gaps, show them by what closes them, ask the API, say what is left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from chandlery.errors import UsageError
from chandlery.management.arguments import intervals_named, names, tiers_named
from chandlery.management.backfilling import Wishes, backfill, markets_known
from chandlery.management.base import ChandleryCommand
from chandlery.management.old_ways import MAIN, REPORT, as_options, new_way, warn_of_old_way
from chandlery.management.rendering import check_outputs
from chandlery.pipeline.markets import of_asset, on_record
from chandlery.pipeline.request import Selection


class TierAndAsset(UsageError):
    """--tier and --asset are two ways to say what you want; use one of them"""


class OnlyBoth(UsageError):
    """--only-fillable and --show-unfillable-only leave nothing to show; use one of them"""


class NoAsset(UsageError):
    """--asset names none; write it as BTC, XBT or XBTUSD"""


class NothingStored(UsageError):
    """Nothing is stored yet, so there are no gaps to find; name a tier (--tier TIER1) or an asset (--asset BTC)"""


class Command(ChandleryCommand):
    help = (
        "Deprecated, use ingest_kraken_unified: find the gaps of what is stored, show what closes each, then ask "
        "Kraken's API, derive from finer intervals, and tell what was filled and what stays open. No archive is read. "
        "Exit status: 0 done, whatever stays open, 1 a request or the job failed, 2 wrong usage, 130 paused by Ctrl-C."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        default = ",".join(str(i) for i in settings.DEFAULT_INTERVALS)
        add("--tier", metavar="TIER", help="TIER1 … TIER4, or ALL, in US dollars (default: all that is stored)")
        add(
            "--asset",
            nargs="+",
            action="extend",
            metavar="NAME",
            help="an asset by ticker or by Kraken's code (its markets that are stored, else the one in US dollars), "
            "or a market by name: BTC, XXBT, XBTUSD, BTC/EUR",
        )
        add(
            "--interval",
            nargs="+",
            action="extend",
            metavar="MINUTES",
            help=f"candle widths in minutes (default: {default})",
        )
        add("--from-last", action="store_true", help="only from the last stored slot to now")
        add("--only-fillable", action="store_true", help="show no gap that the API cannot close")
        add("--show-unfillable-only", action="store_true", help="list the gaps that need files, and do nothing else")
        add(
            "--export-unfillable",
            metavar="FILE",
            help="write the list of files to download as CSV, and do nothing else; with --yes: fill first, then "
            "write what is left",
        )
        add("--dry-run", action="store_true", help="show what would be asked for; store and state stay as they are")
        add("-y", "--yes", action="store_true", help="do not ask before starting")

    def handle(self, *args: Any, **options: Any) -> None:
        wishes = _wishes(options)
        intervals = intervals_named("--interval", options["interval"])
        tiers = tiers_named([options["tier"]] if options["tier"] else [])
        self.prepare_state(dry_run=wishes.dry_run)
        with markets_known(dry_run=wishes.dry_run):
            selection = Selection(intervals, tiers, () if tiers else _markets(options["asset"]))
            command, *more = _instead(wishes)
            note = ", and new archives as well," if command == MAIN else ""
            warn_of_old_way(self, "backfill_kraken_gaps", new_way(command, as_options(selection), *more), note)
            status = backfill(self, selection, wishes, options["verbosity"])
        self.leave(status)


def _wishes(options: dict[str, Any]) -> Wishes:
    if options["tier"] and options["asset"] is not None:
        raise TierAndAsset
    if options["only_fillable"] and options["show_unfillable_only"]:
        raise OnlyBoth
    check_outputs({**options, "report_csv": None})
    return Wishes(
        from_last=options["from_last"],
        only_fillable=options["only_fillable"],
        only_unfillable=options["show_unfillable_only"],
        export=Path(options["export_unfillable"]) if options["export_unfillable"] else None,
        dry_run=options["dry_run"],
        yes=options["yes"],
    )


def _markets(named: list[str] | None) -> tuple[str, ...]:
    """Of the assets named, or all of which anything is stored."""
    if named is None:
        chosen = on_record()
        if not chosen:
            raise NothingStored
    else:
        chosen = [market for name in names(named) for market in of_asset(name)]
        if not chosen:
            raise NoAsset
    return tuple(dict.fromkeys(market.altname for market in chosen))


def _instead(wishes: Wishes) -> list[str]:
    """The new command, and how it is told what was asked beside the selection."""
    export = ["--export-unfillable", str(wishes.export)] if wishes.export else []
    if wishes.only_looks and not (wishes.dry_run and not wishes.only_unfillable):
        return [REPORT, *export]
    asked = {"--incremental": wishes.from_last, "--dry-run": wishes.dry_run, "--yes": wishes.yes}
    return [MAIN, *(option for option, said in asked.items() if said), *export]
