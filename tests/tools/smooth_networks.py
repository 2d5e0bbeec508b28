"""False alarms and misses of the finite differences on random smooth networks.

    python tests/tools/smooth_networks.py [--networks 1000] [--first 0] [--seconds 170]

Each network must pass `verify`, and must fail it with a relative error of 1e-6 planted in one gradient: the
same test that the suite does for the first 24 of them.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from verify.test_smooth import test_smooth_networks_pass_and_a_planted_error_does_not as smooth


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=1e9)
    options = parser.parse_args()
    start, failed, done = time.monotonic(), 0, 0
    for seed in range(options.first, options.first + options.networks):
        if time.monotonic() - start > options.seconds:
            break
        try:
            smooth(seed)
        except AssertionError as error:
            failed += 1
            print(f"network {seed}: {str(error).splitlines()[0] if str(error) else 'failed'}", flush=True)
        done += 1
    print(f"{done} networks from {options.first} on, {failed} failed; next is {options.first + done}")


if __name__ == "__main__":
    main()
