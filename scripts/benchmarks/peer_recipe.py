"""Minutes to a validation BLEU of the published Transformer-Tiny recipe (Wu et al. 2021) in fairseq.

4+4 layers, d 128, feed-forward 256, 4 heads, dropout 0.3, post-norm, Adam with a peak rate of 0.005 after 2,000
updates, about 8,192 target tokens an update, label smoothing 0.1; lower-cased text, Moses-tokenised, joint BPE of
10,000 pieces.

Text is prepared, the model trained and every epoch's checkpoint translated with beam 5; a line of JSON for each of them
has the updates, the tokens and the minutes of training until then, and its lc-tok BLEU. Only training is counted, which
is in fairseq's favour. Stopped, it goes on when it is started again.
"""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

import sentencepiece
from sacremoses import MosesTokenizer

from transformer_mt.evaluation.scores import corpus_scores

LANGUAGES = ("en", "fr")
ARCHITECTURE = """
--arch transformer --share-all-embeddings --encoder-layers 4 --decoder-layers 4
--encoder-embed-dim 128 --decoder-embed-dim 128 --encoder-ffn-embed-dim 256 --decoder-ffn-embed-dim 256
--encoder-attention-heads 4 --decoder-attention-heads 4 --dropout 0.3
--criterion label_smoothed_cross_entropy --label-smoothing 0.1
--optimizer adam --adam-betas (0.9,0.98) --lr 0.005 --lr-scheduler inverse_sqrt --warmup-updates 2000 --clip-norm 0
--max-tokens 10500 --required-batch-size-multiple 1
--cpu --num-workers 0 --disable-validation --log-format json --log-interval 1
""".split()

NO_FAST_PATH = """
from fairseq.modules.transformer_layer import TransformerEncoderLayerBase as Layer
Layer.load_to_BT = property(lambda self: False, lambda self, value: None)
"""
"""The fused encoder layer that fairseq calls when it translates is not what torch has under that name any more."""


def main() -> None:
    """Prepare, train, score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with train and val .en and .fr, raw text")
    parser.add_argument("--work", type=Path, required=True, help="folder to work in")
    parser.add_argument("--python", type=Path, required=True, help="Python with fairseq 0.12.2")
    parser.add_argument("--patch", type=Path, required=True, help="folder with fairseq_patch.py, for new Pythons")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=80, help="where training ends (default: %(default)s)")
    parser.add_argument("--first", type=int, default=20, help="first epoch that is scored (default: %(default)s)")
    parser.add_argument("--score", action="store_true", help="score what is there instead of training")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    if not (args.work / "bin").exists():
        prepare_text(args.data, args.work)
        binarise(args)
    if args.score:
        score(args)
    else:
        train(args)


def prepare_text(data: Path, work: Path) -> None:
    """Lower-cased, tokenised text, and its pieces."""
    for language in LANGUAGES:
        tokenizer = MosesTokenizer(lang=language)
        for name in ("train", "val"):
            lines = (data / f"{name}.{language}").read_text(encoding="utf-8").lower().splitlines()
            tokenised = (" ".join(tokenizer.tokenize(line, escape=False)) for line in lines)
            (work / f"{name}.tok.{language}").write_text("".join(f"{line}\n" for line in tokenised), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=[str(work / f"train.tok.{language}") for language in LANGUAGES],
        model_prefix=str(work / "bpe"),
        model_type="bpe",
        vocab_size=10_000,
        character_coverage=1.0,
        minloglevel=2,
    )
    model = sentencepiece.SentencePieceProcessor(model_file=str(work / "bpe.model"))
    for language in LANGUAGES:
        for name in ("train", "val"):
            lines = (work / f"{name}.tok.{language}").read_text(encoding="utf-8").splitlines()
            pieces = model.encode(lines, out_type=str)
            text = "".join(" ".join(line) + "\n" for line in pieces)
            (work / f"{name}.bpe.{language}").write_text(text, encoding="utf-8")


def binarise(args: argparse.Namespace) -> None:
    """fairseq's own form of the pieces."""
    words = ["-s", "en", "-t", "fr", "--trainpref", args.work / "train.bpe", "--validpref", args.work / "val.bpe"]
    fairseq(args, "preprocess", *words, "--destdir", args.work / "bin", "--joined-dictionary")


def train(args: argparse.Namespace) -> None:
    """Train to the last epoch, with a checkpoint for each; the log is appended to."""
    words = [args.work / "bin", *ARCHITECTURE, "--seed", args.seed, "--max-epoch", args.epochs]
    with log_of(args).open("a", encoding="utf-8") as log:
        fairseq(args, "train", *words, "--save-dir", checkpoints_of(args), stdout=log)


def score(args: argparse.Namespace) -> None:
    """Translate the validation set with the checkpoint of each epoch."""
    references = (args.data / "val.fr").read_text(encoding="utf-8").splitlines()
    for epoch in range(args.first, args.epochs + 1):
        checkpoint = checkpoints_of(args) / f"checkpoint{epoch}.pt"
        if not checkpoint.exists():
            break
        words = [args.work / "bin", "--path", checkpoint, "--gen-subset", "valid", "--beam", 5, "--batch-size", 64]
        words += ["--remove-bpe", "sentencepiece", "--cpu", "--num-workers", 0, "--log-format", "none"]
        text = fairseq(args, "generate", *words)
        found = {int(number): line for number, line in re.findall(r"^H-(\d+)\t[^\t]*\t(.*)$", text, re.MULTILINE)}
        hypotheses = [found[number] for number in sorted(found)]  # lc-tok finds the tokens of tokenised text again
        bleu = corpus_scores(hypotheses, references, "fr").lc_tok_bleu.score
        print(json.dumps({"epoch": epoch, **progress_of(args, epoch), "lc_tok_bleu": round(bleu, 2)}), flush=True)


def progress_of(args: argparse.Namespace, epoch: int) -> dict[str, float]:
    """Updates, and minutes of training in all its parts, when `epoch` ended."""
    seconds: dict[int, float] = {}
    for line in log_of(args).read_text(encoding="utf-8").splitlines():
        if "| train_inner |" in line:
            entry = json.loads(line[line.index("{") :])
            if int(entry["epoch"]) <= epoch:
                seconds[int(entry["num_updates"])] = float(entry["train_wall"])
    return {"updates": max(seconds, default=0), "minutes": round(sum(seconds.values()) / 60, 1)}


def log_of(args: argparse.Namespace) -> Path:
    """Where fairseq's lines of a seed go."""
    return args.work / f"seed{args.seed}.log"


def checkpoints_of(args: argparse.Namespace) -> Path:
    """Where the checkpoints of a seed are."""
    return args.work / f"seed{args.seed}"


def fairseq(args: argparse.Namespace, command: str, *words: object, stdout: object = subprocess.PIPE) -> str:
    """Run a command of fairseq and return what it prints."""
    program = f"import fairseq_patch\n{NO_FAST_PATH}\nfrom fairseq_cli import {command}\n{command}.cli_main()"
    run = [args.python, "-c", program, *words]
    environment = {"PYTHONPATH": str(args.patch), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "2"}
    environment["PYTHONUNBUFFERED"] = "1"  # the log is whole when the training is stopped
    done = subprocess.run([str(word) for word in run], env=environment, stdout=stdout, text=True, check=True)  # type: ignore[call-overload]
    return done.stdout or ""


if __name__ == "__main__":
    sys.exit(main())
