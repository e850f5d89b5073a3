"""The training losses of several runs in one picture, and how far they are from those of the first."""

import argparse
from pathlib import Path
from typing import Any

from transformer_mt.metrics import read_metrics


def add_parser(measurements: Any) -> None:
    """Add the comparison to the parser."""
    parser = measurements.add_parser("curves", help="training losses of several runs beside each other")
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="run directories")
    parser.add_argument("-o", "--output", type=Path, required=True, help="picture to write")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Draw, and print the differences."""
    losses = {path.name: losses_of(path) for path in args.runs}
    draw(losses, args.output)
    first, *others = losses
    for name in others:
        steps = sorted(losses[first].keys() & losses[name].keys())
        ratios = [losses[name][step] / losses[first][step] - 1 for step in steps]
        late = ratios[len(ratios) // 2 :]
        print(f"{name} beside {first}, {len(steps)} points of the same updates:")
        print(f"  mean difference of the later half {sum(late) / len(late):+.2%}, largest {max(ratios, key=abs):+.2%}")
        print(f"  last losses {losses[name][steps[-1]]:.4f} and {losses[first][steps[-1]]:.4f}")


def losses_of(path: Path) -> dict[int, float]:
    """Training loss by step."""
    records = read_metrics(path / "metrics.jsonl")
    return {record["step"]: record["loss"] for record in records if record.get("kind") == "train"}


def draw(losses: dict[str, dict[int, float]], path: Path) -> None:
    """One line for each run."""
    from matplotlib.figure import Figure

    axes = Figure(figsize=(8, 5), layout="constrained").add_subplot()
    for style, (name, points) in zip(("-", "--", ":", "-."), losses.items(), strict=False):
        axes.plot(list(points), list(points.values()), style, label=name)
    axes.set_xlabel("updates")
    axes.set_ylabel("training loss per target token (nats)")
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    axes.figure.savefig(path, dpi=80)  # type: ignore[union-attr]
