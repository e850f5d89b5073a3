"""A bundle as a package that Argos Translate and LibreTranslate install: a zip with one folder in it."""

import json
import zipfile
from pathlib import Path

from transformer_mt import __version__
from transformer_mt.bundle import Bundle
from transformer_mt.data.language_names import language_name
from transformer_mt.errors import TransformerMTError
from transformer_mt.files import atomic_file, scratch_directory
from transformer_mt.interop.ctranslate2 import write_model
from transformer_mt.manifest import write_manifest

SUFFIX = ".argosmodel"

_README = """\
# {from_name} to {to_name}

Written by transformer_mt {version}; the weights are in {quantization}. To install it:

    python -c "from argostranslate.package import install_from_path as install; install('FILE.argosmodel')"

Argos Translate searches with a beam of 4 and a length penalty of 0.2, ends a translation after 256 pieces, leaves out
what a sentence has beyond 1,024, and writes a blank for "_". On a CPU it computes in int8 if it can;
ARGOS_COMPUTE_TYPE=default keeps the type of the weights. manifest.json has size and SHA-256 of every file.
"""  # ASCII, for Argos Translate reads it in the encoding of the locale


def export_argos(bundle: Bundle, path: Path, quantization: str = "float32") -> None:
    """Write the package `path`, whose name must end in .argosmodel, with weights in `quantization`.

    Raises TransformerMTError for another name or two tokenizers, and what `write_model` does.
    """
    if path.suffix != SUFFIX:
        raise TransformerMTError(f"{path}: Argos Translate knows packages by their end; call it {path.name}{SUFFIX}")
    if not bundle.tokenizers.is_joint:
        raise TransformerMTError(
            "tokenizer.joint: false cannot be exported to argos, which has one tokenizer for both languages; "
            "--to ctranslate2 takes two, or train with tokenizer.joint: true"
        )
    folder = f"translate-{bundle.config.data.src_lang}_{bundle.config.data.tgt_lang}-1_0"  # where it is installed
    with atomic_file(path) as file, scratch_directory(path) as directory:
        _fill(directory, bundle, quantization)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as package:
            for one in sorted(one for one in directory.rglob("*") if one.is_file()):
                package.write(one, f"{folder}/{one.relative_to(directory)}")


def _fill(directory: Path, bundle: Bundle, quantization: str) -> None:
    """Write all that is packed."""
    src, tgt = bundle.config.data.src_lang, bundle.config.data.tgt_lang
    names = {"from_name": language_name(src), "to_name": language_name(tgt)}
    about = {"package_version": "1.0", "argos_version": "1.9.0", "from_code": src, "to_code": tgt, **names}
    (directory / "metadata.json").write_text(json.dumps(about, indent=2), encoding="ascii")
    readme = _README.format(**names, version=__version__, quantization=quantization)
    (directory / "README.md").write_text(readme, encoding="ascii")
    bundle.tokenizers.src.save(directory / "sentencepiece.model")
    (directory / "model").mkdir()
    write_model(bundle, directory / "model", quantization)
    write_manifest(directory)
