"""Every knob there is: typed sections, defaults, documentation and rules. Imports no torch.

The text under a field is its manual: `transformer-mt config describe` prints it from here. A section's
`problems` yields what is wrong with its own values; rules between sections are in `Config.problems`.
The sections about the corpus stand in `data_schema.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from transformer_mt.config import rules
from transformer_mt.config.data_schema import DataConfig, SourceConfig, TokenizerConfig

Arithmetic = Literal["fp32", "bf16", "int8"]
"""What translations are computed in."""

__all__ = [
    "Arithmetic",
    "CheckpointConfig",
    "Config",
    "DataConfig",
    "DecodingConfig",
    "EvaluationConfig",
    "LoggingConfig",
    "ModelConfig",
    "OptimizerConfig",
    "ScheduleConfig",
    "SourceConfig",
    "TokenizerConfig",
    "TrainingConfig",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """The encoder–decoder Transformer (Vaswani et al. 2017) and its variants."""

    d_model: int = 512
    """Width of the embeddings and of every layer's output."""
    num_heads: int = 8
    """Attention heads, each d_model / num_heads wide."""
    d_ff: int = 2048
    """Width inside the feed-forward blocks."""
    num_encoder_layers: int = 6
    """Layers of the encoder."""
    num_decoder_layers: int = 6
    """Layers of the decoder."""
    norm_order: Literal["pre", "post"] = "pre"
    """Normalise before each block (stable) or after adding its output (the 2017 paper)."""
    norm: Literal["layer", "rms"] = "layer"
    """LayerNorm, or RMSNorm (Zhang and Sennrich 2019)."""
    positions: Literal["sinusoidal", "learned", "rotary", "none"] = "sinusoidal"
    """How the order of the tokens is told to the model."""
    max_positions: int = 1024
    """Longest sequence for sinusoidal and learned positions."""
    activation: Literal["relu", "gelu", "silu", "swiglu"] = "relu"
    """Non-linearity of the feed-forward blocks; swiglu (Shazeer 2020) is silu, multiplied by a third matrix's map."""
    tied_embeddings: Literal["all", "decoder", "none"] = "all"
    """all: source, target and output share one matrix; decoder: target and output do; none: three matrices."""
    output_bias: bool = False
    """Add a trained number to the logit of each target piece, as models of Marian do."""
    attention_window: int | None = None
    """Self-attention sees only this many positions to each side; null sees all."""
    dropout: float = 0.1
    """Probability of zeroing a unit of a block's output before it is added (residual dropout)."""
    attention_dropout: float = 0.0
    """Probability of zeroing an attention weight."""
    activation_dropout: float = 0.0
    """Probability of zeroing a unit inside the feed-forward blocks."""
    embedding_dropout: float = 0.1
    """Probability of zeroing a unit of the embeddings with their positions."""
    init: Literal["xavier", "uniform"] = "xavier"
    """Xavier initialisation, or uniform(-0.1, 0.1)."""
    src_vectors: str | None = None
    """GloVe or word2vec text file that source embeddings start from (in a shared matrix, tgt_vectors win)."""
    tgt_vectors: str | None = None
    """GloVe or word2vec text file that target embeddings start from."""
    freeze_vectors: bool = False
    """Do not train the embedding matrices that start from vectors."""

    def problems(self) -> Iterator[str]:
        for name in ("d_model", "num_heads", "d_ff", "num_encoder_layers", "num_decoder_layers", "max_positions"):
            yield from rules.at_least(name, getattr(self, name), 1)
        if self.num_heads >= 1 and self.d_model % self.num_heads != 0:
            yield f"num_heads: must divide d_model ({self.d_model}), got {self.num_heads}"
        elif self.num_heads >= 1 and self.positions == "rotary" and (self.d_model // self.num_heads) % 2 != 0:
            yield f"num_heads: rotary positions need an even head width, got {self.d_model // self.num_heads}"
        if self.positions == "sinusoidal" and self.d_model % 2 != 0:
            yield f"d_model: must be even for sinusoidal positions, got {self.d_model}"
        yield from rules.at_least("attention_window", self.attention_window, 1)
        for name in ("dropout", "attention_dropout", "activation_dropout", "embedding_dropout"):
            yield from rules.probability(name, getattr(self, name))
        for name in ("src_vectors", "tgt_vectors"):
            yield from rules.not_empty(name, getattr(self, name))
        if self.freeze_vectors and not (self.src_vectors or self.tgt_vectors):
            yield "freeze_vectors: needs src_vectors or tgt_vectors"


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimizerConfig:
    """How gradients change the weights."""

    name: Literal["adamw", "adam", "muon", "sgd"] = "adamw"
    """adamw decays weights apart from the gradient (Loshchilov and Hutter 2019); muon, for the matrices inside the
    layers, gives all directions of an update the same size (Jordan et al. 2024), and leaves the rest to adamw."""
    lr: float = 1e-3
    """Peak learning rate; section schedule says how it rises and falls."""
    betas: tuple[float, float] = (0.9, 0.98)
    """Decay of the running mean of the gradient and of its square (adam, adamw)."""
    eps: float = 1e-9
    """Added to the denominator of adam and adamw."""
    weight_decay: float = 0.0
    """Decay of weight matrices; vectors (biases, norms) are never decayed."""
    momentum: float = 0.0
    """Momentum of sgd."""

    def problems(self) -> Iterator[str]:
        yield from rules.above_zero("lr", self.lr)
        yield from rules.above_zero("eps", self.eps)
        for beta in self.betas:
            yield from rules.probability("betas", beta)
        yield from rules.zero_or_above("weight_decay", self.weight_decay)
        yield from rules.probability("momentum", self.momentum)


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduleConfig:
    """The learning rate as a pure function of the step (the number of optimizer updates)."""

    name: Literal["inverse_sqrt", "cosine", "linear", "constant"] = "inverse_sqrt"
    """How the rate goes on after the warm-up."""
    warmup_steps: int = 4000
    """Updates in which the rate rises from 0 to its peak."""
    final_lr: float = 0.0
    """Rate at which cosine and linear end."""
    decay_steps: int | None = None
    """Update at which cosine and linear end; default: the last update of the training."""

    def problems(self) -> Iterator[str]:
        yield from rules.at_least("warmup_steps", self.warmup_steps, 0)
        yield from rules.zero_or_above("final_lr", self.final_lr)
        if self.decay_steps is not None and self.decay_steps <= self.warmup_steps:
            yield f"decay_steps: must be above warmup_steps ({self.warmup_steps}), got {self.decay_steps}"


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingConfig:
    """The training loop. It ends at the first of the limits that are set, or by early stopping."""

    run_dir: str = "runs/default"
    """Directory of the run: log, metrics, curves, checkpoints, bundle."""
    seed: int = 1
    """Seed of initial weights, order and dropout."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps; auto takes a CUDA card when there is one."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """auto is bf16 where the device computes in it, else fp32; fp16 (CUDA only) scales the loss."""
    fp16_fallback: bool = True
    """Go on in bf16 (fp32 where the card has none), with a warning, when fp16 gives no finite gradient any more."""
    threads: int | None = None
    """CPU threads of each process; default: all cores, shared by the processes of a machine."""
    deterministic: bool = False
    """Use only kernels that give the same bits each time; needed on CUDA only, the CPU always does."""
    batch_unit: Literal["tokens", "sentences"] = "tokens"
    """What batch_size counts."""
    batch_size: int = 4096
    """Most tokens (padding included, on either side) or sentences in a batch."""
    accumulation_steps: int = 1
    """Batches (of like lengths) whose gradients make one update, exactly as one large batch would; the processes
    that torchrun starts share them."""
    reproducible: Literal["fast", "exact"] = "fast"
    """exact sums gradients in an order that makes the weights the same bits on 1, 2, 4, ... processes (with equal
    threads, hardware and torch)."""
    sharded: bool = False
    """Split weights, gradients and optimizer state among the processes (FSDP2): for models that no one card holds."""
    max_steps: int | None = None
    """End after this many updates."""
    max_epochs: int | None = None
    """End after this many passes over the training pairs."""
    max_minutes: float | None = None
    """End after this many minutes of training."""
    label_smoothing: float = 0.1
    """Probability taken from the right token and spread over the vocabulary (Szegedy et al. 2016)."""
    max_grad_norm: float | None = 1.0
    """Gradients are scaled down to this norm when larger; null never does."""
    ema_decay: float = 0.0
    """Decay of an exponential moving average of the weights, which is then what is validated and kept; 0 for none."""
    init_from: str | None = None
    """Bundle or run whose weights and tokenizer this training starts from (fine-tuning)."""

    def problems(self) -> Iterator[str]:
        for name in ("run_dir", "init_from"):
            yield from rules.not_empty(name, getattr(self, name))
        yield from rules.device("device", self.device)
        if not 0 <= self.seed < 2**63:
            yield f"seed: must be in [0, 2**63), got {self.seed}"
        for name in ("batch_size", "accumulation_steps", "threads", "max_steps", "max_epochs"):
            yield from rules.at_least(name, getattr(self, name), 1)
        if self.reproducible == "exact" and self.threads is None:
            yield "reproducible: exact needs threads to be set, as their number changes the bits"
        if self.reproducible == "exact" and self.accumulation_steps & (self.accumulation_steps - 1):
            yield f"accumulation_steps: must be 1, 2, 4, 8, ... for reproducible: exact, got {self.accumulation_steps}"
        if self.sharded and self.reproducible == "exact":
            yield "sharded: cannot be combined with reproducible: exact"
        if self.sharded and self.precision == "fp16":
            yield "sharded: cannot be combined with precision: fp16; use bf16"
        yield from rules.above_zero("max_minutes", self.max_minutes)
        yield from rules.above_zero("max_grad_norm", self.max_grad_norm)
        yield from rules.probability("label_smoothing", self.label_smoothing)
        yield from rules.probability("ema_decay", self.ema_decay)
        if self.max_steps is None and self.max_epochs is None and self.max_minutes is None:
            yield "max_steps: set at least one of max_steps, max_epochs and max_minutes"


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointConfig:
    """What is kept on disk while training."""

    every_steps: int = 1000
    """Updates between checkpoints, from which a stopped training goes on."""
    keep_last: int = 3
    """How many of the newest checkpoints are kept; the best one is always kept."""
    average_last: int = 0
    """Average the weights of the newest checkpoints at the end and keep the result if it scores better; 0 does not."""

    def problems(self) -> Iterator[str]:
        yield from rules.at_least("every_steps", self.every_steps, 1)
        yield from rules.at_least("keep_last", self.keep_last, 1)
        yield from rules.at_least("average_last", self.average_last, 0)
        if self.average_last > self.keep_last:
            yield f"average_last: must be at most keep_last ({self.keep_last}), got {self.average_last}"


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodingConfig:
    """How translations are searched for."""

    beam_size: int = 5
    """Hypotheses kept for each sentence; 1 is greedy search."""
    length_penalty: float = 1.0
    """A hypothesis of n tokens, end included, scores log P / n ** length_penalty; 0 compares bare probabilities."""
    max_length_ratio: float = 1.5
    """A translation ends at the latest after max_length_ratio x source pieces + max_length_extra pieces, not counting
    beginnings and terms that were given; 0 makes it max_length_extra for every source."""
    max_length_extra: int = 10
    """See max_length_ratio."""
    no_repeat_ngram: int | None = None
    """No run of so many pieces may occur twice in a translation; null allows all."""
    shortlist: bool = False
    """Look only at target pieces that pieces of the source became in training: faster with large vocabularies, and
    some translations differ (not where something is drawn or constraints are given)."""
    batch_tokens: int = 4096
    """Source tokens, padding included, that are translated together at most; on the CPU also 320 hypotheses at most."""
    batch_invariant: bool = False
    """Let no bit of a translation depend on the sentences beside it. In int8 that costs nothing; else each sentence is
    translated by itself, which is several times slower."""
    precision: Literal["auto", "fp32", "bf16", "int8"] = "auto"
    """Arithmetic of the search; auto is the fastest the device has: int8 on a CPU with AMX or AVX512-VNNI (and a C
    compiler), else bf16 where it is native, else fp32."""

    def problems(self) -> Iterator[str]:
        yield from rules.at_least("beam_size", self.beam_size, 1)
        yield from rules.zero_or_above("length_penalty", self.length_penalty)
        yield from rules.zero_or_above("max_length_ratio", self.max_length_ratio)
        yield from rules.at_least("max_length_extra", self.max_length_extra, 1)
        for name in ("no_repeat_ngram", "batch_tokens"):
            yield from rules.at_least(name, getattr(self, name), 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationConfig:
    """When and how translations are scored."""

    every_steps: int = 1000
    """Updates between validations."""
    metric: Literal["bleu", "loss"] = "bleu"
    """What makes a checkpoint the best one, and what early stopping watches."""
    patience: int | None = None
    """Stop after this many validations without a better one; null never does."""
    max_lines: int | None = None
    """Translate only the first so many validation pairs while training; the loss takes them all."""
    beam_size: int | None = None
    """Beam size of validations while training; default: decoding.beam_size."""
    num_samples: int = 3
    """Validation sentences whose translation is shown each time."""
    bootstrap_samples: int = 1000
    """Resamplings behind the confidence intervals of `evaluate`."""

    def problems(self) -> Iterator[str]:
        for name in ("every_steps", "patience", "max_lines", "beam_size"):
            yield from rules.at_least(name, getattr(self, name), 1)
        yield from rules.at_least("num_samples", self.num_samples, 0)
        yield from rules.at_least("bootstrap_samples", self.bootstrap_samples, 2)


@dataclass(frozen=True, kw_only=True, slots=True)
class LoggingConfig:
    """What is told while training; metrics.jsonl is always written."""

    every_steps: int = 100
    """Updates between lines of the log and of metrics.jsonl."""
    tensorboard: bool = True
    """Write TensorBoard files when the package tensorboard is installed."""
    curves: bool = True
    """Draw the learning curves when the package matplotlib is installed."""
    wandb: str | None = None
    """Project of Weights & Biases that is sent the configuration and the numbers of metrics.jsonl, no sentences. The
    environment says how: WANDB_API_KEY, WANDB_MODE (online, offline), WANDB_BASE_URL, WANDB_ENTITY."""
    mlflow: str | None = None
    """Experiment of MLflow that is sent the same, where MLFLOW_TRACKING_URI says; mlflow.db of the working directory
    where that is not set."""

    def problems(self) -> Iterator[str]:
        yield from rules.at_least("every_steps", self.every_steps, 1)
        for name in ("wandb", "mlflow"):
            yield from rules.not_empty(name, getattr(self, name))


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """The whole configuration of one translator."""

    data: DataConfig = field(default_factory=DataConfig)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    decoding: DecodingConfig = field(default_factory=DecodingConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    logging: LoggingConfig = field(default_factory=LoggingConfig)

    def problems(self) -> Iterator[str]:
        """What is wrong between sections; each line starts with the key to change."""
        limits, model, longest = self.training, self.model, self.data.max_length
        if model.tied_embeddings == "all" and not self.tokenizer.joint:
            yield "model.tied_embeddings: all needs tokenizer.joint: true; use decoder or none"
        if limits.batch_unit == "tokens" and limits.batch_size < longest:
            yield (
                f"training.batch_size: must be at least data.max_length ({longest}) so that every kept "
                f"pair fits a batch, got {limits.batch_size}"
            )
        if model.positions in ("sinusoidal", "learned") and model.max_positions < longest:
            yield f"model.max_positions: must be at least data.max_length ({longest}), got {model.max_positions}"
        if self.schedule.name in ("cosine", "linear") and not (
            self.schedule.decay_steps or limits.max_steps or limits.max_epochs
        ):
            yield f"schedule.decay_steps: {self.schedule.name} must end; set this, training.max_steps or max_epochs"
        if limits.precision == "fp16" and limits.device == "cpu":
            yield "training.precision: fp16 needs CUDA; use bf16, fp32 or auto on the CPU"
        if limits.sharded and self.optimizer.name == "muon":
            yield "training.sharded: muon needs whole matrices; use adamw, or share batches only"
        if self.evaluation.patience and not self.data.validation:
            yield "evaluation.patience: early stopping needs data.validation"
        for name, beam_size in (("decoding", self.decoding.beam_size), ("evaluation", self.evaluation.beam_size)):
            if beam_size is not None and beam_size > self.tokenizer.vocab_size:
                vocab_size = self.tokenizer.vocab_size
                yield f"{name}.beam_size: must be at most tokenizer.vocab_size ({vocab_size}), got {beam_size}"
        for name in ("src_vectors", "tgt_vectors"):
            if getattr(model, name) and limits.init_from:
                yield f"model.{name}: has no effect with training.init_from; remove one of them"
