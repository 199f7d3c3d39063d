"""A fictional exchange that behaves like Kraken, so that the truth is always known. For demos, tests and benchmarks.

`exchange.SandboxExchange` knows every trade and every candle of any time at once; `archives` writes them to disk in
each shape in which Kraken publishes its history; `rest` and `server` answer as its REST API does, on loopback.
`python -m chandlery.sandbox --help` does all of it from a terminal.
"""
