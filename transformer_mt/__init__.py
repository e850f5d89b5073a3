"""transformer_mt: train your own translator from sentence pairs."""

__version__ = "0.1.0"
