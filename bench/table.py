"""The table, for people and as JSON, and the state of the machine it was made on."""
import dataclasses
import json
import os
import pathlib
import platform
import re


def read(path, default=""):
    try:
        return pathlib.Path(path).read_text()
    except OSError:
        return default


def steal_ticks():
    fields = read("/proc/stat").split("\n")[0].split()
    return int(fields[8]) if len(fields) > 8 else 0


def machine():
    model = re.search(r"^model name\s*:\s*(.*)$", read("/proc/cpuinfo"), re.M)
    return {
        "cpu": model[1] if model else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "governor": read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "not visible").strip(),
        "load": read("/proc/loadavg").split()[:2],
    }


def build_type(build):
    try:
        options = json.loads(read(build / "meson-info/intro-buildoptions.json", "[]"))
    except ValueError:
        options = []
    return next((o["value"] for o in options if o["name"] == "buildtype"), "unknown")


def as_cells(row):
    if row.skipped:
        return [row.what, row.mode, "", "", "", row.target, "", "", f"skipped: {row.skipped}"]
    us = row.value or f"{row.us:.2f} us"
    ratio = f"{row.ratio:.2f}" if row.ratio is not None else ""
    if row.spread:
        ratio += f" ({row.spread[0]:.2f}-{row.spread[1]:.2f})"
    floor = f"{row.floor_us:.2f}" if row.floor_us is not None else ""
    met = {True: "met", False: "MISSED", None: ""}[row.met]
    remark = row.remark
    if row.dropped:
        remark = f"{remark}{'; ' if remark else ''}{row.dropped} of {row.rounds + row.dropped} rounds dropped"
    return [row.what, row.mode, us, floor, ratio, row.target, met, row.libcoap, remark]


HEAD = ["what", "mode", "server CPU", "floor", "ratio", "target", "", "libcoap", "remark"]


def print_table(rows):
    cells = [HEAD] + [as_cells(row) for row in rows]
    width = [max(len(line[i]) for line in cells) for i in range(len(HEAD))]
    for line in cells:
        print("  ".join(text.ljust(w) if i in (0, 1, 5, 8) else text.rjust(w) for i, (text, w) in enumerate(zip(line, width))).rstrip())


def print_json(about, rows):
    print(json.dumps({"about": about, "rows": [dataclasses.asdict(row) for row in rows]}, indent=2))
