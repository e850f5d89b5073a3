"""Measure speed.

Measure on an idle machine, one thing at a time: with two threads, a busy core costs far more than its share.
"""

import argparse

from transformer_mt.memory import keep_memory

keep_memory()

import attribution  # noqa: E402  (torch comes with these)
import curves  # noqa: E402
import data  # noqa: E402
import decode  # noqa: E402
import invariance  # noqa: E402
import load  # noqa: E402
import long_file  # noqa: E402
import protect  # noqa: E402
import save  # noqa: E402
import soak  # noqa: E402
import stops  # noqa: E402
import train  # noqa: E402

EXAMPLES = """\
examples:
  scripts/benchmark train --size small --seconds 40 --work W --json
  scripts/benchmark train --size small --precision fp32 --work W --peers DIR     ours and others by turns
  scripts/benchmark train --size small --work W --profile                        where a step's time goes
  scripts/benchmark train --size big --device cuda --tokens 16384 --json         on a card
  scripts/benchmark decode --bundle RUN --src TEXT --ref TEXT --beam 5 --json
  scripts/benchmark decode --bundle RUN --src TEXT --against                     ours and CTranslate2 by turns
  scripts/benchmark data prepare --pairs 1000000 --json
  scripts/benchmark stops --runs 100 --stops 12                                  is going on exact?
  scripts/benchmark save --megabytes 100                                         what a checkpoint costs
  scripts/benchmark invariance --bundle RUN --src TEXT                           does a line depend on others?
  scripts/benchmark long-file --bundle RUN --src TEXT --lines 1000000            constant memory, full speed?
  scripts/benchmark soak --bundle RUN --src TEXT --minutes 120                   memory and open files over time
  scripts/benchmark protect --bundle RUN --src TEXT --ref TEXT                   what translate --protect keeps
  scripts/benchmark attribution --bundle RUN --src TEXT --ref TEXT               does it find what was planted?
  scripts/benchmark load --bundle RUN --src TEXT                                 a server under load
  scripts/benchmark load --bundle RUN --src TEXT --hostile                       and with clients that mean harm
  scripts/benchmark data doctor --pairs 1000000 --json
  scripts/benchmark curves runs/bf16 runs/fp32 -o precision.png
"""


def main() -> None:
    """Run one measurement."""
    parser = argparse.ArgumentParser(
        prog="scripts/benchmark",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    measurements = parser.add_subparsers(title="measurements", metavar="WHAT", required=True)
    train.add_parser(measurements)
    data.add_parser(measurements)
    decode.add_parser(measurements)
    soak.add_parser(measurements)
    protect.add_parser(measurements)
    attribution.add_parser(measurements)
    curves.add_parser(measurements)
    stops.add_parser(measurements)
    save.add_parser(measurements)
    invariance.add_parser(measurements)
    long_file.add_parser(measurements)
    load.add_parser(measurements)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
