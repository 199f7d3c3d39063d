"""The markets that play in the sandbox. Names are Kraken's; lives, prices and paces are made up."""

from datetime import UTC, datetime

from chandlery.candles.timerange import TimeRange
from chandlery.sandbox.market import SandboxMarket

#: Nothing trades anywhere for five hours, across midnight.
OUTAGE = TimeRange(datetime(2024, 2, 10, 21, 30, tzinfo=UTC), datetime(2024, 2, 11, 2, 40, tzinfo=UTC))

#: Twelve markets up to the middle of 2026 have some 17 million candles at eight intervals, a third of them in
#: XBTUSD at one minute.
CAST = (
    SandboxMarket(
        "XBTUSD", "XBT/USD", "XXBT", "ZUSD",
        listed=datetime(2014, 4, 8, 12, 4, tzinfo=UTC), price=20_000, decimals=1, share=0.97, size=0.04,
    ),
    SandboxMarket(
        "ETHUSD", "ETH/USD", "XETH", "ZUSD",
        listed=datetime(2022, 1, 13, 14, 0, tzinfo=UTC), price=1_500, share=0.8, size=0.6, volatility=0.0005,
    ),
    SandboxMarket(
        "XBTEUR", "XBT/EUR", "XXBT", "ZEUR",
        listed=datetime(2023, 2, 7, 9, 30, tzinfo=UTC), price=18_000, decimals=1, share=0.65, depth=1.5, size=0.03,
    ),
    # Listed in mid-history.
    SandboxMarket(
        "SOLUSD", "SOL/USD", "SOL", "ZUSD",
        listed=datetime(2023, 11, 16, 15, 30, tzinfo=UTC), price=60, share=0.6, depth=1.5, size=9, volatility=0.0006,
    ),
    SandboxMarket(
        "XDGUSD", "XDG/USD", "XXDG", "ZUSD",
        listed=datetime(2024, 8, 13, 11, 0, tzinfo=UTC), price=0.09, decimals=7, share=0.6, depth=1, size=800,
        volatility=0.0006,
    ),
    SandboxMarket(
        "XRPEUR", "XRP/EUR", "XXRP", "ZEUR",
        listed=datetime(2024, 6, 18, 8, 15, tzinfo=UTC), price=0.5, decimals=5, share=0.4, depth=1, size=400,
    ),
    SandboxMarket(
        "ADAUSD", "ADA/USD", "ADA", "ZUSD",
        listed=datetime(2021, 9, 28, 14, 30, tzinfo=UTC), price=0.6, decimals=6, share=0.15, depth=1, size=350,
        volatility=0.0005,
    ),
    # Delisted in mid-history.
    SandboxMarket(
        "MATICUSD", "MATIC/USD", "MATIC", "ZUSD",
        listed=datetime(2022, 2, 23, 16, 0, tzinfo=UTC), delisted=datetime(2024, 9, 12, 14, 0, tzinfo=UTC),
        price=0.8, decimals=4, share=0.25, depth=1, size=250, volatility=0.0006,
    ),
    # Thin: one minute in twenty, and less.
    SandboxMarket(
        "XMREUR", "XMR/EUR", "XXMR", "ZEUR",
        listed=datetime(2020, 1, 2, 10, 0, tzinfo=UTC), price=130, share=0.05, depth=0.5, size=2,
    ),
    SandboxMarket(
        "ICXUSD", "ICX/USD", "ICX", "ZUSD",
        listed=datetime(2021, 6, 8, 15, 0, tzinfo=UTC), price=0.4, decimals=4, share=0.05, depth=0.5, size=120,
    ),
    SandboxMarket(
        "KSMUSD", "KSM/USD", "KSM", "ZUSD",
        listed=datetime(2023, 3, 9, 15, 0, tzinfo=UTC), price=40, share=0.05, depth=0.5, size=3,
    ),
    SandboxMarket(
        "MLNEUR", "MLN/EUR", "XMLN", "ZEUR",
        listed=datetime(2023, 6, 22, 9, 0, tzinfo=UTC), price=18, decimals=3, share=0.01, depth=0.5, size=1,
    ),
)  # fmt: skip

#: For tests that write whole archives in no time: the first two quarters of 2024, with the outage, a busy market, one
#: that is listed in mid-February and one that is delisted in mid-May.
SMALL_CAST = (
    SandboxMarket(
        "XBTUSD", "XBT/USD", "XXBT", "ZUSD",
        listed=datetime(2022, 10, 6, 21, 34, tzinfo=UTC), price=20_000, decimals=1, share=0.6, depth=1, size=0.04,
    ),
    SandboxMarket(
        "ETHEUR", "ETH/EUR", "XETH", "ZEUR",
        listed=datetime(2024, 2, 14, 10, 7, tzinfo=UTC), price=1_300, share=0.05, depth=0.5, size=0.5,
    ),
    SandboxMarket(
        "ADAUSD", "ADA/USD", "ADA", "ZUSD",
        listed=datetime(2024, 1, 1, tzinfo=UTC), delisted=datetime(2024, 5, 15, 14, 0, tzinfo=UTC),
        price=0.6, decimals=6, share=0.05, depth=1, size=350,
    ),
)  # fmt: skip
