"""Findings: what an audit has to say of a series' candles, kept until its cause is gone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from django.db import models, transaction

from chandlery.candles.audit.flaw import FlawKind
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.models.asset import Market
from chandlery.models.coverage import SeriesKey


class FindingKind(models.TextChoices):
    """What was found. The labels are what a person reads."""

    LEDGER_SHORT = "LEDGER_SHORT", "the exchange counts more trades than are stored"
    LEDGER_SYSTEMATIC = "LEDGER_SYSTEMATIC", "many weeks hold fewer trades than the exchange counts"
    LEDGER_DISAGREES = "LEDGER_DISAGREES", "the exchange counts more trades than its own list of trades holds"
    LEDGER_NEARLY = "LEDGER_NEARLY", "a few trades fewer than the exchange counts"
    LEDGER_EXCESS = "LEDGER_EXCESS", "more trades than the exchange counts"
    LEDGER_VOLUME = "LEDGER_VOLUME", "as many trades as the exchange counts, another volume"
    TRADES_DIFFER = "TRADES_DIFFER", "candles made of trades differ from those of an archive"
    ID_BREAK = "ID_BREAK", "trade ids are missing"
    INTERVALS_SHORT = FlawKind.INTERVALS_SHORT.value, "another interval counts more trades"
    INTERVALS_EXCESS = FlawKind.INTERVALS_EXCESS.value, "more trades than finer candles prove"
    INTERVALS_VOLUME = FlawKind.INTERVALS_VOLUME.value, "as many trades as at another interval, another volume"
    INTERVALS_PRICES = FlawKind.INTERVALS_PRICES.value, "other prices than at another interval"
    LAST_SLOT_DROPPED = FlawKind.LAST_SLOT_DROPPED.value, "an archive lacks the last slot of its period at every width"
    IMPROBABLE_SILENCE = FlawKind.IMPROBABLE_SILENCE.value, "quiet while other busy markets traded"
    UNWITNESSED_SILENCE = FlawKind.UNWITNESSED_SILENCE.value, "improbably quiet, and no other busy market to compare"
    BAD_ROW = FlawKind.BAD_ROW.value, "a candle that cannot be"
    NO_TRADES = FlawKind.NO_TRADES.value, "a candle without a trade"
    NO_VOLUME = FlawKind.NO_VOLUME.value, "trades without volume"
    PRICE_SPIKE = FlawKind.PRICE_SPIKE.value, "a price far off that is back at once"
    FROZEN_PRICE = FlawKind.FROZEN_PRICE.value, "one price in candle after candle while others moved"


#: What makes the slots of its range SUSPECT, as long as it is OPEN.
CONTRADICTING = frozenset(
    {
        FindingKind.LEDGER_SHORT,
        FindingKind.LEDGER_SYSTEMATIC,
        FindingKind.INTERVALS_SHORT,
        FindingKind.LAST_SLOT_DROPPED,
        FindingKind.IMPROBABLE_SILENCE,
        FindingKind.BAD_ROW,
    }
)
#: Whose slots are to be answered anew, SUSPECT or not. Where one kind is found again and again in one series, its cause
#: is another than single candles, and each is only told (MOST_FILLED_ANEW).
FILLED_ANEW = (CONTRADICTING - {FindingKind.LEDGER_SYSTEMATIC}) | {
    FindingKind.INTERVALS_EXCESS,
    FindingKind.INTERVALS_VOLUME,
    FindingKind.INTERVALS_PRICES,
    FindingKind.NO_TRADES,
    FindingKind.NO_VOLUME,
    FindingKind.PRICE_SPIKE,
    FindingKind.FROZEN_PRICE,
}
MOST_FILLED_ANEW = 100
#: What was mended as it was found: kept for the record.
SETTLED_AT_ONCE = frozenset({FindingKind.TRADES_DIFFER})


class Severity(models.TextChoices):
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


#: What is put down anew when a thing is found again.
TAKEN = ("end", "severity", "evidence", "derivable")
_MILD = {FindingKind.LEDGER_NEARLY, FindingKind.LEDGER_VOLUME, FindingKind.UNWITNESSED_SILENCE}


class FindingState(models.TextChoices):
    OPEN = "OPEN"
    RESOLVED = "RESOLVED"
    ACCEPTED = "ACCEPTED"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is to be on record of a series. `range` is on its grid; `evidence` is JSON, figures on both sides."""

    kind: FindingKind
    range: TimeRange
    evidence: Mapping[str, Any] = field(default_factory=dict)
    #: Finer candles that are stored tell what is right.
    derivable: bool = False

    @property
    def severity(self) -> Severity:
        if self.kind in CONTRADICTING:
            return Severity.ERROR
        return Severity.INFO if self.kind in _MILD else Severity.WARNING


@dataclass(frozen=True, slots=True)
class FindingsChanged:
    """What reconciling did: rows by what became of them."""

    opened: int = 0
    updated: int = 0
    resolved: int = 0
    #: Those that were opened.
    fresh: tuple[QualityFinding, ...] = field(default=(), compare=False)

    def __add__(self, other: FindingsChanged) -> FindingsChanged:
        return FindingsChanged(
            self.opened + other.opened,
            self.updated + other.updated,
            self.resolved + other.resolved,
            self.fresh + other.fresh,
        )


@dataclass(frozen=True, slots=True)
class Doubt:
    """Slots to be answered anew. `derivable`: finer candles that are stored tell what is right."""

    range: TimeRange
    derivable: bool = False


class QualityFindings(models.Manager["QualityFinding"]):
    """Questions about findings, and the ways to change them."""

    def on_record(
        self, markets: Iterable[int], kinds: Collection[FindingKind]
    ) -> dict[SeriesKey, list[QualityFinding]]:
        """Those that are not RESOLVED, in order of time, in one query."""
        found: dict[SeriesKey, list[QualityFinding]] = defaultdict(list)
        rows = self.filter(market__in=list(markets), kind__in=kinds).exclude(state=FindingState.RESOLVED)
        for row in rows.order_by("start"):
            found[row.market_id, row.interval_minutes].append(row)
        return found

    def contradicted(
        self, markets: Iterable[int], kinds: Collection[FindingKind] = CONTRADICTING
    ) -> dict[SeriesKey, RangeSet]:
        """Where OPEN findings contradict what is stored, by series, in one query."""
        found: dict[SeriesKey, RangeSet] = {}
        for ranges in self.contradicted_by(markets, kinds).values():
            for key, more in ranges.items():
                found[key] = found.get(key, RangeSet()) | more
        return found

    def contradicted_by(
        self, markets: Iterable[int], kinds: Collection[FindingKind] = CONTRADICTING
    ) -> dict[FindingKind, dict[SeriesKey, RangeSet]]:
        """The same for each kind of finding, in one query."""
        ranges: dict[FindingKind, dict[SeriesKey, list[TimeRange]]] = {kind: defaultdict(list) for kind in kinds}
        rows = self.filter(market__in=list(markets), kind__in=kinds, state=FindingState.OPEN)
        columns = ("kind", "market_id", "interval_minutes", "start", "end")
        for kind, pk, minutes, start, end in rows.values_list(*columns).iterator():
            ranges[FindingKind(kind)][pk, minutes].append(TimeRange(start, end))
        return {kind: {key: RangeSet(found) for key, found in held.items()} for kind, held in ranges.items()}

    def marks(self) -> dict[int, int]:
        """For each market something that changes whenever OPEN findings contradict other slots than before, in one
        query.
        """
        found: dict[int, int] = defaultdict(int)
        rows = self.filter(kind__in=CONTRADICTING, state=FindingState.OPEN).order_by("market_id", "pk")
        for pk, *told in rows.values_list("market_id", "kind", "interval_minutes", "start", "end").iterator():
            found[pk] = hash((found[pk], *told))
        return found

    def filled_anew(self, markets: Iterable[int]) -> dict[SeriesKey, list[Doubt]]:
        """Where slots are to be answered anew, by series, in one query. Of a kind that contradicts nothing, the first
        MOST_FILLED_ANEW of a series.
        """
        found: dict[SeriesKey, list[Doubt]] = defaultdict(list)
        told: Counter[tuple[SeriesKey, str]] = Counter()
        rows = self.filter(market__in=list(markets), kind__in=FILLED_ANEW, state=FindingState.OPEN).order_by("start")
        columns = ("kind", "market_id", "interval_minutes", "start", "end", "derivable")
        for kind, pk, minutes, start, end, derivable in rows.values_list(*columns).iterator():
            told[(pk, minutes), kind] += 1
            if kind in CONTRADICTING or told[(pk, minutes), kind] <= MOST_FILLED_ANEW:
                found[pk, minutes].append(Doubt(TimeRange(start, end), derivable))
        return found

    def by_state(self) -> dict[str, int]:
        """How many there are of each state, in one query."""
        counted = dict(self.values_list("state").annotate(models.Count("pk")).order_by())
        return {state.value: counted.get(state.value, 0) for state in FindingState}

    def samples_resolved(self, markets: Iterable[int]) -> list[QualityFinding]:
        """Weeks that stood for many of their kind, and are in order by now."""
        rows = self.filter(market__in=list(markets), kind=FindingKind.LEDGER_SHORT, state=FindingState.RESOLVED)
        return list(rows.filter(evidence__sample=True))

    def reconcile(
        self,
        market: Market,
        interval_minutes: int,
        kinds: Collection[FindingKind],
        wanted: Sequence[Finding],
        now: datetime,
    ) -> FindingsChanged:
        """Bring the findings of these kinds of one series in line with what is wanted."""
        return self.reconcile_all({(market.pk, interval_minutes): wanted}, kinds, now)

    def reconcile_all(
        self,
        wanted: Mapping[SeriesKey, Sequence[Finding]],
        kinds: Collection[FindingKind],
        now: datetime,
        looked_at: Mapping[SeriesKey, RangeSet] | None = None,
    ) -> FindingsChanged:
        """The same for many series at once: the number of queries does not grow with what stays as it is.

        A finding keeps its row while its kind and start are the same; an OPEN one that is not wanted any more becomes
        RESOLVED; an ACCEPTED one stays accepted, and nothing of its kind is opened inside of it. `looked_at`: what
        overlaps none of it, of each series, stays as it is; None: everything was looked at. Call it inside the
        transaction that records the audit, which holds the markets from here on.
        """
        Market.objects.hold({pk for pk, _ in wanted})
        recorded = self.on_record({pk for pk, _ in wanted}, kinds)
        fresh: list[QualityFinding] = []
        changed: list[QualityFinding] = []
        gone: list[int] = []
        for key, findings in wanted.items():
            rows = {(row.kind, row.start): row for row in recorded.get(key, [])}
            accepted: dict[str, list[TimeRange]] = defaultdict(list)
            for row in rows.values():
                if row.state == FindingState.ACCEPTED:
                    accepted[row.kind].append(row.range)
            for finding in findings:
                at_start = rows.pop((finding.kind, finding.range.start), None)
                if at_start is not None:
                    changed += [at_start] if at_start.take(finding) else []
                elif not RangeSet(accepted[finding.kind]).covers(finding.range):
                    fresh.append(self._new(key, finding, now))
            within = None if looked_at is None else looked_at.get(key, RangeSet())
            gone += [
                row.pk
                for row in rows.values()
                if row.state == FindingState.OPEN and (within is None or within & RangeSet([row.range]))
            ]
        # What is gone makes room before others take its place.
        for i in range(0, len(gone), 500):
            self.filter(pk__in=gone[i : i + 500]).update(state=FindingState.RESOLVED, resolved_at=now)
        if changed:
            self.bulk_update(changed, TAKEN, batch_size=500)
        if fresh:
            self.bulk_create(fresh, batch_size=500)
        return FindingsChanged(len(fresh), len(changed), len(gone), tuple(fresh))

    def record(self, market: Market, interval_minutes: int, finding: Finding, now: datetime) -> QualityFinding:
        """Note something that was seen once; seen again, it keeps its row. What is in order already is RESOLVED. Inside
        the caller's transaction, which holds the market from here on.
        """
        Market.objects.hold([market.pk])
        is_settled = finding.kind in SETTLED_AT_ONCE
        rows = self.filter(
            market=market, interval_minutes=interval_minutes, kind=finding.kind, start=finding.range.start
        )
        row = (rows if is_settled else rows.exclude(state=FindingState.RESOLVED)).order_by("pk").last()
        if row is None:
            row = self._new((market.pk, interval_minutes), finding, now)
            if is_settled:
                row.state, row.resolved_at = FindingState.RESOLVED, now
            row.save()
        elif row.take(finding):
            row.save(update_fields=TAKEN)
        return row

    def _new(self, key: SeriesKey, finding: Finding, now: datetime) -> QualityFinding:
        row = QualityFinding(
            market_id=key[0], interval_minutes=key[1], kind=finding.kind, start=finding.range.start, found_at=now
        )
        row.take(finding)
        return row


class QualityFinding(models.Model):
    """Something that an audit found in a range of a series. Half-open, UTC, on the grid of the series."""

    market = models.ForeignKey(Market, models.CASCADE, related_name="findings")
    interval_minutes = models.PositiveSmallIntegerField()
    start = models.DateTimeField()
    end = models.DateTimeField()
    kind = models.CharField(max_length=20, choices=[(k.value, k.value) for k in FindingKind])
    severity = models.CharField(max_length=8, choices=Severity.choices)
    evidence = models.JSONField(default=dict, help_text="The figures that disagree.")
    derivable = models.BooleanField(default=False, help_text="Finer candles that are stored tell what is right.")
    state = models.CharField(max_length=8, choices=FindingState.choices, default=FindingState.OPEN)
    found_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True)
    why = models.TextField(blank=True, help_text="Why it is accepted.")

    objects: ClassVar[QualityFindings] = QualityFindings()

    class Meta:
        ordering = ("market", "interval_minutes", "start")
        constraints = [
            models.CheckConstraint(condition=models.Q(end__gt=models.F("start")), name="finding_ends_after_it_starts"),
            # one thing is found once: reconciling matches findings by kind and start
            models.UniqueConstraint(
                fields=["market", "interval_minutes", "kind", "start"],
                condition=~models.Q(state="RESOLVED"),
                name="one_finding_a_start",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.market} {self.interval_minutes}m {self.start:%F %R} to {self.end:%F %R} {self.kind}"

    @property
    def range(self) -> TimeRange:
        return TimeRange(self.start, self.end)

    def take(self, finding: Finding) -> bool:
        """Put down what was found this time; whether anything is other than before."""
        told = (finding.range.end, finding.severity.value, dict(finding.evidence), finding.derivable)
        if (self.end, self.severity, self.evidence, self.derivable) == told:
            return False
        self.end, self.severity, self.evidence, self.derivable = told
        return True

    def accept(self, why: str) -> bool:
        """It contradicts nothing any more, and stays so; False where an audit has resolved it meanwhile."""
        standing = QualityFinding.objects.filter(pk=self.pk).exclude(state=FindingState.RESOLVED)
        with transaction.atomic():
            Market.objects.hold([self.market_id])
            accepted = standing.update(state=FindingState.ACCEPTED, why=why) > 0
        self.refresh_from_db(fields=["state", "why", "resolved_at"])
        return accepted
