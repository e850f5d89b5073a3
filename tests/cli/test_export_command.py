"""The export command: nothing is overwritten or half-written, and what is refused is told in a line."""

import errno
import os
import resource
import sys
from importlib import import_module
from pathlib import Path

import pytest

from tests.shop import the_error
from transformer_mt import files
from transformer_mt.bundle import load_bundle
from transformer_mt.cli.main import main
from transformer_mt.errors import TransformerMTError
from transformer_mt.files import Point

TARGETS = {"ctranslate2": "out", "argos": "out.argosmodel"}


@pytest.fixture
def needs_ctranslate2() -> None:
    pytest.importorskip("ctranslate2", reason="CTranslate2 is installed on Linux only")


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """The one line by which the command is refused."""
    capsys.readouterr()
    assert main(["export", *map(str, words)]) == 2
    return the_error(capsys.readouterr().err)


@pytest.mark.usefixtures("needs_ctranslate2")
@pytest.mark.parametrize("target", TARGETS)
def test_it_writes_what_is_named_and_tells_its_size(
    target: str, tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "deep" / TARGETS[target]
    capsys.readouterr()
    assert main(["export", str(tiny_run), str(path), "--to", target, "--quantization", "int8"]) == 0
    assert f"{path}: 0." in capsys.readouterr().err
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("kind", ["file", "directory", "dangling link"])
def test_what_exists_is_left_alone(
    kind: str, tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "out"
    if kind == "file":
        path.write_text("mine")
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to("nowhere")
    before = path.lstat()
    told = refused(capsys, tiny_run, path, "--to", "ctranslate2")
    assert f"{path}: exists" in told and "remove it or choose another name" in told
    assert path.lstat() == before and os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("target", TARGETS)
def test_the_missing_package_is_named_with_the_command_that_installs_it(
    target: str, tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ctranslate2.specs", None)
    told = refused(capsys, tiny_run, tmp_path / TARGETS[target], "--to", target)
    assert 'needs the package ctranslate2; run: pip install "transformer-mt[ctranslate2]"' in told
    assert os.listdir(tmp_path) == []


def test_a_damaged_bundle_and_a_missing_one_are_refused(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = tmp_path / "bundle"
    damaged.mkdir()
    (damaged / "bundle.json").write_text("{}")
    assert "manifest.json" in refused(capsys, damaged, tmp_path / "out", "--to", "ctranslate2")
    assert "no such directory" in refused(capsys, tmp_path / "none", tmp_path / "out", "--to", "ctranslate2")
    assert os.listdir(tmp_path) == ["bundle"]


def test_quantization_is_refused_where_a_format_has_none(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformer_mt.cli.export.QUANTIZED", ("ctranslate2",))
    told = refused(capsys, tiny_run, tmp_path / "out", "--to", "argos", "--quantization", "int8")
    assert "--quantization: cannot be chosen with --to argos" in told


def test_a_path_below_a_file_is_refused(tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("mine")
    assert "cannot be written" in refused(capsys, tiny_run, tmp_path / "file" / "out", "--to", "ctranslate2")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.usefixtures("needs_ctranslate2")
@pytest.mark.parametrize("target", TARGETS)
def test_a_disk_that_is_full_at_any_moment_leaves_nothing(
    target: str, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, path = load_bundle(tiny_run), tmp_path / "deep" / TARGETS[target]
    export = getattr(import_module(f"transformer_mt.interop.{target}"), f"export_{target}")
    passed: list[Path] = []

    def full_at(moment: int) -> None:
        def pass_or_fail(point: Point, where: Path) -> None:
            if point != Point.REMOVING:
                passed.append(where)
                if len(passed) == moment:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        passed.clear()
        monkeypatch.setattr(files, "at_point", pass_or_fail)

    full_at(0)
    export(bundle, path)
    moments = passed.index(path)  # when it has its name, it is whole
    assert moments >= 13
    for moment in range(1, moments + 1):
        full_at(moment)
        with pytest.raises(TransformerMTError, match="disk full"):
            export(bundle, path.parent / str(moment) / path.name)
        assert os.listdir(path.parent / str(moment)) == []


@pytest.mark.usefixtures("needs_ctranslate2")
@pytest.mark.parametrize("target", TARGETS)
def test_a_write_that_is_cut_short_leaves_nothing(
    target: str, tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, limits[1]))  # bytes of a file; the model has more
    try:
        told = refused(capsys, tiny_run, tmp_path / TARGETS[target], "--to", target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "cannot be written (File too large)" in told
    assert os.listdir(tmp_path) == []
