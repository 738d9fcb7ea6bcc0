"""Times out of the cells of a file, and the times of bars that they mean."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.domain.time_range import to_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import BarFileError
from marketdata.providers.files.time_patterns import parse_time_format
from marketdata.providers.files.times import TimeReader
from marketdata.providers.files.written_times import place_times

NEW_YORK = "America/New_York"


def placed(
    cells: list[Any],
    timeframe: str = "1m",
    time_zone: str = "UTC",
    time_format: str | None = None,
    kind: pa.DataType | None = None,
) -> list[str]:
    """Read a column; give each time in UTC, or the rule that it breaks."""
    column = pa.array(cells) if kind is None else pa.array(cells, kind)
    written = TimeReader(time_format).read(column)
    times = place_times(written, Timeframe(timeframe), time_zone)
    texts = np.datetime_as_string(times.time_us.astype("datetime64[us]"), unit="s").tolist()
    for rule, rows in times.problems.items():
        for row in np.flatnonzero(rows):
            texts[row] = rule
    return [str(text) for text in texts]


@pytest.mark.parametrize(
    "text",
    [
        "2024-01-02 14:30",
        "2024-01-02 14:30:00",
        "2024-01-02T14:30:00.000",
        "2024-01-02T14:30:00.000000000",
        "2024-01-02T14:30:00Z",
        "2024-01-02 14:30:00 UTC",
        "2024-01-02 09:30:00-05:00",
        "2024-01-02T09:30-0500",
        "2024-01-02T20:00:00+05:30",
        "2024/01/02 14:30",
        "20240102 14:30:00",
        "20240102 143000",
        "20240102T1430",
        " 2024-01-02T14:30 ",
    ],
)
def test_read_given_iso_8601_as_vendors_write_it_gives_the_instant(text: str) -> None:
    """Alone, repeated, and beside another form: the same instant."""
    assert placed([text]) == ["2024-01-02T14:30:00"]
    assert placed([text, text, "2024-01-02T14:31Z"])[:2] == ["2024-01-02T14:30:00"] * 2


@pytest.mark.parametrize(
    "text",
    ["", "x", "1/2/2024 14:30", "2.1.2024", "2024-02-30 14:30", "2024-13-01 14:30", "2024-00-10 10:00",
     "2024-01-00 10:00", "2024-01-02 24:00", "2024-01-02 14:60", "2024-01-02 1", "14:30", "12345"],
)  # fmt: skip
def test_read_given_what_is_no_time_blames_only_that_row(text: str) -> None:
    """Neither is guessed what could be two dates, nor made a date of what is none."""
    good = "2024-01-02T14:30:00"
    assert placed([good, text, good]) == [good, "NOT_A_TIME", good]


OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
FIRST, LAST = datetime(1900, 1, 1), datetime(2099, 12, 31)  # noqa: DTZ001 -- zones are put to them


@given(
    st.lists(st.datetimes(FIRST, LAST, timezones=st.one_of(st.just(UTC), OFFSETS)), min_size=1),
    st.sampled_from(["minutes", "seconds", "milliseconds", "microseconds"]),
    st.sampled_from([" ", "T"]),
)
def test_read_given_any_time_that_python_writes_agrees_with_python(
    times: list[datetime], timespec: str, separator: str
) -> None:
    """`datetime` is the oracle, at every precision and offset."""
    texts = [time.isoformat(separator, timespec) for time in times]
    written = TimeReader().read(pa.array(texts))
    expected = [to_unix_us(datetime.fromisoformat(text)) for text in texts]
    assert written.instant_us.tolist() == expected


@pytest.mark.parametrize(
    ("number", "unit"),
    [
        (1_704_205_800, "s"),
        (1_704_205_800_000, "ms"),
        (1_704_205_800_000_000, "us"),
        (1_704_205_800_000_000_000, "ns"),
    ],
)
def test_read_given_numbers_since_1970_tells_their_unit_by_size(number: int, unit: str) -> None:
    """In text, in text of pandas, and as numbers; the unit can be asked for afterwards."""
    for cells in ([str(number)], [f"{number}.0"], [number]):
        assert placed(cells) == ["2024-01-02T14:30:00"]
        assert placed(cells, time_format=unit) == ["2024-01-02T14:30:00"]
        reader = TimeReader()
        reader.read(pa.array(cells))
        assert reader.epoch_unit == unit


def test_read_given_one_number_of_another_size_keeps_the_unit_of_the_others() -> None:
    """A wrong row does not decide what the others mean, in its block nor in the next one."""
    reader = TimeReader()
    reader.read(pa.array([1_704_205_800, 1_704_205_860, 1_704_205_860_000_000]))
    assert reader.epoch_unit == "s"
    late = reader.read(pa.array([1_704_205_860_000_000]))
    assert int(late.instant_us[0]) > Timeframe.MINUTE_1.latest_us


def test_read_given_small_numbers_reads_them_only_when_told() -> None:
    """86400 may be a day of 1970 or anything: the unit must be said."""
    assert placed(["86400"], "1d") == ["NOT_A_TIME"]
    assert placed(["86400", "-86400"], "1d", time_format="s") == [
        "1970-01-02T00:00:00",
        "1969-12-31T00:00:00",
    ]


def test_read_given_eight_digits_reads_a_date() -> None:
    """20240102 is a date, in text and as a number."""
    assert placed(["20240102"], "1d") == ["2024-01-02T00:00:00"]
    assert placed([20240102, None], "1d") == ["2024-01-02T00:00:00", "NOT_A_TIME"]


@pytest.mark.parametrize(
    ("text", "time_format", "expected"),
    [
        ("13/02/2024 14:30", "%d/%m/%Y %H:%M", "2024-02-13T14:30:00"),
        ("2/13/24 2:30 PM", "%m/%d/%y %I:%M %p", "2024-02-13T14:30:00"),
        ("2/13/24 12:30 am", "%m/%d/%y %I:%M %p", "2024-02-13T00:30:00"),
        ("13-Feb-2024  14:30:00", "%d-%b-%Y %H:%M:%S", "2024-02-13T14:30:00"),
        ("13.02.99 14h30", "%d.%m.%y %Hh%M", "1999-02-13T14:30:00"),
        ("2024-02-13 09:30 -0500", "%Y-%m-%d %H:%M %z", "2024-02-13T14:30:00"),
        ("100% 2024 02 13 14 30", "100%% %Y %m %d %H %M", "2024-02-13T14:30:00"),
        ("13/14/2024 14:30", "%d/%m/%Y %H:%M", "NOT_A_TIME"),
        ("30/02/2024 14:30", "%d/%m/%Y %H:%M", "NOT_A_TIME"),
        ("13-Foo-2024 14:30", "%d-%b-%Y %H:%M", "NOT_A_TIME"),
        ("2/13/24 13:30 PM", "%m/%d/%y %I:%M %p", "NOT_A_TIME"),
        ("2024-02-13 14:30", "%d/%m/%Y %H:%M", "NOT_A_TIME"),
        ("13/02/2024 14:30 x", "%d/%m/%Y %H:%M", "NOT_A_TIME"),
    ],
)
def test_read_given_a_format_reads_by_it_alone(text: str, time_format: str, expected: str) -> None:
    """What a person says of the times is followed to the letter, and the calendar holds."""
    assert placed([text], time_format=time_format) == [expected]


@pytest.mark.parametrize(
    ("time_format", "said"),
    [
        ("%d/%m/%Q", "%Q is not known"),
        ("%d/%d/%Y", "stands twice"),
        ("%d/%m", "a day, a month and a year"),
        ("%d/%m/%Y %y", "a day, a month and a year"),
        ("%d/%m/%Y %I:%M", "%I and %p only together"),
        ("%d/%m/%Y %H %I %p", "%I and %p only together"),
    ],
)
def test_parse_time_format_given_one_that_says_no_time_refuses(time_format: str, said: str) -> None:
    """A format that cannot tell a time is refused before a row is read."""
    with pytest.raises(BarFileError, match=said):
        parse_time_format(time_format)


def test_place_given_a_time_zone_puts_times_without_an_offset_there() -> None:
    """Winter and summer; what has an offset stays where it is."""
    assert placed(
        ["2024-01-02 09:30", "2024-07-01 09:30", "2024-07-01 09:30Z"], time_zone=NEW_YORK
    ) == ["2024-01-02T14:30:00", "2024-07-01T13:30:00", "2024-07-01T09:30:00"]


def test_place_given_the_hour_that_happens_twice_rejects_it() -> None:
    """2024-11-03 01:30 in New York is two instants; with its offset it is one."""
    texts = ["2024-11-03 00:59", "2024-11-03 01:00", "2024-11-03 01:59", "2024-11-03 02:00"]
    assert placed(texts, time_zone=NEW_YORK) == [
        "2024-11-03T04:59:00",
        "AMBIGUOUS_TIME",
        "AMBIGUOUS_TIME",
        "2024-11-03T07:00:00",
    ]
    assert placed(["2024-11-03 01:30-05:00"], time_zone=NEW_YORK) == ["2024-11-03T06:30:00"]


def test_place_given_the_hour_that_is_left_out_rejects_it() -> None:
    """2024-03-10 02:30 never was in New York."""
    texts = ["2024-03-10 01:59", "2024-03-10 02:00", "2024-03-10 02:59", "2024-03-10 03:00"]
    assert placed(texts, time_zone=NEW_YORK) == [
        "2024-03-10T06:59:00",
        "TIME_DOES_NOT_EXIST",
        "TIME_DOES_NOT_EXIST",
        "2024-03-10T07:00:00",
    ]


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2037, 12, 31)),  # noqa: DTZ001 -- local times are the point
    st.sampled_from([NEW_YORK, "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "Asia/Tokyo"]),
)
def test_place_given_any_local_time_agrees_with_zoneinfo(local: datetime, time_zone: str) -> None:
    """`zoneinfo` is the oracle, both switches of the clocks included."""
    zone = ZoneInfo(time_zone)
    local = local.replace(second=0, microsecond=0)
    first, second = (local.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    (found,) = placed([local.isoformat()], time_zone=time_zone)
    if first.utcoffset() == second.utcoffset():
        assert found == first.astimezone(UTC).replace(tzinfo=None).isoformat()
    else:
        exists = first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == local
        assert found == ("AMBIGUOUS_TIME" if exists else "TIME_DOES_NOT_EXIST")


def test_place_given_dates_for_daily_bars_labels_sessions() -> None:
    """A date is a session date, whatever the time zone."""
    for time_zone in ("UTC", NEW_YORK, "Asia/Tokyo"):
        assert placed(["2024-01-02", "2024-01-03"], "1d", time_zone) == [
            "2024-01-02T00:00:00",
            "2024-01-03T00:00:00",
        ]


@pytest.mark.parametrize("time_zone", ["UTC", NEW_YORK])
@pytest.mark.parametrize(
    "text",
    ["2024-01-02 00:00:00", "2024-01-02 00:00:00-05:00", "2024-01-02T00:00Z", "2024-01-02 00:00+09:00"],
)
def test_place_given_midnights_for_daily_bars_labels_their_dates(text: str, time_zone: str) -> None:
    """Midnight names its date, as pandas and yfinance write it, whatever the offset."""
    assert placed([text], "1d", time_zone) == ["2024-01-02T00:00:00"]


def test_place_given_an_instant_that_is_midnight_at_the_exchange_labels_that_session() -> None:
    """05:00Z is midnight in New York in winter, 04:00Z in summer: as Alpaca labels daily bars."""
    texts = ["2024-01-02T05:00:00Z", "2024-07-01T04:00:00Z", "2024-07-01T05:00:00Z"]
    assert placed(texts, "1d", NEW_YORK) == [
        "2024-01-02T00:00:00",
        "2024-07-01T00:00:00",
        "2024-07-01T05:00:00",
    ]
    assert placed(["1704171600"], "1d", NEW_YORK) == ["2024-01-02T00:00:00"]


def test_place_given_another_time_of_day_for_daily_bars_leaves_it_to_the_rules() -> None:
    """The close at 16:00 is no session date: TIME_NOT_ALIGNED says so."""
    assert placed(["2024-01-02 16:00:00"], "1d", NEW_YORK) == ["2024-01-02T16:00:00"]


def test_place_given_dates_for_minutes_rejects_them() -> None:
    """A file of daily bars read as minutes must not become bars of midnight."""
    assert placed(["2024-01-02", "2024-01-02 00:00"]) == ["NO_TIME_OF_DAY", "2024-01-02T00:00:00"]


@pytest.mark.parametrize(
    ("cells", "kind", "timeframe", "expected"),
    [
        ([1_704_205_800_000_000_000], pa.timestamp("ns", "UTC"), "1m", "2024-01-02T14:30:00"),
        ([1_704_205_800_000], pa.timestamp("ms", NEW_YORK), "1m", "2024-01-02T14:30:00"),
        ([1_704_187_800_000_000], pa.timestamp("us"), "1m", "2024-01-02T14:30:00"),
        ([1_704_171_600], pa.timestamp("s", NEW_YORK), "1d", "2024-01-02T00:00:00"),
        ([1_704_153_600], pa.timestamp("s"), "1d", "2024-01-02T00:00:00"),
        ([19_724], pa.date32(), "1d", "2024-01-02T00:00:00"),
        ([19_724], pa.date32(), "1m", "NO_TIME_OF_DAY"),
        ([None], pa.timestamp("us"), "1d", "NOT_A_TIME"),
        (["2024-01-02"], pa.large_string(), "1d", "2024-01-02T00:00:00"),
    ],
)
def test_read_given_any_type_of_time_reads_it(
    cells: list[Any], kind: pa.DataType, timeframe: str, expected: str
) -> None:
    """Parquet files have times of all types; one without a zone is at home in --time-zone."""
    assert placed(cells, timeframe, NEW_YORK, kind=kind) == [expected]


@pytest.mark.parametrize("kind", [pa.float64(), pa.bool_(), pa.time64("us")])
def test_read_given_a_type_that_holds_no_time_refuses_the_file(kind: pa.DataType) -> None:
    """No row of such a column can be good."""
    with pytest.raises(BarFileError, match="times are timestamps, dates, whole numbers or text"):
        TimeReader().read(pa.nulls(1, kind))


@given(
    st.lists(
        st.one_of(st.none(), st.text(max_size=24), st.from_regex(r"[0-9:T +-]{1,20}", fullmatch=True))
    )
)
def test_read_given_any_text_never_fails_and_reads_each_row_as_if_it_were_alone(
    texts: list[str | None],
) -> None:
    """No cell can end the reading, nor change what its neighbours mean."""
    together = placed(texts, "1d", NEW_YORK, "%Y-%m-%d", pa.string())
    assert together == [placed([text], "1d", NEW_YORK, "%Y-%m-%d", pa.string())[0] for text in texts]
    placed(texts, kind=pa.string())


ISO_LIKE = r"\d{4}-[01]\d-[0-3]\d([ T][0-2]\d:[0-6]\d(:[0-6]\d(\.\d{1,9})?)?(Z|[+-]\d\d(:?\d\d)?)?)?"


@given(st.from_regex(ISO_LIKE, fullmatch=True))
def test_read_given_text_like_iso_8601_reads_it_alike_fast_and_slow(text: str) -> None:
    """A column of one form is cast as a whole; beside another form its texts are taken apart."""
    assert placed([text, "2024/01/02 14:30"])[0] == placed([text])[0]
    assert placed([text, "2024/01/02"], "1d")[0] == placed([text], "1d")[0]


def test_read_given_numbers_beside_iso_8601_reads_both() -> None:
    """A file that was put together from two vendors' files."""
    cells = ["2024-01-02T14:30:00Z", "1704205860", "2024-01-02 14:32", "x"]
    assert placed(cells) == [
        "2024-01-02T14:30:00",
        "2024-01-02T14:31:00",
        "2024-01-02T14:32:00",
        "NOT_A_TIME",
    ]
