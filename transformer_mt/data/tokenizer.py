"""SentencePiece models: text to ids and back, one model for both languages or one for each."""

import hashlib
import io
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import sentencepiece

from transformer_mt.config.schema import TokenizerConfig
from transformer_mt.data.pairs import Pair, Report
from transformer_mt.data.vocabulary import BOS_ID, EOS_ID, PAD_ID, SPECIAL_PIECES, UNK_ID
from transformer_mt.errors import DataError, TokenizerError
from transformer_mt.files import atomic_file, check_readable_file

JOINT_FILE = "joint.model"
SOURCE_FILE = "source.model"
TARGET_FILE = "target.model"

META_BLANK = "\N{LOWER ONE EIGHTH BLOCK}"
"""SentencePiece writes a blank as this character; in text it is escaped, so that it comes back as itself."""
ESCAPE = "\ue581"

MAX_LINE_BYTES = 1 << 16
"""Longer lines are left out of the training of the tokenizer (SentencePiece's own limit is 4192)."""

TRAINING_THREADS = 4
"""The same on every machine, for the model depends on it: each thread sums its own share of the counts."""

_RULES = {"nfkc": "nmt_nfkc", "identity": "identity"}

_PROBE = """
import sys
sys.path[:] = sys.argv[1:]
import sentencepiece
model = sentencepiece.SentencePieceProcessor(model_proto=sys.stdin.buffer.read())
model.decode(model.encode("A probe: \\u00e9t\\u00e9 1."))
model.decode(list(range(model.get_piece_size())))
"""


class Tokenizer:
    """One SentencePiece model with the special ids of `vocabulary`; never adds bos or eos.

    A literal U+2581 in text and the strings "<s>", "</s>", "<unk>", "<pad>" are text and come back as they
    were. Under identity normalisation with byte fallback every text does. Under nfkc, blanks (also U+2028, NBSP,
    U+200B and U+FFFD) become one space, runs of them are joined and those at the ends removed, and characters
    take their compatible form: "\ufb01" is "fi", "\u2047" is "??".
    """

    def __init__(self, proto: bytes, name: str = "the tokenizer") -> None:
        """Raises TokenizerError when `proto` is no SentencePiece model or has other special ids."""
        self.proto = proto
        self.sha256 = hashlib.sha256(proto).hexdigest()
        try:
            self._model = sentencepiece.SentencePieceProcessor(model_proto=proto)
        except (RuntimeError, ValueError) as error:
            raise TokenizerError(f"{name}: is no SentencePiece model, or a damaged one ({_one_line(error)})") from None
        _check_special_ids(self._model, name)

    @classmethod
    def load(cls, path: Path, sha256: str | None = None, untrusted: bool = False) -> "Tokenizer":
        """Load a model file.

        `sha256` is the hash that it must have. `untrusted` tries the file in a child process first: a hostile
        file can crash SentencePiece. Raises TokenizerError naming the file and what is wrong with it.
        """
        try:
            check_readable_file(path)
            proto = path.read_bytes()
        except (DataError, OSError) as error:
            raise TokenizerError(f"tokenizer {error}") from None
        found = hashlib.sha256(proto).hexdigest()
        if sha256 is not None and found != sha256:
            raise TokenizerError(
                f"{path}: is not the tokenizer that this model was trained with (SHA-256 {found}, expected {sha256})"
            )
        if untrusted and (problem := problem_in_child(proto)):
            raise TokenizerError(f"{path}: {problem}")
        return cls(proto, str(path))

    def save(self, path: Path) -> None:
        """Write the very bytes that this tokenizer was made from, atomically."""
        with atomic_file(path) as file:
            file.write(self.proto)

    @property
    def vocab_size(self) -> int:
        """Number of ids, special ones included."""
        return self._model.get_piece_size()

    def encode(self, lines: Sequence[str], add_eos: bool = False) -> list[list[int]]:
        """The ids of each line, without bos; a blank line may have none."""
        return self._model.encode(escape_all(lines), add_eos=add_eos, num_threads=1)  # type: ignore[no-any-return]

    def normalised(self, line: str) -> str:
        """The line as it is before it is cut into pieces; its blanks are blanks."""
        return unescape(self._model.normalize(escape(line)).replace(META_BLANK, " ")).removeprefix(" ")

    def piece_ends(self, lines: Sequence[str]) -> list[list[int]]:
        """For each id that `encode` gives, the place of its last character in the escaped line."""
        return _ends(self._model.encode(escape_all(lines), return_type="offset_mapping"))

    def decoded_ends(self, ids: Sequence[Sequence[int]]) -> list[list[int]]:
        """For each id the place of its last character in what `decode` gives, before that is unescaped."""
        return _ends(self._model.decode([list(map(int, row)) for row in ids], return_type="offset_mapping"))

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """The text of each row of ids; special ids give nothing, the unknown one U+2047."""
        return [unescape(text) for text in self._model.decode([list(map(int, row)) for row in ids])]

    def text_pieces(self) -> dict[int, tuple[str, float]]:
        """The pieces that stand for text of their own, with their scores, by id: no special ones, no bytes."""
        model = self._model
        others = (model.is_unknown, model.is_control, model.is_byte, model.is_unused)
        ids = (index for index in range(self.vocab_size) if not any(is_other(index) for is_other in others))
        return {index: (model.id_to_piece(index), model.get_score(index)) for index in ids}

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """The pieces of `ids` as SentencePiece writes them, for people to look at."""
        return [self._model.id_to_piece(int(index)) for index in ids]


class TokenizerPair:
    """The tokenizers of the two languages; the same object twice when they are one joint model."""

    def __init__(self, src: Tokenizer, tgt: Tokenizer) -> None:
        self.src = src
        self.tgt = tgt

    @property
    def is_joint(self) -> bool:
        """Whether one model serves both languages."""
        return self.src is self.tgt

    def files(self) -> dict[str, str]:
        """The SHA-256 of each model by the name of its file."""
        if self.is_joint:
            return {JOINT_FILE: self.src.sha256}
        return {SOURCE_FILE: self.src.sha256, TARGET_FILE: self.tgt.sha256}

    def save(self, directory: Path) -> None:
        """Write joint.model, or source.model and target.model."""
        if self.is_joint:
            self.src.save(directory / JOINT_FILE)
        else:
            self.src.save(directory / SOURCE_FILE)
            self.tgt.save(directory / TARGET_FILE)

    @classmethod
    def load(cls, directory: Path, sha256: dict[str, str] | None = None, untrusted: bool = False) -> "TokenizerPair":
        """Load what `save` wrote; `sha256` gives the hashes that the files must have, by name."""
        hashes = sha256 or {}
        if (directory / JOINT_FILE).exists() or not (directory / SOURCE_FILE).exists():
            joint = Tokenizer.load(directory / JOINT_FILE, hashes.get(JOINT_FILE), untrusted)
            return cls(joint, joint)
        return cls(
            Tokenizer.load(directory / SOURCE_FILE, hashes.get(SOURCE_FILE), untrusted),
            Tokenizer.load(directory / TARGET_FILE, hashes.get(TARGET_FILE), untrusted),
        )


def _ends(mappings: Sequence[dict[str, Any]]) -> list[list[int]]:
    """The last place of each span; an empty span, as of the first bytes of a character, is where the next begins."""
    return [[max(begin, end - 1) for begin, end in mapping["offsets"]] for mapping in mappings]


def escape(line: str) -> str:
    """`line` with U+2581 written so that SentencePiece does not take it for a blank."""
    if META_BLANK in line or ESCAPE in line:
        return line.replace(ESCAPE, ESCAPE + "0").replace(META_BLANK, ESCAPE + "1")
    return line


def escape_all(lines: Sequence[str]) -> list[str]:
    """`escape` for many lines, which seldom need it."""
    text = "".join(lines)
    return [escape(line) for line in lines] if META_BLANK in text or ESCAPE in text else list(lines)


def unescape(line: str) -> str:
    """The inverse of `escape`."""
    if ESCAPE in line:
        return line.replace(ESCAPE + "1", META_BLANK).replace(ESCAPE + "0", ESCAPE)
    return line


def _check_special_ids(model: sentencepiece.SentencePieceProcessor, name: str) -> None:
    found = (model.pad_id(), model.unk_id(), model.bos_id(), model.eos_id())
    if found != (PAD_ID, UNK_ID, BOS_ID, EOS_ID):
        listed = ", ".join(f"{piece} {index}" for piece, index in zip(SPECIAL_PIECES, found, strict=True))
        raise TokenizerError(f"{name}: has special ids {listed}; needed: <pad> 0, <unk> 1, <s> 2, </s> 3")


@lru_cache(maxsize=4)
def problem_in_child(proto: bytes) -> str | None:
    """What goes wrong when a child process loads and uses this model, if anything; costs about 0.1 s."""
    command = [sys.executable, "-I", "-c", _PROBE, *filter(None, sys.path)]
    try:
        child = subprocess.run(command, input=proto, capture_output=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        return "SentencePiece did not get done with this model in 60 s"
    except OSError:  # no process can be started here; loading it in this one still finds what is merely damaged
        return None
    if child.returncode < 0:
        return f"SentencePiece crashed on this model (signal {-child.returncode}); do not use it"
    if child.returncode > 0:
        lines = child.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        return f"is no SentencePiece model, or a damaged one ({lines[-1]})"
    return None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def train_tokenizers(config: TokenizerConfig, pairs: Callable[[], Iterator[Pair]], report: Report) -> TokenizerPair:
    """Train one model on both sides of all pairs, or one on each side.

    `pairs` starts the pairs anew; they are read twice or three times. When there are more lines than
    max_train_lines, evenly spaced pairs are taken. Raises TokenizerError when the pairs do not support
    vocab_size, or hold no text.
    """
    num_pairs = sum(1 for _ in pairs())
    if num_pairs == 0:
        raise TokenizerError("data.train: there are no sentence pairs to train the tokenizer on; are its files empty?")
    lines_per_pair = 2 if config.joint else 1
    num_taken = min(num_pairs, max(1, config.max_train_lines // lines_per_pair))
    report(f"training the tokenizer on {lines_per_pair * num_taken} of {lines_per_pair * num_pairs} lines")

    def taken() -> Iterator[Pair]:
        for index, pair in enumerate(pairs()):
            if (index + 1) * num_taken // num_pairs > index * num_taken // num_pairs:
                yield pair

    if config.joint:
        joint = _train(config, (line for pair in taken() for line in (pair.src, pair.tgt)), "these sentences")
        return TokenizerPair(joint, joint)
    return TokenizerPair(
        _train(config, (pair.src for pair in taken()), "the source sentences"),
        _train(config, (pair.tgt for pair in taken()), "the target sentences"),
    )


def _train(config: TokenizerConfig, lines: Iterator[str], what: str) -> Tokenizer:
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(escape(line) for line in lines if line and not line.isspace()),
            model_writer=model,
            model_type=config.model_type,
            vocab_size=config.vocab_size,
            character_coverage=config.character_coverage,
            byte_fallback=config.uses_bytes,
            normalization_rule_name=_RULES[config.normalization],
            remove_extra_whitespaces=config.normalization == "nfkc",
            max_sentence_length=MAX_LINE_BYTES,
            pad_id=PAD_ID,
            unk_id=UNK_ID,
            bos_id=BOS_ID,
            eos_id=EOS_ID,
            pad_piece=SPECIAL_PIECES[PAD_ID],
            unk_piece=SPECIAL_PIECES[UNK_ID],
            bos_piece=SPECIAL_PIECES[BOS_ID],
            eos_piece=SPECIAL_PIECES[EOS_ID],
            num_threads=TRAINING_THREADS,
            minloglevel=3,
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise TokenizerError(_training_problem(str(error), config, what)) from None
    return Tokenizer(model.getvalue(), f"the tokenizer trained on {what}")


def _training_problem(error: str, config: TokenizerConfig, what: str) -> str:
    size = f"tokenizer.vocab_size: {config.vocab_size}"
    if maximum := re.search(r"set it to a value <= (\d+)", error):
        return f"{size} is more than {what} support; at most {maximum[1]}"
    if "smaller than required_chars" in error or "too small" in error.lower():
        needed = re.search(r"(\d+) vs (\d+)", error)
        least = f" ({needed[0]})" if needed else ""
        return f"{size} has no room for every character of {what}{least}; raise it, or lower character_coverage"
    if "!sentences_.empty()" in error:
        return f"data.train: there is no text in {what} to train the tokenizer on"
    return f"the tokenizer cannot be trained on {what}: {' '.join(error.split())}"
