"""Names and numbers as text, for report.py."""
import re

UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def by_number(name):
    """Sorts layer_2 before layer_10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def plain(name):
    """A name as text that every font and page can have: what can't be printed becomes a �."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)


def shortened(name, most=38):
    name = plain(name)
    return name if len(name) <= most else f"{name[:most // 2 - 1]}…{name[-(most // 2):]}"


def many(number, noun):
    return f"{number:,} {noun}{'s' * (number != 1)}"


def percent(number):
    return f"{100 * number:,.0f} %" if 1 <= number < 1e4 else f"{100 * number:.3g} %"


def times_norm(number):
    return f"{percent(number)} of its norm" if number < 10 else f"{number:.2g} times its norm"


def share(part, whole):
    """A share as text that says 100 % only of all, and 0 % of nothing."""
    if 0 < part < whole / 100:
        return "< 1 %"
    return "> 99 %" if whole * 0.99 < part < whole else f"{100 * part / whole:.0f} %"


def size_text(size):
    for unit in UNITS:
        if size < 1024 or unit == UNITS[-1]:
            return f"{size:.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1024


def listed(names, most=5):
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
