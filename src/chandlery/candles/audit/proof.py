"""What is proven settles what disagrees: the other side is the one that is wrong."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from chandlery.candles.audit.flaw import Flaw, FlawKind
from chandlery.candles.interval import Interval
from chandlery.candles.timerange import RangeSet

#: What disagrees with another interval, and what the other side is called where this one is proven right.
_OTHER_SIDE = {
    FlawKind.INTERVALS_SHORT: FlawKind.INTERVALS_EXCESS,
    FlawKind.INTERVALS_VOLUME: FlawKind.INTERVALS_VOLUME,
    FlawKind.INTERVALS_PRICES: FlawKind.INTERVALS_PRICES,
}
#: What the exchange's own count of a week settles: trades and volume, not prices.
_COUNTED = {FlawKind.INTERVALS_SHORT, FlawKind.INTERVALS_VOLUME}


def settled_by_proof(
    flaws: Iterable[Flaw], proven: Mapping[Interval, RangeSet], confirmed: Mapping[Interval, RangeSet]
) -> list[Flaw]:
    """The flaws that are left where trades have `proven` candles, and the exchange's count has `confirmed` weeks.

    A candle that is proven is not flawed. Where it disagrees with that of another interval, the other one is wrong, and
    can be made anew of finer ones, unless that is proven as well.
    """
    found: list[Flaw] = []
    for flaw in flaws:
        right = proven.get(flaw.interval, RangeSet())
        if flaw.kind in _COUNTED:
            right = right | confirmed.get(flaw.interval, RangeSet())
        whole = RangeSet([flaw.range])
        found += [replace(flaw, range=left) for left in whole - right]
        # The slots that are proven right accuse those that they were held against.
        found += _accused(flaw, whole & right, proven) if whole & right else ()
    return merged(found)


def _accused(flaw: Flaw, right: RangeSet, proven: Mapping[Interval, RangeSet]) -> Iterator[Flaw]:
    kind = _OTHER_SIDE.get(flaw.kind)
    other = flaw.evidence.get("other_interval_minutes")
    if kind is None or other is None or other <= int(flaw.interval):
        return
    coarser = Interval(other)
    for wrong in right.aligned_outwards(coarser) - proven.get(coarser, RangeSet()):
        evidence = {**flaw.evidence, "other_interval_minutes": int(flaw.interval)}
        for name in [name for name in evidence if f"other_{name}" in evidence]:
            evidence[name], evidence[f"other_{name}"] = evidence[f"other_{name}"], evidence[name]
        yield Flaw(coarser, kind, wrong, evidence, derivable=True)


def merged(flaws: Iterable[Flaw]) -> list[Flaw]:
    """One flaw for those of one kind that overlap at one interval: with the figures of the first. In order."""
    kept: list[Flaw] = []
    for flaw in sorted(flaws, key=lambda one: (one.interval, one.kind, one.derivable, one.range)):
        last = kept[-1] if kept else None
        same = last is not None and (last.interval, last.kind, last.derivable) == (
            flaw.interval,
            flaw.kind,
            flaw.derivable,
        )
        if last is not None and same and last.range.overlaps(flaw.range):
            kept[-1] = replace(last, range=RangeSet([last.range, flaw.range]).span or last.range)
        else:
            kept.append(flaw)
    return sorted(kept, key=lambda one: (one.interval, one.range, one.kind))
