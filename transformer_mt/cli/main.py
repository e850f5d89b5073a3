"""The command `transformer-mt`: parse, call, report; exit codes 0, 1, 2, 3, 130."""

import argparse
import errno
import os
import signal
import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from keyword import iskeyword

from transformer_mt import __version__
from transformer_mt.errors import Interrupted, TransformerMTError
from transformer_mt.interrupts import interrupted_by

COMMANDS = (
    "train", "diagnose", "report", "evaluate", "translate", "serve", "score", "explain", "bench", "export", "import",
    "verify", "verify-resume", "data", "model", "config", "doctor", "completion",
)  # fmt: skip
EPILOG = """\
examples:
  transformer-mt doctor                                    # is this machine ready?
  transformer-mt train my.yaml
  transformer-mt translate runs/my in.txt -o out.txt

`transformer-mt COMMAND --help` says more, with examples.

exit codes:
  0  done                       3  --strict found flagged lines
  1  a bug of ours              130  interrupted, after saving
  2  something you can mend
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. Without `argv` it is that of this process, whose SIGINT is ours then."""
    code = _guarded(argv)
    if argv is None and "RANK" in os.environ:
        # Threads of PyTorch's process groups may want the interpreter while it ends, which aborts the process.
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
        os._exit(code)
    return code


def _guarded(argv: Sequence[str] | None) -> int:
    """`_run`, with our SIGINT where the process is ours."""
    is_ours = argv is None and threading.current_thread() is threading.main_thread()
    if not is_ours or signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as in a job in the background
        return _run(argv)
    signal.signal(signal.SIGINT, interrupted_by(_tell_of_interrupt))
    try:
        return _run(argv)
    except KeyboardInterrupt:  # while another end was told
        return 130
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is said; only a traceback could come of it


def _run(argv: Sequence[str] | None) -> int:
    _use_utf8()
    try:
        try:
            args = build_parser().parse_args(argv)
            return int(args.run(args))
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # now, so that a reader that has gone or a full disk is noticed here
    except TransformerMTError as error:  # the user can mend it; anything else keeps its traceback
        _tell(f"error: {error}")
        return 2
    except Interrupted as error:
        _tell(f"stopped: {error}")
        return 130
    except KeyboardInterrupt:
        _tell("interrupted")
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as in `| head`
        _drop_output()
        return 128 + signal.SIGPIPE
    except UnicodeEncodeError as error:
        if error.encoding != sys.getfilesystemencoding():
            raise
        _tell(f"error: {error.object}: cannot name a file in this locale ({error.encoding}); set PYTHONUTF8=1")
        return 2
    except OSError as error:  # a missing permission, a full disk, a file where a directory is needed
        if error.filename is None and error.errno != errno.ENOSPC:
            raise
        _tell(f"error: {error.filename or 'standard output'}: {error.strerror}")
        if error.filename is None:
            _drop_output()
        return 2


def _tell(text: str) -> None:
    """Say how the command ended."""
    print(_as_told(text), end="", file=sys.stderr)


def _tell_of_interrupt() -> None:
    os.write(2, _as_told("interrupted").encode())  # what is printed may be in the middle of another line


def _as_told(text: str) -> str:
    """A line of ours, which names the process where there are several."""
    rank = os.environ.get("RANK", "0")
    return f"transformer-mt: {'' if rank == '0' else f'process {rank}: '}{text}\n"


def _drop_output() -> None:
    """Let what is still buffered for standard output go nowhere when the interpreter ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="transformer-mt",
        description="Train your own translator from sentence pairs, score it and translate with it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"transformer-mt {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in COMMANDS:
        module = name.replace("-", "_") + ("_" if iskeyword(name) else "")
        import_module(f"transformer_mt.cli.{module}").add_parser(commands)
    return parser


def _use_utf8() -> None:
    """Read and write UTF-8 with bare line feeds whatever the locale says."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")
