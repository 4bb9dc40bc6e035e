"""One line of the table."""
import dataclasses


@dataclasses.dataclass
class Row:
    group: str
    what: str
    mode: str = ""  # NON or CON, clients x outstanding
    us: float = None  # CPU of the server under test, per request or notification
    floor_us: float = None
    ratio: float = None
    spread: tuple = None  # of the ratio
    target: str = ""
    met: bool = None
    libcoap: str = ""
    remark: str = ""
    value: str = ""  # where it is not a time
    skipped: str = ""
    rounds: int = None
    dropped: int = None


def figures(row, m, target=None, limit=None):
    """Puts what medians() returned into a row."""
    row.us, row.floor_us, row.ratio = m["ours"], m.get("floor"), m.get("ratio")
    row.rounds, row.dropped = int(m["rounds"]), int(m["dropped"])
    if "least" in m:
        row.spread = (m["least"], m["most"])
    if "libcoap" in m:
        row.libcoap = f"{m['libcoap']:.2f}" if m["libcoap"] is not None else "not clean"
    if target is not None:
        row.target = limit or f"{target:g}"
        row.met = row.ratio <= target
    return row


NOT_CLEAN = "too few clean rounds"


def no_figure(row, why):
    row.skipped = f"{NOT_CLEAN}, the last one: {why}"
    return row
