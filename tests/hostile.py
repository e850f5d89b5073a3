"""Files made to harm whoever reads them, and broken ones; every one must be refused.

The hashes in the manifests are right, as an attacker's would be: a file that does not fit its hash is refused before it
is looked at.
"""

import io
import json
import math
import os
import pickle
import shutil
import struct
import tarfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from transformer_mt.manifest import write_manifest
from transformer_mt.tensors import load_tensors, save_tensors

Spoil = Callable[[Path], object]
"""Does something to the bundle or checkpoint in a directory."""


class Payload:
    """Makes the file `canary` where it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.canary,)


def pickles(canary: Path) -> dict[str, bytes]:
    """A payload as itself and in all formats that PyTorch has had."""
    plain = pickle.dumps(Payload(canary))
    new, legacy, tar, archive = (io.BytesIO() for _ in range(4))
    torch.save({"model": Payload(canary), "weight": torch.ones(3)}, new)
    torch.save({"model": Payload(canary)}, legacy, _use_new_zipfile_serialization=False)
    with tarfile.open(fileobj=tar, mode="w") as file:
        for name in ("pickle", "storages", "tensors"):
            entry = tarfile.TarInfo(name)
            entry.size = len(plain)
            file.addfile(entry, io.BytesIO(plain))
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("archive/data.pkl", plain)
        file.writestr("../../escaped", "x")
    files = {"torch": new, "torch-legacy": legacy, "torch-tar": tar, "zip": archive}
    return {"pickle": plain, **{name: file.getvalue() for name, file in files.items()}}


# --- safetensors ---


def safetensors(header: bytes | dict[str, Any], data: bytes = b"", claimed: int | None = None) -> bytes:
    """A file with this header, whose length may be claimed to be another."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if claimed is None else claimed) + raw + data


def tensor(shape: list[int], begin: int, end: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


_ONE = json.dumps(tensor([1], 0, 4)).encode()
_NONE = json.dumps(tensor([0], 0, 0)).encode()
WEIGHTS = {
    "empty": b"",
    "seven-bytes": b"\1" * 7,
    "header-of-a-terabyte": safetensors({}, claimed=1 << 40),
    "header-of-all-ones": safetensors({}, claimed=(1 << 64) - 1),
    "header-no-json": safetensors(b"{" * 50),
    "header-a-list": safetensors(b"[1, 2]"),
    "header-nested": safetensors(b'{"a": ' * 100_000),
    "header-no-utf-8": safetensors(b'{"\xff\xfe": 1}'),
    "header-of-many-names": safetensors(b"{" + b", ".join(b'"%d": %s' % (n, _NONE) for n in range(100_000)) + b"}"),
    "tensor-of-a-terabyte": safetensors({"w": tensor([1 << 38], 0, 1 << 40)}),
    "offsets-negative": safetensors({"w": tensor([1], -4, 0)}, bytes(4)),
    "offsets-backwards": safetensors({"w": tensor([1], 4, 0)}, bytes(4)),
    "offsets-overlap": safetensors({"v": tensor([2], 0, 8), "w": tensor([2], 4, 12)}, bytes(12)),
    "offsets-beyond-the-end": safetensors({"w": tensor([100], 0, 400)}, bytes(4)),
    "shape-too-large": safetensors({"w": tensor([1 << 32, 1 << 32, 1 << 32], 0, 0)}),
    "shape-negative": safetensors({"w": tensor([-1], 0, 4)}, bytes(4)),
    "names-twice": safetensors(b'{"w": %s, "w": %s}' % (_ONE, _ONE), bytes(4)),
    "type-unknown": safetensors({"w": tensor([1], 0, 4, "PICKLE")}, bytes(4)),
    "no-offsets": safetensors({"w": {"dtype": "F32"}}),
}


# --- SentencePiece models: the protobuf messages of its sentencepiece_model.proto ---


def varint(value: int) -> bytes:
    digits = b""
    while value > 127:
        digits, value = digits + bytes([value & 127 | 128]), value >> 7
    return digits + bytes([value])


def field(number: int, content: bytes) -> bytes:
    """A length-delimited protobuf field."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def piece(content: bytes, score: float = -1.0, kind: int = 1) -> bytes:
    return field(1, field(1, content) + b"\x15" + struct.pack("<f", score) + b"\x18" + bytes([kind]))


def charsmap(raw: bytes) -> bytes:
    """The compiled rules of a normaliser: the size of a trie, the trie, and strings."""
    return field(3, field(2, raw))


PAD = piece(b"<pad>", 0, 3)
SPECIAL = PAD + piece(b"<unk>", 0, 2) + piece(b"<s>", 0, 3) + piece(b"</s>", 0, 3)
IDS = field(2, b"\x18\x01\xc0\x02\x01\xc8\x02\x02\xd0\x02\x03\xd8\x02\x00")
"""The settings of a unigram model with our special ids."""
SOUND = SPECIAL + piece(b"a") + IDS


def tokenizers(sound: bytes) -> dict[str, bytes]:
    """Among them are those that crashed some version of SentencePiece when they were loaded."""
    return {
        "empty": b"",
        "text": b"this is no model\n" * 99,
        "zeros": bytes(10_000),
        "half": sound[: len(sound) // 2],
        "cut-short": sound[:-3],
        "length-of-an-exabyte": b"\x0a" + varint(1 << 60) + b"x",
        "number-without-end": b"\x0a" + b"\xff" * 40,
        "groups-nested": b"\x0b" * 100_000,
        "no-special-pieces": piece(b"a") + piece(b"b") + IDS,
        "no-end-of-sentence": SOUND.replace(b"</s>", b"</x>"),
        "no-padding": SOUND.removeprefix(PAD),
        "two-unknowns": SOUND + piece(b"b", kind=2),
        "a-piece-twice": SOUND + piece(b"a"),
        "a-piece-empty": SOUND + piece(b""),
        "a-piece-of-a-megabyte": SOUND + piece(b"b" * 1_000_000),
        "a-piece-with-nul": SOUND + piece(b"b\0c"),
        "score-nan": SOUND + piece(b"b", float("nan")),
        "one-byte-of-256": SOUND + piece(b"<0x00>", kind=6),
        "rules-cut-short": SOUND + charsmap(b"\xff\xff\xff\x7f" + b"x" * 8),
        "rules-of-garbage": SOUND + charsmap(struct.pack("<I", 1024) + b"\xff" * 1024 + b"\0"),
        "rules-out-of-bounds": SOUND + charsmap(struct.pack("<257I", 1024, *[0x7FFFFFFF] * 256) + b"a\0"),
    }


# --- YAML ---


def bombs(canary: Path) -> dict[str, str | bytes]:
    ninefold = [", ".join([f"*a{n}"] * 9) for n in range(99)]
    laughs = [f"a{n}: &a{n} [{before}]" for n, before in enumerate(ninefold, start=1)]
    merges = [f"a{n}: &a{n} {{<<: [{before}]}}" for n, before in enumerate(ninefold, start=1)]
    return {
        "billion-laughs": "\n".join(["a0: &a0 [x, x]", *laughs]),
        "billion-merges": "\n".join(["a0: &a0 {x: 1}", *merges]),
        "alias-of-itself": "a: &a [*a]",
        "python-object": f"training: !!python/object/apply:os.system ['touch {canary}']",
        "python-new": f"training: !!python/object/new:pathlib.Path.touch [{canary}]",
        "python-name": "training: !!python/name:os.system",
        "python-module": "training: !!python/module:antigravity",
        "python-eval": "training: !<tag:yaml.org,2002:python/object/apply:eval> ['1']",
        "brackets": "model: " + "[" * 400_000,
        "braces": "{a: " * 100_000,
        "dashes": "- " * 200_000,
        "question-marks": "? " * 200_000,
        "quote-without-end": 'model: "' + "x" * 400_000,
        "one-key": "x" * 490_000 + ": 1",
        "many-keys": "model:\n" + "".join(f"  k{n}: 1\n" for n in range(19_000)),
        "many-values": "model: [" + "1, " * 150_000,
        "many-anchors": "a: [" + "&a " * 150_000,
        "many-documents": "---\na: 1\n" * 50_000,
        "many-digits": "optimizer: {lr: " + "9" * 400_000 + "}",
        "many-escapes": 'model: "' + "\\U0010FFFF" * 45_000 + '"',
        "many-lines": "model: |\n" + " x\n" * 150_000,
        "megabytes": "#" * 50_000_000,
        "nul": b"model: \0",
        "no-utf-8": b"model: \xff\xfe\xfa",
        "utf-16": "model: {d_model: 8}".encode("utf-16"),
    }  # fmt: skip


# --- bundles and checkpoints: spoiled, then given the right hashes ---


def put(name: str, content: str | bytes) -> Spoil:
    return lambda folder: (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


def with_tensors(name: str, **tensors: torch.Tensor) -> Spoil:
    return lambda folder: save_tensors(folder / name, tensors)


def with_norm(weight: torch.Tensor) -> Spoil:
    def spoil(folder: Path) -> None:
        path = folder / "model.safetensors"
        save_tensors(path, {**load_tensors(path), "encoder.norm.weight": weight})

    return spoil


def changed(name: str, **values: Any) -> Spoil:
    """A JSON file with other values."""

    def spoil(folder: Path) -> None:
        (folder / name).write_text(json.dumps({**json.loads((folder / name).read_text()), **values}))

    return spoil


def configured(**values: int | str) -> Spoil:
    """config.yaml with other values of the model's."""

    def spoil(folder: Path) -> None:
        lines = (folder / "config.yaml").read_text().split("\n")
        for key, value in values.items():
            place = next(number for number, line in enumerate(lines) if line.startswith(f"  {key}: "))
            lines[place] = f"  {key}: {value}"
        (folder / "config.yaml").write_text("\n".join(lines))

    return spoil


def golden(**values: Any) -> Spoil:
    return put(
        "golden.jsonl", json.dumps({"src": "a", "translation": "b", "beam_size": 1, "precision": "fp32", **values})
    )


NESTED = "[" * 100_000
LONG = "[" + "[], " * 1_000_000
DIGITS = '{"format_version": ' + "9" * 10_000 + "}"
STATES: dict[str, dict[str, Any]] = {
    "text": {"step": "many"}, "null": {"step": None}, "negative": {"step": -1}, "infinite": {"step": float("inf")},
    "fraction": {"position": 1.5}, "bool": {"epoch": True}, "unknown": {"__class__": "os.system"},
    "list": {"meter": [1]}, "word": {"meter": {"loss": "x"}}, "object": {"data": {"a": {}}},
    "version-text": {"format_version": "x"}, "version-infinite": {"format_version": float("inf")},
}  # fmt: skip


def calibration(**changes: Any) -> str:
    level = {"scores": [0.5], "probabilities": [0.5]}
    return json.dumps({"words": level, "lines": level, "num_words": 1, "num_lines": 1, **changes})


CALIBRATIONS = {
    "a-list": "[1]", "nested": NESTED, "digits": DIGITS, "null": calibration(words=None),
    "unknown-key": calibration(__class__="os.system"), "count-text": calibration(num_words="many"),
    "nan": calibration(words={"scores": [math.nan], "probabilities": [0.5]}),
    "above-one": calibration(words={"scores": [0.5], "probabilities": [1e300]}),
    "falls": calibration(lines={"scores": [0.1, 0.2], "probabilities": [0.5, 0.4]}),
    "two-at-once": calibration(lines={"scores": [0.1, 0.1], "probabilities": [0.4, 0.5]}),
    "uneven": calibration(lines={"scores": [0.1, 0.2], "probabilities": [0.5]}),
    "empty": calibration(lines={"scores": [], "probabilities": []}),
    "many-points": calibration(lines={"scores": [n / 1e6 for n in range(5000)], "probabilities": [0.5] * 5000}),
    "true": calibration(lines={"scores": [True], "probabilities": [0.5]}),
}  # fmt: skip


def spoiled_bundles(canary: Path) -> dict[str, Spoil]:
    no_pieces, shortlist = torch.zeros(0, dtype=torch.int32), "shortlist.safetensors"
    numbers = torch.zeros(309, 2, dtype=torch.int32)
    files = {**WEIGHTS, **pickles(canary)}
    return {
        **{f"weights-{name}": put("model.safetensors", content) for name, content in files.items()},
        "weights-float8": with_norm(torch.ones(64).to(torch.float8_e4m3fn)),
        "weights-complex": with_norm(torch.ones(64, dtype=torch.complex64)),
        "weights-bool": with_norm(torch.ones(64, dtype=torch.bool)),
        "weights-nan": with_norm(torch.full((64,), torch.nan)),
        "model-wide": configured(d_ff=10**12),
        "model-wider-than-any-number": configured(d_ff=2**62),
        "model-deep": configured(num_encoder_layers=10**9),
        "model-long": configured(positions="learned", max_positions=10**11),
        "config-alias-bomb": put("config.yaml", bombs(canary)["billion-laughs"]),
        "about-a-list": put("bundle.json", "[1]"),
        "about-nested": put("bundle.json", NESTED),
        "about-long": put("bundle.json", LONG),
        "about-digits": put("bundle.json", DIGITS),
        "facts-text": changed("bundle.json", facts={"max_source_pieces": "many"}),
        "facts-negative": changed("bundle.json", facts={"max_source_pieces": -1}),
        "facts-infinite": changed("bundle.json", facts={"max_source_pieces": float("inf")}),
        "facts-null": changed("bundle.json", facts={"max_source_pieces": None}),
        "golden-a-list": put("golden.jsonl", "[1]\n"),
        "golden-nested": put("golden.jsonl", NESTED),
        "golden-long": put("golden.jsonl", LONG),
        "golden-no-text": golden(src=1),
        "golden-huge-beam": golden(beam_size=10**9),
        "golden-other-precision": golden(precision={}),
        "golden-unknown-key": golden(__class__="os.system"),
        **{f"calibration-{name}": put("calibration.json", content) for name, content in CALIBRATIONS.items()},
        "calibration-pickle": put("calibration.json", files["pickle"]),
        "shortlist-pickle": put(shortlist, files["pickle"]),
        "shortlist-half": with_tensors(shortlist, likely=numbers),
        "shortlist-flat": with_tensors(shortlist, likely=numbers[:, 0], always=no_pieces),
        "shortlist-other-type": with_tensors(shortlist, likely=numbers.bfloat16(), always=no_pieces),
        "shortlist-out-of-bounds": with_tensors(shortlist, likely=numbers + (1 << 30), always=no_pieces),
        "shortlist-negative": with_tensors(shortlist, likely=numbers - 1, always=no_pieces),
    }


def spoiled_checkpoints(canary: Path) -> dict[str, Spoil]:
    optimizer, files = "optimizer.safetensors", pickles(canary)
    return {
        **{f"optimizer-{name}": put(optimizer, content) for name, content in files.items()},
        "optimizer-of-a-terabyte": put(optimizer, WEIGHTS["tensor-of-a-terabyte"]),
        "average-pickle": put("average.safetensors", files["pickle"]),
        "weights-nan": with_norm(torch.full((64,), torch.nan)),
        **{f"state-{name}": changed("state.json", **values) for name, values in STATES.items()},
        "state-a-list": put("state.json", "[]"),
        "state-nested": put("state.json", NESTED),
        "state-long": put("state.json", LONG),
        "state-digits": put("state.json", DIGITS),
    }


# --- bundles whose manifest is odd, or does not name what is there ---


def manifest(name: str, size: float = 1) -> Spoil:
    """A manifest with one name more."""

    def spoil(bundle: Path) -> None:
        files = json.loads((bundle / "manifest.json").read_text())["files"]
        files[name] = {"bytes": size, "sha256": "0" * 64}
        (bundle / "manifest.json").write_text(json.dumps({"files": files}))

    return spoil


def unnamed(name: str, make: Spoil) -> Spoil:
    """What lies there without a hash."""

    def spoil(bundle: Path) -> None:
        (bundle / name).unlink()
        write_manifest(bundle)
        make(bundle / name)

    return spoil


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 36)


ODD_MANIFESTS: dict[str, Spoil] = {
    "manifest-outside": manifest("../../../etc/passwd"),
    "manifest-absolute": manifest("/etc/passwd"),
    "manifest-nul": manifest("a\0b"),
    "manifest-surrogate": manifest("\ud800"),
    "manifest-long-name": manifest("x" * 5000),
    "manifest-infinite-size": manifest("a", float("inf")),
    "manifest-nested": put("manifest.json", NESTED),
    "manifest-long": put("manifest.json", LONG),
    "manifest-a-list": put("manifest.json", '{"files": [1, 2]}'),
    "manifest-of-nothing": put("manifest.json", '{"files": {}}'),
    **{
        f"unnamed-{kind}-{name.partition('.')[0]}": unnamed(name, make)
        for name in ("model.safetensors", "golden.jsonl", "bundle.json", "config.yaml")
        for kind, make in (("pipe", os.mkfifo), ("endless", endless), ("sparse", sparse), ("directory", Path.mkdir))
    },
    "unnamed-tokenizer": unnamed("tokenizer/joint.model", partial(Path.write_bytes, data=SOUND)),
}


def make_all(folder: Path, run: Path, canary: Path) -> list[tuple[str, Path]]:
    """Write everything below `folder`, spoiling the bundle and a checkpoint of `run`; the reader and path of each."""
    listing: list[tuple[str, Path]] = []
    checkpoint = sorted((run / "checkpoints").iterdir())[-1]
    for reader, sound, spoils, hashed_after in (
        ("bundle", run / "bundle", spoiled_bundles(canary), True),
        ("bundle", run / "bundle", ODD_MANIFESTS, False),
        ("checkpoint", checkpoint, spoiled_checkpoints(canary), True),
    ):
        for name, spoil in spoils.items():
            path = Path(shutil.copytree(sound, folder / reader / name))
            spoil(path)
            if hashed_after:
                write_manifest(path)
            listing.append((reader, path))
    models = tokenizers((run / "bundle" / "tokenizer" / "joint.model").read_bytes()) | pickles(canary)
    for reader, contents in (("tokenizer", models), ("config", bombs(canary) | pickles(canary))):
        (folder / reader).mkdir()
        for name, content in contents.items():
            put(name, content)(folder / reader)
            listing.append((reader, folder / reader / name))
    return listing
