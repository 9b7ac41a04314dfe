"""Programs are run and timed, caches are dropped, sides take turns."""
import os
import subprocess
import time


def run(*command):
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def shell(script, *arguments):
    """The script's own arguments are $1 and on."""
    subprocess.run(['bash', '-euo', 'pipefail', '-c', script, 'bash', *arguments], check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def timed(work):
    """Seconds."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def settle():
    """What was written before is on disk, and is not waited for in what is timed next."""
    os.sync()


def cold(*programs):
    """Nothing is cached, but the programs that are timed next: their own pages are not what is measured."""
    os.sync()
    with open('/proc/sys/vm/drop_caches', 'w', encoding='ascii') as f:
        f.write('3')
    for program in programs:
        run(program, '--version')


def alternate(sides, turns):
    """Calls each side once a turn; who is first changes with the turn. A side is a function that gives {figure: number}.

    Gives {figure: {side: [numbers]}}."""
    figures = {}
    for turn in range(turns):
        order = list(sides.items())
        for name, side in reversed(order) if turn % 2 else order:
            for figure, number in side().items():
                figures.setdefault(figure, {s: [] for s in sides})[name].append(number)
    return {figure: {s: numbers for s, numbers in of_sides.items() if numbers}
            for figure, of_sides in figures.items()}


def percentile(numbers, part):
    return sorted(numbers)[min(len(numbers) - 1, int(len(numbers) * part))]
