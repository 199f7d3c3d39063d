"""The pure core: intervals, time ranges, candle frames, verdicts. No Django, no files, no network, no clock."""
