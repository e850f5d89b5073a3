"""What the metrics of a training say about it, in one sentence: sound, or which of the known faults it has.

The limits here are far from what sound trainings do. In some twenty on captions, everyday sentences and the embedded
corpus BLEU was near 100 exp(-0.7 loss), the loss taken for four bytes of text and between 0.2 and 3; on a corpus of
fourteen words in any order it was down to 100 exp(-2.8 loss).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

from transformer_mt.config.loading import load_config
from transformer_mt.config.schema import Config
from transformer_mt.errors import TransformerMTError
from transformer_mt.metrics import Record, read_metrics
from transformer_mt.training.run_directory import existing_run

FEWEST_UPDATES = 100
"""With fewer, nothing is said of the course of a training."""
SURE_OF_ITSELF = 0.35
"""Nats for four bytes of text, which nobody reaches within two epochs without seeing the answer."""
LEARNT = 1.5
"""Nats for four bytes of text, below which translations come out right now and then."""
SHORTEST_SENTENCES = 6.0
"""Mean pieces of a target; BLEU, which counts runs of four words, says little of shorter ones."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A fault, or None for a sound training; the sentence that says so, and what to do next."""

    fault: str | None
    sentence: str
    advice: str


@dataclass(frozen=True)
class History:
    """The metrics of a training with its configuration."""

    config: Config
    records: Sequence[Record]

    @property
    def train(self) -> list[Record]:
        """What was logged between validations, without lines whose loss was no number."""
        return [record for record in self.records if record["kind"] == "train" and record["loss"] is not None]

    @property
    def validations(self) -> list[Record]:
        """Validations of the weights in training, with a loss."""
        found = [record for record in self.records if record["kind"] == "validation" and record["loss"] is not None]
        return [record for record in found if "averaged" not in record]

    @property
    def corpus(self) -> Record:
        """Facts about the training pairs; empty in runs of before they were noted."""
        return next((record for record in self.records if record["kind"] == "corpus"), {})

    @property
    def num_updates(self) -> int:
        """The last update that is recorded."""
        return max((record["step"] for record in self.records), default=0)

    def nats(self, loss: float) -> float:
        """A loss of a piece as that of four bytes of text, which is about what a piece usually has."""
        usual = 1.0 if self.config.tokenizer.model_type == "char" else 4.0
        return loss * 4.0 / float(self.corpus.get("tgt_bytes_per_piece", usual))

    def fraction_done(self) -> float:
        """How far the nearest limit of the training was reached, at most 1."""
        last, limits = self.records[-1] if self.records else {}, self.config.training
        pairs = (("step", limits.max_steps), ("epoch", limits.max_epochs), ("minutes", limits.max_minutes))
        return min(1.0, max(last.get(key, 0) / limit for key, limit in pairs if limit))


def diagnose(path: Path) -> Diagnosis:
    """Read the run directory at `path`; raises TransformerMTError when there is none, or it cannot be read."""
    if (path / "bundle.json").is_file():
        raise TransformerMTError(f"{path}: a bundle has no metrics; name the run directory")
    run = existing_run(path)
    records = read_metrics(run.metrics) if run.metrics.is_file() else []
    return judge(History(load_config(run.config), records))


def judge(history: History) -> Diagnosis:
    """The first fault that is found, the surest ones first."""
    for find in FAULTS:
        if (found := find(history)) is not None:
            return found
    if history.num_updates < FEWEST_UPDATES:
        return Diagnosis(
            None, f"too early to say: {history.num_updates} updates are recorded", "let it train and ask again"
        )
    return _sound(history)


def leakage(history: History) -> Diagnosis | None:
    """A decoder that knows words after its own, or that is sure of itself at once and translates badly all the same."""
    if any(record.get("sees_ahead") for record in history.validations[-1:]):
        return Diagnosis(
            "target leakage",
            "target leakage: what the decoder says of a word changes with the words after it, which it must not see",
            "mend the causal mask of the decoder's self-attention; what was trained without it cannot translate",
        )
    last = _last_scored(history)
    early = [record for record in (*history.train, *history.validations) if record["epoch"] <= 2]
    sure = [record for record in early if history.nats(record["loss"]) < SURE_OF_ITSELF]
    if last is None or not sure or not _is_far_below_promise(history, last):
        return None
    return Diagnosis(
        "target leakage",
        f"target leakage: a {sure[0]['kind']} loss of {sure[0]['loss']:.3f} in epoch {sure[0]['epoch']:.1f} is too low "
        f"for translations of {last['bleu']:.1f} BLEU, so the decoder is given the words that it is to predict",
        "check that its input is the target shifted by one position, and that no source holds its target",
    )


def broken_decoding(history: History) -> Diagnosis | None:
    """Translations that are far worse than the loss, or than they were."""
    last = _last_scored(history)
    if last is None or history.num_updates < FEWEST_UPDATES:
        return None
    scored = [record for record in history.validations if record["bleu"] is not None]
    best, lowest = max(record["bleu"] for record in scored), min(record["loss"] for record in scored)
    has_collapsed = best > 10 and last["bleu"] < best / 3 and last["loss"] < 1.05 * lowest
    if not has_collapsed and not _is_far_below_promise(history, last):
        return None
    promised = f"{best:.1f} before" if has_collapsed else f"{_promised(history, last['loss']):.0f} or more are usual"
    return Diagnosis(
        "broken decoding",
        f"the decoding of validations is broken: {last['bleu']:.1f} BLEU at a loss of {last['loss']:.2f} "
        f"({promised} at such a loss)",
        "look at the sample translations in log.txt, at section decoding (max_length_ratio, max_length_extra) and at "
        "what was changed in the program",
    )


def too_high_rate(history: History) -> Diagnosis | None:
    """Updates without a finite gradient, a loss that has risen again, or one that never fell under a high rate."""
    skipped = max((record.get("skipped") or 0 for record in history.train), default=0)
    if history.config.training.precision != "fp16" and skipped > max(3, 0.02 * history.num_updates):
        return _too_high(history, f"{skipped:,} of {history.num_updates:,} updates had no finite gradient")
    if history.num_updates < FEWEST_UPDATES or len(history.train) < 6:
        return None
    blind, raw = math.log(history.config.tokenizer.vocab_size), [record["loss"] for record in history.train]
    if median(raw) > 1.5 * blind and (raw[-1] > blind or max(raw) > 1.5 * raw[0]):
        return _too_high(
            history, f"the training loss was up to {max(raw):.1f}, and a guess without looking has {blind:.1f}"
        )
    losses = _smooth(raw)
    for index, loss in enumerate(losses):
        low = min(losses[: index + 1])
        if loss > low + max(0.5, 0.25 * low) and losses[-1] > 0.8 * low:
            step, last = history.train[index]["step"], history.num_updates
            return _too_high(
                history,
                f"the training loss rose from {low:.2f} to {loss:.2f} at update {step:,}, and is {losses[-1]:.2f} at "
                f"update {last:,}",
            )
    if _fall(history) < 0.2 and _peak_rate(history) > 3 * _usual_rate(history):
        return _too_high(history, f"the training loss is still {losses[-1]:.2f}, and nothing is translated")
    return None


def dead_warmup(history: History) -> Diagnosis | None:
    """A learning rate that has not risen by the end, or is too low to change anything."""
    if history.num_updates < FEWEST_UPDATES or not history.train:
        return None
    warmup, last = history.config.schedule.warmup_steps, history.train[-1]
    if last["step"] < 0.6 * warmup and history.fraction_done() > 0.9:
        return Diagnosis(
            "dead warm-up",
            f"dead warm-up: after {last['step']:,} updates the training has ended at a learning rate of "
            f"{last['lr']:.1e}, before it could rise to {history.config.optimizer.lr:.1e} at update {warmup:,}",
            f"set schedule.warmup_steps to about {max(1, last['step'] // 10):,}, or train longer",
        )
    losses = _smooth([record["loss"] for record in history.train])
    if losses[-1] > 0.9 * losses[0] and _peak_rate(history) < _usual_rate(history) / 20:
        return Diagnosis(
            "dead warm-up",
            f"the learning rate is too low to learn: it was {_peak_rate(history):.1e} at most, and the training loss "
            f"is still {losses[-1]:.2f}",
            f"set optimizer.lr to about {_usual_rate(history):.0e}, and look at schedule.warmup_steps",
        )
    return None


def overfitting(history: History) -> Diagnosis | None:
    """A validation loss that rises for good while that of training falls, and translations that gain little."""
    found = history.validations
    best = min(range(len(found)), key=lambda index: found[index]["loss"], default=0)
    if len(found) - best < 3 or not history.train:
        return None
    after, low = found[best + 1 :], found[best]
    rise = min(record["loss"] for record in after[-2:]) / low["loss"]
    scores = [record["bleu"] for record in (low, *after) if record["bleu"] is not None]
    gained = max(scores) - scores[0] if scores else 0.0
    if rise < 1.05 or (gained > 1.0 and rise < 1.2):  # BLEU often goes on rising a little longer
        return None
    if _train_loss_near(history, found[-1]) > 0.95 * _train_loss_near(history, low):
        return None
    return Diagnosis(
        "over-fitting",
        f"over-fitting from epoch {low['epoch']:.0f} on: the validation loss has risen from {low['loss']:.2f} to "
        f"{found[-1]['loss']:.2f} while that of training went on falling",
        "stop there with evaluation.patience (the bundle holds the best validation); more pairs, a higher "
        "model.dropout or a smaller model let it learn longer",
    )


def tokenizer_ratio(history: History) -> Diagnosis | None:
    """Text that is cut into scraps, unknown pieces, or sides of very different lengths."""
    facts, tokenizer = history.corpus, history.config.tokenizer
    if not facts:
        return None
    problem = None
    for side in ("src", "tgt"):
        if facts[f"{side}_unknown"] > 0.02:
            problem = f"{facts[f'{side}_unknown']:.0%} of the {side} pieces are unknown"
        elif facts[f"{side}_bytes_per_piece"] < 2.0 and tokenizer.model_type != "char":
            problem = f"a {side} piece holds only {facts[f'{side}_bytes_per_piece']:.2f} bytes of text"
    ratio = facts["src_pieces"] / facts["tgt_pieces"]
    if problem is None and not 0.5 <= ratio <= 2.0:
        problem = f"a source has {ratio:.1f} times as many pieces as its target"
    if problem is None:
        return None
    return Diagnosis(
        "tokenizer ratio",
        f"the tokenizer does not fit the text: {problem}",
        f"raise tokenizer.vocab_size (now {tokenizer.vocab_size:,}), or train the tokenizer on these very pairs, in "
        "another training.run_dir",
    )


def nothing_learnt(history: History) -> Diagnosis | None:
    """A loss that stands still where translations are still worthless, for none of the reasons above."""
    if _fall(history) >= (0.1 if history.fraction_done() < 0.99 else 0.2):  # a rate that ends at 0 lets any loss fall
        return None
    bleu = max(record["bleu"] for record in history.validations if record["bleu"] is not None)
    return Diagnosis(
        "nothing learnt",
        f"it does not learn to translate: {bleu:.1f} BLEU, and the training loss is still "
        f"{history.train[-1]['loss']:.2f}",
        "check that line i of the target translates line i of the source; then train longer, or try another "
        "optimizer.lr",
    )


FAULTS: tuple[Callable[[History], Diagnosis | None], ...] = (
    leakage,
    too_high_rate,
    dead_warmup,
    broken_decoding,
    overfitting,
    nothing_learnt,
    tokenizer_ratio,
)


def _sound(history: History) -> Diagnosis:
    first = history.train[0] if history.train else None
    parts = [f"it looks sound after {history.num_updates:,} updates"]
    if first is not None:
        parts.append(f"the training loss fell from {first['loss']:.2f} to {history.train[-1]['loss']:.2f}")
    found = history.validations
    if not found:
        return Diagnosis(None, ", ".join(parts), "name pairs in data.validation, without which little can be said")
    best = min(found, key=lambda record: record["loss"])
    bleu = max((record["bleu"] for record in found if record["bleu"] is not None), default=None)
    parts.append(f"that of validation to {best['loss']:.2f}" + (f" with {bleu:.1f} BLEU" if bleu is not None else ""))
    if history.fraction_done() < 0.99:
        advice = f"let it go on: {history.fraction_done():.0%} of what is planned is done"
    elif len(found) > 1 and found[-1]["loss"] < 0.98 * found[-2]["loss"]:
        advice = "it was still getting better at the end: train longer; then evaluate"
    else:
        advice = "evaluate it, and translate with it"
    return Diagnosis(None, " and ".join([", ".join(parts[:2]), *parts[2:]]), advice)


def _too_high(history: History, observed: str) -> Diagnosis:
    peak = _peak_rate(history)
    return Diagnosis(
        "learning rate too high",
        f"the learning rate of {peak:.1e} is too high: {observed}",
        f"lower optimizer.lr, for a start to {min(peak / 5, _usual_rate(history)):.0e}, and warm up for a tenth of all "
        "updates (schedule.warmup_steps); keep training.max_grad_norm",
    )


def _last_scored(history: History) -> Record | None:
    """The last validation, if its BLEU says something."""
    found = history.validations
    has_sentences = history.corpus.get("tgt_pieces", math.inf) >= SHORTEST_SENTENCES
    return found[-1] if found and found[-1]["bleu"] is not None and has_sentences else None


def _promised(history: History, loss: float) -> float:
    """The BLEU that every sound training had at this loss."""
    return 100.0 * math.exp(-3.0 * history.nats(loss))


def _is_far_below_promise(history: History, record: Record) -> bool:
    return history.nats(record["loss"]) < LEARNT and record["bleu"] < _promised(history, record["loss"]) / 3


def _smooth(losses: Sequence[float]) -> list[float]:
    """The median of each loss and its neighbours."""
    return [median(losses[max(0, index - 1) : index + 2]) for index in range(len(losses))]


def _fall(history: History) -> float:
    """The share by which the training loss fell from the second quarter of the training to the last.

    1 where something is translated, or where that cannot be said.
    """
    losses = [record["loss"] for record in history.train]
    scores = [record["bleu"] for record in history.validations if record["bleu"] is not None]
    if history.num_updates < FEWEST_UPDATES or len(losses) < 8 or not scores or max(scores) > 2.0:
        return 1.0
    quarter = len(losses) // 4
    last = mean(losses[-quarter:])
    return 1.0 - last / mean(losses[quarter : 2 * quarter]) if history.nats(last) > LEARNT else 1.0


def _peak_rate(history: History) -> float:
    return max((record["lr"] for record in history.train), default=history.config.optimizer.lr)


def _usual_rate(history: History) -> float:
    """The peak of the schedule of Vaswani et al. 2017 (section 5.3) for this width, warmed up for 1,000 updates."""
    return float(history.config.model.d_model**-0.5 * 1000**-0.5)


def _train_loss_near(history: History, validation: Record) -> float:
    nearest: Record = min(history.train, key=lambda record: abs(record["step"] - validation["step"]))
    return float(nearest["loss"])
