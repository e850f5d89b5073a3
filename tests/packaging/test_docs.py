"""The documentation: the site builds without a warning, its reference is the program's, and the tutorial works."""

import html
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from transformer_mt.cli.main import COMMANDS, build_parser, main
from transformer_mt.cli.tree import command_tree
from transformer_mt.config.loading import parse_config
from transformer_mt.config.manual import manual

REPOSITORY = Path(__file__).resolve().parent.parent.parent
DOCS = REPOSITORY / "docs"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as its configuration says."""
    pytest.importorskip("mkdocs", reason="the extra docs has it")
    folder = tmp_path_factory.mktemp("site")
    words = ["build", "--strict", "-f", str(REPOSITORY / "scripts" / "docs" / "mkdocs.yml"), "-d", str(folder)]
    done = subprocess.run([sys.executable, "-m", "mkdocs", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def squeezed(text: str) -> str:
    """Without what Markdown and HTML may change: blanks and quotes of code."""
    return " ".join(text.replace("`", "").split())


def text_of(page: Path) -> str:
    return squeezed(html.unescape(re.sub(r"<[^>]*>", "", page.read_text(encoding="utf-8"))))


def test_every_command_and_option_is_in_the_reference(site: Path) -> None:
    page = text_of(site / "reference" / "commands.html")
    for command in command_tree(build_parser()).walk():
        assert " ".join(("transformer-mt", *command.words)) in page
        assert all(name in page for argument in command.arguments for name in argument.names)
        assert squeezed(command.description) in page and squeezed(command.epilog) in page


def test_every_key_is_in_the_reference(site: Path) -> None:
    page = text_of(site / "reference" / "configuration.html")
    for section in manual():
        assert section.name in page
        for key in section.keys:
            assert squeezed(f"{key.name} {key.type} {key.default} {key.text}") in page


def test_nothing_is_loaded_from_another_server(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = re.findall(r"<(?:script|link|img)[^>]*(?:src|href)=\"?([^\"> ]+)", page.read_text(encoding="utf-8"))
        assert not [address for address in loaded if "//" in address and 'rel="canonical"' not in address], page


def test_every_page_is_in_the_navigation() -> None:
    told = (REPOSITORY / "scripts" / "docs" / "mkdocs.yml").read_text(encoding="utf-8")
    assert [str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md") if str(page.relative_to(DOCS)) not in told] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_place_in_the_guides(command: str) -> None:
    guides = [page.read_text(encoding="utf-8") for page in DOCS.rglob("*.md")]
    assert any(re.search(rf"^ {{4}}(?:\S+ \| )?transformer-mt {command}\b", text, re.MULTILINE) for text in guides)


def test_every_configuration_in_the_documents_is_right() -> None:
    found = 0
    for page in (REPOSITORY / "README.md", *DOCS.rglob("*.md")):
        for kind, text in BLOCK.findall(page.read_text(encoding="utf-8")):
            if kind == "yaml":
                parse_config(text, page.name)
                found += 1
    assert found >= 3


def test_the_tutorial_works_from_the_first_line_to_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = []
    for kind, text in BLOCK.findall((DOCS / "tutorial.md").read_text(encoding="utf-8")):
        if kind == "yaml":
            assert "max_epochs: 8}" in text  # which takes a minute
            short = "max_steps: 80, threads: 1}\ndecoding: {precision: fp32}"  # so that poor weights decide firmly
            Path(text.split()[1]).write_text(text.replace("max_epochs: 8}", short))
        for line in text.splitlines() if kind == "sh" else ():
            if line.startswith("transformer-mt "):  # in this process, which has loaded what it needs
                assert main(shlex.split(line)[1:]) in (0, 2 if " doctor" in line else 0), line
                ran.append(line.split()[1])
            else:
                subprocess.run(line, shell=True, check=True)
    assert ran == [
        "doctor", "data", "config", "data", "train", "train", "diagnose", "evaluate", "translate", "verify"
    ]  # fmt: skip
    assert "\nruns/my: " in capsys.readouterr().out  # what diagnose says of it
    for name in ("report/report.html", "runs/my/results.json", "runs/my/bundle/README.md", "runs/my/curves.png"):
        assert Path(name).is_file()
    assert len(Path("out.fr").read_text(encoding="utf-8").splitlines()) == 200
