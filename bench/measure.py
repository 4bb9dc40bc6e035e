"""One clean figure, and the median of several."""
import statistics
import subprocess
import sys


class Unclean(Exception):
    """The run does not count: an answer was lost, came twice or was wrong."""


def run_tool(build, name, *argv, seconds=3):
    """What one of our generators said, as a dictionary; the server's CPU is the list under "us"."""
    command = [str(build / "bench" / name), *map(str, argv)]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=seconds * 4 + 60)
    except subprocess.TimeoutExpired:
        raise Unclean(f"{name}: it did not end") from None
    if run.returncode:
        raise Unclean(f"{name}: {run.stdout.strip()} {run.stderr.strip()}")
    said = {"us": []}
    for field in run.stdout.split():
        key, _, value = field.partition("=")
        if key == "us":
            said["us"].append(float(value))
        else:
            said[key] = float(value)
    return said


def load(build, server, clients, outstanding, seconds, confirmable=False, path=None, pids=None, tool="coap_load"):
    argv = ["-n", clients, "-w", outstanding, "-t", seconds] + (["-c"] if confirmable else [])
    for pid in pids or server.pids:
        argv += ["-p", pid]
    return run_tool(build, tool, *argv, "127.0.0.1", server.port, path or server.path, seconds=seconds)


def if_clean(measure):
    """For a server that stands beside ours: where its run is not clean, its figure is missing and ours is not."""
    try:
        return measure()
    except Unclean:
        return None


def median(values):
    known = [v for v in values if v is not None]
    return statistics.median(known) if len(known) * 2 > len(values) else None


def medians(what, rounds, measure):
    """measure() returns a dictionary of figures; each one's median over so many clean rounds, and the spread of "ratio".

    Half as many again are tried where some were not clean; with fewer than half of them clean there is no figure.
    """
    good, n_dropped, why = [], 0, None
    while len(good) < rounds and len(good) + n_dropped < rounds + rounds // 2 + 1:
        try:
            good.append(measure())
        except Unclean as unclean:
            n_dropped += 1
            why = str(unclean)
            print(f"bench: {what}: a round was not clean and does not count: {unclean}", file=sys.stderr)
    if not good or len(good) * 2 < rounds:
        return None, why
    result = {key: median([g[key] for g in good]) for key in good[0]}
    if "ratio" in result:
        result["least"], result["most"] = min(g["ratio"] for g in good), max(g["ratio"] for g in good)
    result["rounds"], result["dropped"] = len(good), n_dropped
    return result, why
