"""Files of lines that grow together."""

from pathlib import Path

from transformer_mt.cli.line_files import LineFiles


def test_what_identifies_a_work_is_made_once_however_often_it_is_saved(tmp_path: Path) -> None:
    made = []

    def identity() -> dict[str, str]:
        made.append(1)  # files are hashed for it
        return {"input": "abc"}

    with LineFiles([tmp_path / "out"], identity, resume=False) as files:
        assert not made  # nor for a file that is done before there is anything to save
        for number in range(3):
            files.files[0].write(str(number))
            files.save()
    assert len(made) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out").read_text() == "0\n1\n2\n"
