"""What can be wrong with an archive, said in one line each."""

from chandlery.errors import ChandleryError, UsageError


class SourceNotFound(UsageError):
    """There is nothing at {path}; name a folder, a ZIP, the parts of a split ZIP or a CSV file that is there."""


class UnknownSource(UsageError):
    """{path} is not a source; name a folder, a .zip, a .part00 or a .csv file."""


class NotACandleFile(UsageError):
    """{path} is not named like an archive file; expected MARKET_MINUTES.csv with minutes of 1, 5, 15, 30, 60, 240,
    720 or 1440, such as XBTUSD_60.csv."""


class ArchiveError(ChandleryError):
    """{message}"""


class NotAnArchive(ArchiveError):
    """{path} is not a readable ZIP: {why}."""


class MissingPart(ArchiveError):
    """{path} cannot be read: {missing} is missing; put it beside the other parts."""


class EncryptedArchive(ArchiveError):
    """{path} is protected by a password; unpack it and name the folder instead."""


class EncryptedMember(ArchiveError):
    """{path} is protected by a password; unpack it and name the folder instead."""


class UnsupportedCompression(ArchiveError):
    """{path} is compressed by method {method}; only stored (0) and deflated (8) members can be read."""


class UnsafeName(ArchiveError):
    """{path} has a name that leads out of the archive; it is not read."""


class AmbiguousSeries(ArchiveError):
    """{path} and {other} both claim to be {series}; neither is read."""


class MalformedManifest(ArchiveError):
    """{path} is no manifest to go by: {why}."""


class IncompleteRelease(ArchiveError):
    """{path} holds {found} of the {claimed} files its manifest names; what is there counts as loose files."""


class UnreadableFile(ArchiveError):
    """{path} cannot be read: {why}."""


class DamagedArchive(ArchiveError):
    """{path} is damaged: {why}."""


class UnknownPeriod(ArchiveError):
    """Release {name} does not say when it ends; read its last slots first."""


class EmptyMember(ArchiveError):
    """{path}:1: the file is empty; expected at least one row."""


class MalformedRow(ArchiveError):
    """{path}:{line}: {column} is {value!r}; expected {expected}."""
