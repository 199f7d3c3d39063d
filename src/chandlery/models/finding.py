"""Findings: what an audit has to say of a series' candles, kept until its cause is gone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from django.db import models

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


#: What makes the slots of its range SUSPECT, as long as it is OPEN.
CONTRADICTING = frozenset({FindingKind.LEDGER_SHORT, FindingKind.LEDGER_SYSTEMATIC})


class Severity(models.TextChoices):
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


_SEVERITY = {
    FindingKind.LEDGER_SHORT: Severity.ERROR,
    FindingKind.LEDGER_SYSTEMATIC: Severity.ERROR,
    FindingKind.LEDGER_DISAGREES: Severity.WARNING,
    FindingKind.LEDGER_NEARLY: Severity.INFO,
    FindingKind.LEDGER_EXCESS: Severity.WARNING,
    FindingKind.LEDGER_VOLUME: Severity.INFO,
    FindingKind.TRADES_DIFFER: Severity.WARNING,
    FindingKind.ID_BREAK: Severity.WARNING,
}


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

    @property
    def severity(self) -> Severity:
        return _SEVERITY[self.kind]


@dataclass(frozen=True, slots=True)
class FindingsChanged:
    """What reconciling did: rows by what became of them."""

    opened: int = 0
    updated: int = 0
    resolved: int = 0


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
        self, wanted: Mapping[SeriesKey, Sequence[Finding]], kinds: Collection[FindingKind], now: datetime
    ) -> FindingsChanged:
        """The same for many series at once: the number of queries does not grow with what stays as it is.

        A finding keeps its row while its kind and start are the same; an OPEN one that is not wanted any more becomes
        RESOLVED; an ACCEPTED one stays accepted, and nothing of its kind is opened inside of it. Call it inside the
        transaction that records the audit.
        """
        recorded = self.on_record({pk for pk, _ in wanted}, kinds)
        fresh: list[QualityFinding] = []
        changed: list[QualityFinding] = []
        gone: list[int] = []
        for key, findings in wanted.items():
            rows = {(row.kind, row.start): row for row in recorded.get(key, [])}
            accepted = [row for row in rows.values() if row.state == FindingState.ACCEPTED]
            for finding in findings:
                row = rows.pop((finding.kind, finding.range.start), None)
                if row is None and any(a.kind == finding.kind and a.range.contains(finding.range) for a in accepted):
                    continue
                if row is None:
                    fresh.append(self._new(key, finding, now))
                elif row.take(finding):
                    changed.append(row)
            gone += [row.pk for row in rows.values() if row.state == FindingState.OPEN]
        # What is gone makes room before others take its place.
        for i in range(0, len(gone), 500):
            self.filter(pk__in=gone[i : i + 500]).update(state=FindingState.RESOLVED, resolved_at=now)
        if changed:
            self.bulk_update(changed, ["end", "severity", "evidence"], batch_size=500)
        if fresh:
            self.bulk_create(fresh, batch_size=500)
        return FindingsChanged(len(fresh), len(changed), len(gone))

    def record(self, market: Market, interval_minutes: int, finding: Finding, now: datetime) -> QualityFinding:
        """Note something that was seen once; seen again, it keeps its row."""
        row = (
            self.filter(market=market, interval_minutes=interval_minutes, kind=finding.kind, start=finding.range.start)
            .exclude(state=FindingState.RESOLVED)
            .first()
        )
        if row is None:
            row = self._new((market.pk, interval_minutes), finding, now)
            row.save()
        elif row.take(finding):
            row.save(update_fields=["end", "severity", "evidence"])
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
        told = (finding.range.end, finding.severity.value, dict(finding.evidence))
        if (self.end, self.severity, self.evidence) == told:
            return False
        self.end, self.severity, self.evidence = told
        return True
