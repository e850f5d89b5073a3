"""A bundle is whole, proves itself, and refuses what it is not."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from transformer_mt.bundle import load_bundle, save_bundle
from transformer_mt.cli.main import main
from transformer_mt.decoding.golden import replay
from transformer_mt.errors import BundleError, TokenizerError
from transformer_mt.manifest import write_manifest
from transformer_mt.tensors import load_tensors, save_tensors


@pytest.fixture
def bundle(tiny_run: Path, tmp_path: Path) -> Path:
    """A copy of the bundle that a test may change."""
    return Path(shutil.copytree(tiny_run / "bundle", tmp_path / "bundle"))


def test_what_is_saved_is_loaded(tiny_run: Path, tmp_path: Path) -> None:
    first = load_bundle(tiny_run)
    save_bundle(tmp_path / "copy", first)
    second = load_bundle(tmp_path / "copy")
    assert second.config == first.config
    assert second.facts == first.facts
    assert second.golden == first.golden
    assert second.calibration == first.calibration is not None
    weights = dict(second.model.named_parameters())
    assert all(torch.equal(weight, weights[name]) for name, weight in first.model.named_parameters())


def test_golden_translations_are_there_and_replay(tiny_run: Path) -> None:
    result = replay(tiny_run)
    assert result.num_golden == 20
    assert result.differences == []


def test_verify_tells_of_another_translation(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (bundle / "golden.jsonl").read_text().splitlines()
    first = {**json.loads(lines[0]), "translation": "autre chose"}
    (bundle / "golden.jsonl").write_text("\n".join([json.dumps(first), *lines[1:]]) + "\n")
    write_manifest(bundle)
    assert main(["verify", str(bundle)]) == 2
    assert "autre chose" in capsys.readouterr().out


def test_no_file_can_execute(tiny_run: Path) -> None:
    names = {path.name for path in (tiny_run / "bundle").rglob("*") if path.is_file()}
    assert names == {
        "manifest.json", "bundle.json", "config.yaml", "model.safetensors", "joint.model", "golden.jsonl",
        "shortlist.safetensors", "calibration.json", "README.md",
    }  # fmt: skip


@pytest.mark.parametrize(
    "name", ["bundle.json", "config.yaml", "model.safetensors", "golden.jsonl", "tokenizer/joint.model"]
)
def test_one_flipped_bit_is_noticed_and_named(bundle: Path, name: str) -> None:
    data = bytearray((bundle / name).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / name).write_bytes(data)
    with pytest.raises(BundleError, match=f"{name}.*damaged"):
        load_bundle(bundle)


def test_a_manifest_without_its_list_is_told_so(bundle: Path) -> None:
    (bundle / "manifest.json").write_text("{}")
    with pytest.raises(BundleError, match="is damaged .there is no entry 'files'.; copy"):
        load_bundle(bundle)


def test_a_link_out_of_the_bundle_is_called_one(bundle: Path, tmp_path: Path) -> None:
    (bundle / "model.safetensors").rename(tmp_path / "elsewhere")
    (bundle / "model.safetensors").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match="model.safetensors: is a link to a file outside of the directory; put"):
        load_bundle(bundle)


@pytest.mark.parametrize("name", ["bundle.json", "model.safetensors", "tokenizer/joint.model", "manifest.json"])
def test_a_missing_or_truncated_file_is_named(bundle: Path, name: str) -> None:
    (bundle / name).write_bytes((bundle / name).read_bytes()[:20])
    with pytest.raises(BundleError, match=name):
        load_bundle(bundle)
    (bundle / name).unlink()
    with pytest.raises(BundleError):
        load_bundle(bundle)


def change_weights(bundle: Path, **changes: torch.Tensor | None) -> None:
    tensors = load_tensors(bundle / "model.safetensors")
    for name, tensor in changes.items():
        key = name.replace("__", ".")
        tensors.pop(key, None)
        if tensor is not None:
            tensors[key] = tensor
    save_tensors(bundle / "model.safetensors", tensors)
    write_manifest(bundle)


def test_weights_of_another_model_are_refused_by_name(bundle: Path) -> None:
    change_weights(bundle, encoder__norm__weight=torch.ones(7), decoder__norm__bias=None, stranger=torch.ones(1))
    with pytest.raises(BundleError) as error:
        load_bundle(bundle)
    text = str(error.value)
    assert "decoder.norm.bias is missing" in text
    assert "encoder.norm.weight is (7,) instead of (64,)" in text
    assert "stranger is unknown" in text


def test_weights_that_are_not_finite_are_refused(bundle: Path) -> None:
    change_weights(bundle, encoder__norm__weight=torch.full((64,), float("nan")))
    with pytest.raises(BundleError, match=r"encoder\.norm\.weight holds NaN"):
        load_bundle(bundle)


def test_a_bundle_of_a_newer_version_says_so(bundle: Path) -> None:
    about = json.loads((bundle / "bundle.json").read_text())
    about.update(format_version=99, written_by="transformer_mt 9.9")
    (bundle / "bundle.json").write_text(json.dumps(about))
    write_manifest(bundle)
    with pytest.raises(BundleError, match=r"written by transformer_mt 9\.9"):
        load_bundle(bundle)


def test_a_tokenizer_of_another_size_is_refused(bundle: Path, tmp_path: Path) -> None:
    (bundle / "tokenizer" / "joint.model").write_bytes(b"not a model at all")
    write_manifest(bundle)
    with pytest.raises(TokenizerError, match=r"joint\.model"):
        load_bundle(bundle)


def test_a_header_that_claims_a_terabyte_is_refused(bundle: Path) -> None:
    header = json.dumps({"w": {"dtype": "F32", "shape": [1 << 38], "data_offsets": [0, 1 << 40]}}).encode()
    (bundle / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    write_manifest(bundle)
    with pytest.raises(BundleError, match="safetensors"):
        load_bundle(bundle)


def test_a_pickle_is_refused_and_not_run(bundle: Path, tmp_path: Path) -> None:
    class Payload:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "executed",))  # type: ignore[return-value]

    torch.save(Payload(), bundle / "model.safetensors")
    write_manifest(bundle)
    with pytest.raises(BundleError):
        load_bundle(bundle)
    assert not (tmp_path / "executed").exists()


def test_a_read_only_bundle_translates(bundle: Path) -> None:
    for path in [bundle, *bundle.rglob("*")]:
        path.chmod(0o555)
    try:
        assert load_bundle(bundle).model is not None
    finally:
        for path in [bundle, *bundle.rglob("*")]:
            path.chmod(0o755)


@pytest.mark.parametrize("content", [None, "empty", "run"])
def test_what_is_no_bundle_is_explained(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "thing"
    if content is not None:
        path.mkdir()
    if content == "run":
        (path / "checkpoints").mkdir()
    with pytest.raises(BundleError, match={None: "no such", "empty": "neither", "run": "no bundle yet"}[content]):
        load_bundle(path)
