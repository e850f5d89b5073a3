"""Decoding speed: sentences a second from text to text, milliseconds for one sentence at a time, seconds to the first.

An engine is NAME:PRECISION:BATCH. `ours` takes its batch in source tokens (precision int8, bf16, fp32), `ctranslate2`
in sentences (float32, int8); both decode the weights of the same bundle with the same pieces. `+shortlist` after the
precision narrows the vocabulary by the bundle's list, which CTranslate2 calls a vocabulary map. Each engine is measured
in processes of its own, by turns.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from breakdown import DECODING, Breakdown, int8_rate, product_flops
from machine import OtherLoad, peak_rss_mb, wait_for_quiet
from rows import row_of, show

from transformer_mt.bundle import Bundle, load_bundle
from transformer_mt.decoding.precision import decoding_precision
from transformer_mt.decoding.step import ModelStep
from transformer_mt.decoding.translator import Translator
from transformer_mt.device import set_threads
from transformer_mt.evaluation.scores import corpus_bleu
from transformer_mt.model.linear import Linear
from transformer_mt.native import kernels
from transformer_mt.native.decoder import CompiledDecoder

Translate = Callable[[Sequence[str]], list[str]]

ENGINES = "ours:int8:4096,ctranslate2:int8:32,ctranslate2:int8:64,ctranslate2:float32:32"
SHORTLIST = "+shortlist"
NUM_ALONE = 100
"""Sentences that are translated one at a time."""
NUM_STARTS = 5
LONGEST = 250
"""Pieces at which CTranslate2 ends a translation; its limit does not depend on the source."""


def add_parser(measurements: Any) -> None:
    """Add the measurement to the parser."""
    parser = measurements.add_parser(
        "decode", help="decoding speed", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", type=Path, required=True, help="bundle, or run directory that holds one")
    parser.add_argument("--src", type=Path, required=True, help="text to translate")
    parser.add_argument("--ref", type=Path, help="its translation, for BLEU")
    parser.add_argument("--beam", type=int, default=5, help="beam size (default: %(default)s)")
    parser.add_argument("--precision", default="bf16", help="of ours, alone (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--patience",
        type=float,
        default=1,
        help="CTranslate2 ends when so many times the beam have ended; ours when nothing better can come (default: 1)",
    )
    parser.add_argument("--json", action="store_true", help="print lines of JSON and nothing else")
    parser.add_argument("--no-wait", action="store_true", help="do not wait until the machine is idle")
    parser.add_argument("--profile", action="store_true", help="show instead where ours spends its time, on one thread")
    parser.add_argument("--against", action="store_true", help="measure several engines by turns (needs ctranslate2)")
    parser.add_argument("--engines", default=ENGINES, help="with --against (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="measurements of each (default: %(default)s)")
    parser.add_argument("--engine", help=argparse.SUPPRESS)
    parser.add_argument("--model", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, help=argparse.SUPPRESS)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Measure, or compare."""
    if args.against:
        compare(args)
        return
    if not args.no_wait:
        wait_for_quiet()
    if args.profile:
        show_profile(args)
        return
    row = measure(args)
    show(row, text_of(row), args.json)


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """One measurement in this process."""
    name, precision, batch = (args.engine or f"ours:{args.precision}:2048").split(":")
    lines = args.src.read_text(encoding="utf-8").split("\n")[:-1]
    bundle = load_bundle(args.bundle)
    many, *ways_alone = (ours if name == "ours" else ctranslate2)(args, bundle, precision, int(batch))
    many(lines[: len(lines) // 4])  # what is made once, for shapes that come again
    load, started, worked = OtherLoad(), time.perf_counter(), time.process_time()
    texts = many(lines)
    seconds, work, other = time.perf_counter() - started, time.process_time() - worked, load.share()
    memory = peak_rss_mb()
    waits = min((waits_of(alone, lines[:NUM_ALONE]) for alone in ways_alone), key=statistics.median)
    if args.output:
        args.output.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    tgt_tokens = sum(len(ids) + 1 for ids in bundle.tokenizers.tgt.encode(texts))
    src_tokens = sum(len(ids) for ids in bundle.tokenizers.src.encode(lines))
    return {
        "toolkit": "transformer_mt" if name == "ours" else name,
        "task": "decode",
        "beam": args.beam,
        "compute": precision,
        "batch": int(batch),
        "sent_s": round(len(lines) / seconds, 1),
        "sent_cpu_s": round(len(lines) / work, 1),
        "tgt_tok_s": round(tgt_tokens / seconds),
        "all_tok_s": round((src_tokens + tgt_tokens) / seconds),
        "p50_ms": round(statistics.median(waits), 1),
        "p95_ms": round(statistics.quantiles(waits, n=20)[-1], 1),
        "peak_rss_mb": memory,
        "seconds": round(seconds, 4),
        "mean_len": round(tgt_tokens / len(lines), 1),
        "bleu": bleu(texts, args.ref),
        "threads": args.threads,
        "other_cpu": other,
    }


def waits_of(translate: Translate, lines: Sequence[str]) -> list[float]:
    """Milliseconds of each line, one at a time."""
    translate(lines[:5])
    return [seconds_of(translate, [line]) * 1e3 for line in lines]


def ours(args: argparse.Namespace, bundle: Bundle, precision: str, batch: int) -> tuple[Translate, ...]:
    """This project's translator, for many sentences and for one."""
    set_threads(args.threads)
    settings = replace(
        bundle.config.decoding,
        beam_size=args.beam,
        precision=precision.removesuffix(SHORTLIST),
        shortlist=precision.endswith(SHORTLIST),
        batch_tokens=batch,
    )
    translator = Translator.from_bundles([bundle], torch.device("cpu"), settings)
    return translator.translate, translator.translate


def ctranslate2(args: argparse.Namespace, bundle: Bundle, precision: str, batch: int) -> tuple[Translate, ...]:
    """CTranslate2's: a thread for each of several batches; for one sentence one thread, or all, whichever is faster."""
    from ctranslate2 import Translator as Engine

    arithmetic, src, tgt = precision.removesuffix(SHORTLIST), bundle.tokenizers.src, bundle.tokenizers.tgt
    names = {piece: number for number, piece in enumerate(tgt.pieces(range(tgt.vocab_size)))}

    @cache
    def engine(batches: int, threads: int) -> Engine:
        return Engine(str(args.model), compute_type=arithmetic, inter_threads=batches, intra_threads=threads)

    def translate_with(way: tuple[int, int], lines: Sequence[str]) -> list[str]:
        rows = [src.pieces(ids) for ids in src.encode(lines)]
        results = engine(*way).translate_batch(
            rows,
            beam_size=args.beam,
            max_batch_size=batch,
            max_decoding_length=LONGEST,
            length_penalty=bundle.config.decoding.length_penalty,
            patience=args.patience,
            use_vmap=precision.endswith(SHORTLIST),
        )
        return tgt.decode([[names[piece] for piece in result.hypotheses[0]] for result in results])

    ways = ((args.threads, 1), *((1, threads) for threads in {1, args.threads}))  # batches at a time, threads of each
    return tuple(partial(translate_with, way) for way in ways)


def seconds_of(translate: Translate, lines: Sequence[str]) -> float:
    """How long `translate` takes for these lines."""
    started = time.perf_counter()
    translate(lines)
    return time.perf_counter() - started


def bleu(texts: Sequence[str], reference: Path | None) -> float | None:
    """BLEU of the texts, where there is a reference."""
    if reference is None:
        return None
    references = reference.read_text(encoding="utf-8").split("\n")[:-1]
    return round(corpus_bleu(texts, [[line] for line in references]).score, 2)


def text_of(row: dict[str, Any]) -> str:
    """One measurement as people read it."""
    return (
        f"{row['toolkit']:16s} {row['compute']:8s} beam {row['beam']}  batch {row['batch']:5d}  "
        f"{row['sent_s']:7.1f} sentences/s ({row['sent_cpu_s']:.1f} a CPU second)  "
        f"one alone {row['p50_ms']} ms, 95 % within {row['p95_ms']} ms  "
        f"{row['peak_rss_mb']:5,} MB  BLEU {row['bleu']}  other load {row['other_cpu']:.1%}"
    )


def show_profile(args: argparse.Namespace) -> None:
    """Where the time goes from text to text, and the floor that the decoder's linear maps set."""
    lines = args.src.read_text(encoding="utf-8").split("\n")[:-1]
    bundle = load_bundle(args.bundle)
    translate, _ = ours(args, bundle, args.precision, 2048)
    torch.set_num_threads(1)
    for name in ("attend", "attend_within", "linear_int8", "log_softmax", "best_continuations"):
        setattr(kernels, name, named(f"loops: {name}", getattr(kernels, name)))
    CompiledDecoder.step = named("loops: layers of the decoder", CompiledDecoder.step)  # type: ignore[method-assign]
    rows = Counter[str]()
    step = ModelStep.step

    def counted(self: ModelStep, tokens: torch.Tensor) -> None:
        rows.update(rows=tokens.numel(), steps=1)
        step(self, tokens)

    translate(lines)  # what is made once
    ModelStep.step = counted  # type: ignore[method-assign]
    translate(lines)
    ModelStep.step = step  # type: ignore[method-assign]
    maps = [
        (name, one) for name, one in bundle.model.named_modules() if isinstance(one, Linear) and "encoder." not in name
    ]
    weights = sum(one.weight.numel() for name, one in maps if "kv_proj" not in name or "qkv" in name)  # once a sentence
    flops = 2 * rows["rows"] * weights
    breakdown = Breakdown(lambda: translate(lines), 1, DECODING)
    print(breakdown.table())
    precision = decoding_precision(args.precision, torch.device("cpu"))
    dtype = torch.float32 if precision == "fp32" else torch.bfloat16
    rate = int8_rate(256) if precision == "int8" else product_flops(dtype, 256, torch.device("cpu"))
    floor = flops / rate * 1e3
    print(
        f"{rows['steps']} steps of {rows['rows'] / rows['steps']:.0f} hypotheses; linear maps of the decoder: "
        f"{flops / 1e9:.0f} GFLOP, the best product runs at {rate / 1e9:.0f} GFLOP/s: floor {floor:.0f} ms, "
        f"the whole takes {breakdown.step_ms / floor:.2f} times that"
    )


def named(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, called `name` in profiles."""

    def call(*args: Any) -> Any:
        with torch.profiler.record_function(name):
            return function(*args)

    return call


def compare(args: argparse.Namespace) -> None:
    """The engines by turns; then ours against the others: medians of their speed, waits and memory.

    Sentences a second of processor time, `sent_cpu_s`, are what stays comparable on a machine that others use too.
    """
    rows: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        for _ in range(args.rounds):
            for engine in args.engines.split(","):
                row = measured_apart(engine, args, folder)
                rows.setdefault(engine, []).append(row)
                show(row, text_of(row), args.json)
        texts = {engine: output_of(engine, folder).read_text(encoding="utf-8").split("\n")[:-1] for engine in rows}
    keys = ("sent_s", "sent_cpu_s", "p50_ms", "p95_ms", "peak_rss_mb")
    medians = {
        name: {key: statistics.median(row[key] for row in found) for key in keys} for name, found in rows.items()
    }
    for name in (name for name in medians if name.startswith("ours")):
        for other in (other for other in medians if not other.startswith("ours")):
            ratios = {key: round(medians[name][key] / medians[other][key], 2) for key in keys}
            same = sum(map(str.__eq__, texts[name], texts[other])) / len(texts[name])
            print(json.dumps({"engine": name, "against": other, **ratios, "same_lines": round(same, 4)}), flush=True)
    print(json.dumps(start_up(args)), flush=True)


def start_up(args: argparse.Namespace) -> dict[str, Any]:
    """Seconds of whole processes: one that only imports torch, and one that translates a line; medians, by turns."""
    imports = [sys.executable, "-c", "import torch"]
    translates = [sys.executable, "-m", "transformer_mt", "translate", str(args.bundle), "--quiet"]
    translates += ["--threads", str(args.threads)]
    line = args.src.read_text(encoding="utf-8").split("\n")[0].encode()
    seconds: dict[str, list[float]] = {"import torch": [], "first translation": []}
    for _ in range(NUM_STARTS):
        for name, command in zip(seconds, (imports, translates), strict=True):
            started = time.perf_counter()
            subprocess.run(command, input=line, stdout=subprocess.DEVNULL, check=True)
            seconds[name].append(time.perf_counter() - started)
    imported, translated = (statistics.median(found) for found in seconds.values())
    return {"import_torch_s": round(imported, 2), "first_translation_s": round(translated, 2)}


def measured_apart(engine: str, args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """One measurement in a process of its own."""
    words: list[object] = ["decode", "--json", "--engine", engine, "--output", output_of(engine, folder)]
    for name in ("bundle", "src", "ref", "beam", "threads", "patience"):
        if getattr(args, name) is not None:
            words += [f"--{name}", getattr(args, name)]
    if args.no_wait:
        words.append("--no-wait")
    here, environment = Path(__file__).parent, dict(os.environ)
    name, precision, _ = engine.replace(SHORTLIST, "").split(":")
    if name == "ctranslate2":
        exported = folder / precision
        environment["CT2_VERBOSE"] = "-1"
        if not exported.exists():
            export = [sys.executable, "-m", "transformer_mt", "export", args.bundle, exported, "--to", "ctranslate2"]
            subprocess.run([str(word) for word in [*export, "--quantization", precision]], env=environment, check=True)
        words += ["--model", exported]
    return row_of([sys.executable, here, *words], environment)


def output_of(engine: str, folder: Path) -> Path:
    """Where the translations of an engine go."""
    return folder / f"{engine.replace(':', '-')}.txt"
