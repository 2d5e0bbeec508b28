"""Check random networks: compiled code, gradients and references against each other.

    python tests/tools/fuzz.py --graphs 10000 --seed 0 [--seconds 170] [--checks mpmath,batch]
    python tests/tools/fuzz.py --minimise 45 [--checks batch]

Every number from `--seed` on makes one network; the checks that always run and one of the others in turn are
done for it. A network that fails is printed with its number, and so is one that takes longer than `--limit`
seconds of processor time; `--minimise` makes that network as small as it can be while the same check fails,
and prints it with the choices that make it. `--log` writes a line for every network. See docs/fuzzing.md.
"""

from __future__ import annotations

import argparse
import gc
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

sys.path.insert(0, str(Path(__file__).parent))

from fuzz_checks import CHECKS, MismatchError, Truth, check
from random_networks import Case, Random, Recorded, network

from symprop.errors import UnsupportedExpressionError

ALWAYS = ("mpmath", "numpy", "float32", "batch", "verify")
LIMIT = 60.0  # seconds of processor time for one network: a hundred times what one takes
OUT_OF_TIME = "not finished within"
IN_TURN = tuple(name for name in CHECKS if name not in ALWAYS)


class TimeLimitReached(BaseException):
    """Not an `Exception`: nothing that is checked may take it for one of its own."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raises `TimeLimitReached` in the block when the process has computed for so long.

    Processor time: a busy machine makes no network fail.
    """

    def reached(signum: int, frame: FrameType | None) -> None:
        raise TimeLimitReached

    before = signal.signal(signal.SIGPROF, reached)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def names_for(number: int) -> list[str]:
    """The checks of one network."""
    return [*ALWAYS, IN_TURN[number % len(IN_TURN)]]


def failure(
    case: Case, names: Sequence[str], limit: float = LIMIT, compared: Counter[str] | None = None
) -> tuple[str, str] | None:
    """(the check, what it says) of the first check that fails; any error is a failure of its check, and so is
    more processor time than the limit for all of them. `compared` counts the checks that compared something.
    """
    name = "truth"
    try:
        with time_limit(limit):
            truth = Truth(case)
            for name in names:
                done = check(case, [name], truth)
                if compared is not None:
                    compared.update(done)
    except UnsupportedExpressionError:
        return None
    except MismatchError as error:
        return name, str(error)
    except TimeLimitReached:
        return name, f"{OUT_OF_TIME} {limit:g} s of processor time"
    except Exception as error:
        return name, f"{type(error).__name__}: {error}"
    return None


def minimised(numbers: list[int], fails: Callable[[Case], bool], seconds: float) -> list[int]:
    """Fewer and smaller choices whose network fails still: blocks left out, numbers set to zero or halved."""
    end = time.monotonic() + seconds
    best = list(numbers)

    def better(candidate: list[int]) -> bool:
        nonlocal best
        if time.monotonic() > end:
            return False
        made = Recorded(candidate)
        try:
            case = network(made)
        except Exception:
            return False
        used = made.made
        while used and used[-1] == 0:
            used.pop()
        if (len(used), used) < (len(best), best) and fails(case):
            best = used
            return True
        return False

    changed = True
    while changed and time.monotonic() < end:
        changed = False
        for size in (32, 16, 8, 4, 2, 1):
            start = 0
            while start < len(best):
                if better(best[:start] + best[start + size :]):
                    changed = True
                else:
                    start += max(1, size // 2)
        for k in range(len(best)):
            for value in (0, 1, best[k] // 2 if k < len(best) else 0, best[k] - 1 if k < len(best) else 0):
                if k < len(best) and 0 <= value < best[k] and better([*best[:k], value, *best[k + 1 :]]):
                    changed = True
    return best


def minimise(number: int, names: Sequence[str], seconds: float) -> None:
    """Print the smallest network found that fails as that one does."""
    made = Random(number)
    first = failure(network(made), names)
    if first is None:
        print(f"network {number} passes {', '.join(names)}")
        return
    name, kind = first[0], first[1].split(":")[0]

    def fails(case: Case) -> bool:
        found = failure(case, [name])
        return found is not None and found[1].split(":")[0] == kind

    best = minimised(made.made, fails, seconds)
    case = network(Recorded(best))
    print(f"network {number}, {name}\n{case}\nchoices {best}\n{(failure(case, [name]) or ('', 'passes'))[1]}")


def run(
    first: int, count: int, names: Sequence[str] | None, seconds: float, limit: float, log: Path | None
) -> int:
    """Check networks; returns how many failed or did not end."""
    start, spent, failed, unfinished = time.monotonic(), 0.0, 0, 0
    compared: Counter[str] = Counter()
    number = first
    while number < first + count and time.monotonic() - start < seconds:
        before = time.process_time()
        chosen = list(names) if names else names_for(number)
        found = failure(network(Random(number)), chosen, limit, compared)
        result = "passed"
        if found is not None:
            late = found[1].startswith(OUT_OF_TIME)
            unfinished, failed = unfinished + late, failed + (not late)
            result = f"{'unfinished' if late else 'failed'} {found[0]}"
            shown = found[1] if found[0] != "verify" else failed_lines(found[1])
            print(f"{number} {found[0]}: {shown}", flush=True)
        taken = time.process_time() - before
        spent += taken
        if log is not None:
            with log.open("a") as lines:
                lines.write(f"{number} {taken:.2f} s {result}\n")
        number += 1
        if (number - first) % 100 == 0:
            print(f"{number - first} networks, {spent:.0f} s", file=sys.stderr, flush=True)
    print(
        f"{number - first} networks from {first} on, {failed} failed, {unfinished} unfinished, "
        f"{spent:.0f} s of processor time; next is {number}"
    )
    print("compared: " + ", ".join(f"{name} {compared[name]}" for name in CHECKS))
    return failed + unfinished


def failed_lines(report: str) -> str:
    """The rows of a report that failed; another message as it is."""
    if "FAILED" not in report:
        return report
    return "\n  ".join(["", *[line for line in report.splitlines() if "FAILED" in line][:4]])


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--graphs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="the number of the first network")
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after that time")
    parser.add_argument("--limit", type=float, default=LIMIT, help="processor time for one network")
    parser.add_argument("--log", type=Path, default=None, help="a file that gets a line for every network")
    parser.add_argument("--checks", default="", help=f"some of {', '.join(CHECKS)}")
    parser.add_argument("--minimise", type=int, default=None, metavar="NUMBER")
    options = parser.parse_args()
    names = [name.strip() for name in options.checks.split(",") if name.strip()]
    unknown = [name for name in names if name not in CHECKS]
    if unknown:
        parser.error(f"unknown checks {', '.join(unknown)}; expected some of {', '.join(CHECKS)}")
    if options.minimise is not None:
        seconds = min(options.seconds, 120)
        minimise(options.minimise, names or names_for(options.minimise), seconds)
        return
    gc.freeze()  # a network makes many small objects and little garbage: collections are rarely worth it
    gc.set_threshold(50_000, 20, 50)
    failed = run(options.seed, options.graphs, names, options.seconds, options.limit, options.log)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
