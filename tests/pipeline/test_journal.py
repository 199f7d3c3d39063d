import errno
import os
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chandlery.candles.timerange import RangeSet
from chandlery.candles.trades import TRADE_SCHEMA
from chandlery.exchanges.kraken.api.trades import TradesPage
from chandlery.exchanges.kraken.walk import PROVEN, UNPROVEN, Step, Walk, cursor_at
from chandlery.pipeline import journal as journal_module
from chandlery.pipeline.journal import Journal, JournalUnusable, Replayed
from tests.candles.builders import at, between

WANTED = between("2024-03-31 12:00", "2024-03-31 18:00")
START = Walk.start(WANTED, cursor_at(at("2024-03-31 11:00")))
HEADER = {"market": "XBTUSD", "job": "1234"}
NOON = int(at("2024-03-31 12:00").timestamp()) * 1_000_000_000
SECOND = 1_000_000_000


def steps_of(*pages: list[tuple[int, int]]) -> list[Step]:
    """Of pages of (seconds since 12:00, id), one after the other, the first seen twice where its ids break."""
    walk, steps = START, []
    for page in pages:
        rows = [(NOON + seconds * SECOND, 100.0 + seconds, 0.1, number) for seconds, number in page]
        frame = pl.DataFrame(rows, schema=TRADE_SCHEMA, orient="row")
        steps.append(walk.taken(TradesPage(frame, str(rows[-1][0])), at("2024-04-01")))
        walk = steps[-1].walk
    return steps


BROKEN = [(230, 5), (400, 9), (470, 10)]
STEPS = steps_of([(-60, 1), (10, 2), (70, 3), (200, 4)], BROKEN, BROKEN, [(800, 11), (100_000, 12)])


def seen(replayed: Replayed | None) -> tuple[object, ...]:
    assert replayed is not None
    candles = [tuple(row) for row in replayed.candles.iter_rows()]
    return (replayed.walk, candles, replayed.answers, replayed.breaks, replayed.pages, replayed.trades)


def expected(steps: list[Step], since: Walk = START) -> tuple[object, ...]:
    """What a journal with these steps is to hold."""
    answers: dict[object, RangeSet] = {}
    for step in steps:
        for kind, ranges in step.answers.items():
            answers[kind] = answers.get(kind, RangeSet()) | ranges
    return (
        steps[-1].walk if steps else since,
        [tuple(row) for step in steps for row in step.candles.iter_rows()],
        answers,
        tuple(one for step in steps for one in step.breaks),
        len(steps),
        sum(step.trades for step in steps),
    )


def written(path: Path, steps: list[Step]) -> Journal:
    journal = Journal(path)
    journal.begin(HEADER, START)
    for step in steps:
        journal.append(step)
    return journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "walks" / "XBTUSD.journal"


def test_the_steps_at_hand_have_all_that_a_journal_is_to_keep() -> None:
    assert sum(step.candles.height for step in STEPS) == 6
    assert {kind for step in STEPS for kind in step.answers} == {PROVEN, UNPROVEN}
    assert len(STEPS[2].breaks) == 1
    assert STEPS[1].trades == 0
    assert STEPS[-1].walk.next_cursor is None


def test_without_a_file_there_is_nothing_to_replay(path: Path) -> None:
    assert Journal(path).replay() is None


def test_what_was_written_is_replayed(path: Path) -> None:
    written(path, STEPS)
    replayed = Journal(path).replay()
    assert replayed is not None
    assert replayed.header == HEADER
    assert seen(replayed) == expected(STEPS)


def test_a_journal_that_has_just_begun_holds_the_walk(path: Path) -> None:
    written(path, [])
    assert seen(Journal(path).replay()) == expected([])


def test_it_goes_on_after_a_replay(path: Path) -> None:
    written(path, STEPS[:2])
    journal = Journal(path)
    journal.replay()
    for step in STEPS[2:]:
        journal.append(step)
    assert seen(Journal(path).replay()) == expected(STEPS)


def test_settled_candles_and_answers_are_forgotten(path: Path) -> None:
    journal = written(path, STEPS[:3])
    before = path.stat().st_size
    journal.settle(STEPS[2].walk)
    assert path.stat().st_size < before
    assert seen(Journal(path).replay()) == expected([], STEPS[2].walk)

    journal.append(STEPS[3])
    replayed = Journal(path).replay()
    assert replayed is not None
    assert replayed.header == HEADER
    assert seen(replayed) == expected(STEPS[3:])


def test_a_new_beginning_forgets_everything(path: Path) -> None:
    written(path, STEPS)
    Journal(path).begin({"market": "ETHUSD"}, START)
    replayed = Journal(path).replay()
    assert replayed is not None
    assert replayed.header == {"market": "ETHUSD"}
    assert replayed.pages == 0


def test_a_deleted_journal_is_gone_and_may_be_deleted_again(path: Path) -> None:
    journal = written(path, STEPS)
    (path.parent / "XBTUSD.journal.new").write_bytes(b"what a kill has left")
    journal.delete()
    journal.delete()
    assert list(path.parent.iterdir()) == []
    assert journal.replay() is None


def test_nothing_is_added_to_a_journal_that_has_not_begun(path: Path) -> None:
    with pytest.raises(ValueError, match="begun or replayed"):
        Journal(path).append(STEPS[0])
    with pytest.raises(ValueError, match="begun or replayed"):
        Journal(path).settle(START)


# ------------------------------------------------------------------------------------------------------------ accidents


def test_cut_off_at_any_byte_it_holds_the_pages_that_are_whole_and_goes_on_from_there(path: Path) -> None:
    journal = Journal(path)
    journal.begin(HEADER, START)
    ends = [path.stat().st_size]
    for step in STEPS[:3]:
        journal.append(step)
        ends.append(path.stat().st_size)
    whole = path.read_bytes()
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        cut = Journal(path)
        replayed = cut.replay()
        if length < ends[0]:
            assert replayed is None
            continue
        pages = sum(end <= length for end in ends) - 1
        assert seen(replayed) == expected(STEPS[:pages])
        if length % 97 == 0:
            for step in STEPS[pages:]:
                cut.append(step)
            assert seen(Journal(path).replay()) == expected(STEPS)


@settings(max_examples=200)
@given(place=st.integers(0), bit=st.integers(0, 7))
def test_a_damaged_byte_ends_the_replay_before_it(
    tmp_path_factory: pytest.TempPathFactory, place: int, bit: int
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "journal"
    written(path, STEPS)
    damaged = bytearray(path.read_bytes())
    damaged[place % len(damaged)] ^= 1 << bit
    path.write_bytes(damaged)
    replayed = Journal(path).replay()
    if replayed is not None:
        assert replayed.pages < len(STEPS)
        assert seen(replayed) == expected(STEPS[: replayed.pages])


@pytest.mark.parametrize("content", [b"", b"\0" * 5000, b"not a journal at all", b"\xff" * 100])
def test_a_file_without_a_header_is_a_fresh_start(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    journal = Journal(path)
    assert journal.replay() is None
    journal.begin(HEADER, START)
    assert seen(journal.replay()) == expected([])


def test_a_journal_of_another_form_is_a_fresh_start(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "FORMAT", 2)
    written(path, STEPS)
    monkeypatch.undo()
    assert Journal(path).replay() is None


def test_a_full_disk_is_said_in_one_line_and_leaves_no_half_record(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = written(path, STEPS[:1])

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(JournalUnusable) as problem:
        journal.append(STEPS[1])
    monkeypatch.undo()
    assert str(problem.value) == f"The journal of a walk, {path}, cannot be used: No space left on device."
    journal.append(STEPS[1])
    assert seen(Journal(path).replay()) == expected(STEPS[:2])


def test_a_place_where_no_file_can_be_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "walks").write_text("a file")
    with pytest.raises(JournalUnusable, match="cannot be used"):
        Journal(tmp_path / "walks" / "XBTUSD").begin(HEADER, START)
    with pytest.raises(JournalUnusable, match="Not a directory"):
        Journal(tmp_path / "walks" / "XBTUSD").replay()
