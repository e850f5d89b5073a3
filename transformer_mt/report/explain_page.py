"""How one sentence was translated, as one HTML page that needs nothing else: to be looked at in a class."""

import json
from collections.abc import Iterator, Sequence
from html import escape

import torch
from torch import Tensor

from transformer_mt.data.vocabulary import BOS_ID, SPECIAL_PIECES
from transformer_mt.page import document, visible
from transformer_mt.report.explain_style import SCRIPT, STYLE
from transformer_mt.report.explanation import Explanation
from transformer_mt.report.heat import heat_map, label, png, strips
from transformer_mt.report.tree import search_tree

_POSITIONS = {
    "sinusoidal": "To each vector one that tells its place is added: sines and cosines of many wavelengths.",
    "learned": "To each vector a trained one that tells its place is added.",
    "rotary": "Nothing is added: inside the attention, pairs of numbers of queries and keys are turned by an angle "
    "that grows with the place. The picture shows the cosines of these angles.",
    "none": "Nothing tells this model the order of the source's pieces; the decoder sees only what came before.",
}

_BEAM = "The likeliest piece now may lead to an unlikely sentence, so {size} hypotheses go on side by side."
_GREEDY = "This search is greedy: one hypothesis goes on, by its likeliest piece."


def explain_page(found: Explanation) -> str:
    """The page; its size grows with the square of the sentence, times layers and heads."""
    sections = [
        ("Text to pieces", _pieces(found)),
        ("Pieces to vectors", _vectors(found)),
        ("Places", _places(found)),
        ("The encoder: pieces look at each other", _encoder(found)),
        ("The decoder: what was said looks back", _decoder(found)),
        ("The decoder looks at the source", _memory(found)),
        ("Which words belong together", _words(found)),
        ("Vectors to probabilities", _probabilities(found)),
        ("The search: kept and dropped", _search(found)),
        ("What each piece needed of the source", _attribution(found)),
    ]
    body = [*_summary(found)]
    for number, (title, parts) in enumerate(sections, start=1):
        body += [f'<section id="s{number}"><h2>{number}. {title}</h2>', *parts, "</section>"]
    return document("How a sentence was translated", "\n".join(body), style=STYLE, script=SCRIPT)


def _summary(found: Explanation) -> Iterator[str]:
    inspection, model = found.inspection, found.model
    num_src, num_tgt = len(inspection.src), len(inspection.tgt)
    wide = model.d_model
    yield f'<p class="said">{visible(inspection.text)}<br>→ <strong>{visible(inspection.translation)}</strong></p>'
    yield (
        f"<p>By a Transformer with {model.num_encoder_layers} layers in its encoder, {model.num_decoder_layers} in "
        f"its decoder, {model.num_heads} heads in each and {wide} numbers in a vector, computed in "
        f"{escape(found.arithmetic)}. All numbers on this page are of this translation.</p>"
    )
    stages = [
        (1, "pieces of the source, its end included", f"({num_src},)"),
        (2, "vectors of these pieces", _shape(num_src, wide)),
        (3, "what tells places apart", _shape(*found.positions.shape)),
        (
            4,
            "attention of the encoder: layers, heads, pieces, pieces",
            _shape(*inspection.trace.encoder_attention.shape),
        ),
        (4, "what the encoder makes of the source", _shape(num_src, wide)),
        (5, "attention of the decoder to itself", _shape(*inspection.trace.decoder_attention.shape)),
        (6, "attention of the decoder to the source", _shape(*inspection.trace.memory_attention.shape)),
        (7, "links between words of both sides", _shape(len(inspection.links), 2)),
        (8, "what the decoder makes of each place", _shape(num_tgt, wide)),
        (8, "probabilities of every piece at each place", _shape(num_tgt, found.vocab_sizes[1])),
        (9, "the search: steps, continuations looked at in each", _shape(len(found.steps), 2 * found.beam_size)),
        (10, "what each piece needed of the source", _shape(*found.attribution.shape)),
    ]
    yield "<table><tr><th>stage<th>shape"
    for number, name, shape in stages:
        yield f'<tr><td><a href="#s{number}">{number}. {name}</a><td class="shape">{shape}'
    yield "</table>"


def _shape(*sizes: int) -> str:
    return "(" + ", ".join(f"{size:,}" for size in sizes) + ")"


def _pieces(found: Explanation) -> Iterator[str]:
    inspection = found.inspection
    yield "<p>The text is written in one way (blanks, compatible characters) and cut into pieces that the model knows, "
    yield "each with its number in the vocabulary; ▁ stands for a blank. A last piece says that the sentence ends.</p>"
    yield f"<table><tr><th>as given<td class=text>{visible(inspection.text)}"
    yield f"<tr><th>normalised<td class=text>{visible(found.normalised)}"
    yield f"<tr><th>pieces <span class=shape>({len(inspection.src)},)</span><td>"
    yield f"{_chips(inspection.src, inspection.src_ids)}</table>"


def _chips(pieces: Sequence[str], ids: Sequence[int]) -> str:
    chips = (f"<span>{label(piece)}<small>{number}</small></span>" for piece, number in zip(pieces, ids, strict=True))
    return f'<div class="pieces">{"".join(chips)}</div>'


def _vectors(found: Explanation) -> Iterator[str]:
    vectors, pieces = found.src_vectors, found.inspection.src
    size = vectors.abs().max().item()
    yield f"<p>Each piece becomes a vector of {vectors.shape[1]} numbers, a row of a trained matrix of "
    yield f"{_shape(found.vocab_sizes[0], vectors.shape[1])}. Blue numbers are above 0, orange ones below.</p>"
    picture = strips(vectors, pieces, "the vectors of the pieces", size)
    yield _figure(picture, f"vectors {_shape(*vectors.shape)}, full shade at ±{size:.2f}")
    yield "<p>Pieces that are used alike have vectors that point alike: the cosine of the angle between two is 1 for "
    yield "the same direction, 0 for nothing in common.</p>"
    cosines = heat_map(_cosines(vectors), pieces, pieces, "cosines between the vectors of pieces")
    yield _figure(cosines, f"cosine similarity {_shape(len(pieces), len(pieces))}")


def _cosines(vectors: Tensor) -> Tensor:
    units = torch.nn.functional.normalize(vectors.double(), dim=-1)
    return units @ units.T


def _places(found: Explanation) -> Iterator[str]:
    signal = found.positions
    yield f"<p>{_POSITIONS[found.model.positions]}</p>"
    if found.model.positions != "none":
        names = [f"place {place}" for place in range(len(signal))]
        size = signal.abs().max().item()
        yield _figure(strips(signal, names, "what tells places apart", size), f"{_shape(*signal.shape)}")


def _encoder(found: Explanation) -> Iterator[str]:
    inspection = found.inspection
    yield "<p>In each layer every piece (a row) gathers from all pieces (columns); each head decides anew by how much, "
    yield "and a row of weights sums to 1. Then a small network works on each vector by itself.</p>"
    yield from _attention(inspection.trace.encoder_attention, inspection.src, inspection.src)
    yield from _movement(inspection.trace.src_states, inspection.src)


def _decoder(found: Explanation) -> Iterator[str]:
    inspection = found.inspection
    yield "<p>The translation is said piece by piece. When a piece (a row) is to be said, the decoder looks at those "
    yield "said before it (columns), of which the first is a mark for the beginning; later ones it cannot see.</p>"
    yield _chips(inspection.tgt, inspection.tgt_ids)
    yield from _attention(inspection.trace.decoder_attention, inspection.tgt, _said_before(inspection.tgt))
    yield from _movement(inspection.trace.tgt_states, inspection.tgt)


def _said_before(tgt: Sequence[str]) -> list[str]:
    return [SPECIAL_PIECES[BOS_ID], *tgt[:-1]]


def _memory(found: Explanation) -> Iterator[str]:
    inspection = found.inspection
    yield "<p>Then it looks at what the encoder made of the source: each piece to be said (a row) at the source's "
    yield "pieces (columns).</p>"
    yield from _attention(inspection.trace.memory_attention, inspection.tgt, inspection.src)


def _attention(weights: Tensor, rows: Sequence[str], columns: Sequence[str]) -> Iterator[str]:
    """Weights (L, H, R, C): their mean as a large picture with a choice of others, and all of them small."""
    num_layers, num_heads = weights.shape[:2]
    names = f"data-rows='{_json(rows)}' data-columns='{_json(columns)}'"
    yield f'<div class="attention" {names}><p class="picker">'
    for what, count in (("layer", num_layers), ("head", num_heads)):
        options = "".join(f'<option value="{number}">{what} {number}</option>' for number in range(1, count + 1))
        yield f'<label>{what} <select><option value="">all {what}s</option>{options}</select></label> '
    yield "</p>"
    mean = weights.mean(dim=(0, 1))
    most = mean.max().item()
    large = heat_map(mean, rows, columns, "attention, mean of all layers and heads", most)
    yield f'<div class="split">{_figure(large, f"all layers, all heads: full shade at {most:.0%}")}'
    yield f"<figure><figcaption>each of the {num_layers * num_heads}, a layer in each row: {_shape(*weights.shape)}, "
    yield 'full shade at 100%</figcaption><div class="wide">'
    yield f'<div class="tiles" style="grid-template-columns: repeat({num_heads}, minmax(var(--least), var(--tile)))">'
    for layer, of_layer in enumerate(weights, start=1):
        for head, one in enumerate(of_layer, start=1):
            name = f"layer {layer}, head {head}"
            yield (
                f'<button type="button" data-layer="{layer}" data-head="{head}" aria-pressed="false">'
                f'<img src="{png(one)}" alt="attention of {name}">{layer}.{head}</button>'
            )
    yield "</div></div></figure></div></div>"


def _json(pieces: Sequence[str]) -> str:
    return escape(json.dumps([piece if piece.isprintable() else label(piece) for piece in pieces], ensure_ascii=True))


def _movement(states: Tensor, pieces: Sequence[str]) -> Iterator[str]:
    """How far each layer moves the vectors, from states (L + 1, N, D)."""
    cosines = torch.nn.functional.cosine_similarity(states[1:].double(), states[:-1].double(), dim=-1)  # (L, N)
    turned = torch.rad2deg(cosines.clamp(-1.0, 1.0).acos())
    norms = states.double().norm(dim=-1)  # (L + 1, N)
    layers = [f"layer {number}" for number in range(1, len(states))]
    yield "<p>How a layer changes the vector of each piece: by what angle it turns what came out of the layer before, "
    yield "and how long it becomes.</p><div class=split>"
    most = turned.max().item()
    least = cosines.min().item()
    picture = heat_map(turned, layers, pieces, "angle to the layer before", most)
    yield _figure(picture, f"angle to the layer before, full shade at {most:.0f}° (a cosine of {least:.2f})")
    most = norms.max().item()
    picture = heat_map(norms, ["at first", *layers], pieces, "length of the vectors", most)
    yield _figure(picture, f"length, full shade at {most:.1f}") + "</div>"


def _words(found: Explanation) -> Iterator[str]:
    inspection = found.inspection
    yield "<p>The weights of the last section, their mean over layers and heads, tell for each word of the translation "
    yield "which word of the source it looked at most.</p>"
    yield _figure(
        _alignment(inspection.src_words, inspection.tgt_words, inspection.links), "source left, translation right"
    )


def _alignment(src: Sequence[str], tgt: Sequence[str], links: Sequence[tuple[int, int]]) -> str:
    height = 26 * max(len(src), len(tgt), 1) + 6
    parts = [f'<svg viewBox="0 0 440 {height}" width="440" role="img"><title>words that belong together</title>']
    parts += [f'<text x="165" y="{26 * i + 20}" class="row">{label(word)}</text>' for i, word in enumerate(src)]
    parts += [f'<text x="275" y="{26 * i + 20}">{label(word)}</text>' for i, word in enumerate(tgt)]
    paths = "".join(
        f'<path d="M172 {26 * i + 16}C220 {26 * i + 16} 220 {26 * j + 16} 268 {26 * j + 16}"/>' for i, j in links
    )
    return "".join(parts) + f'<g class="links">{paths}</g></svg>'


def _probabilities(found: Explanation) -> Iterator[str]:
    inspection = found.inspection
    yield "<p>From the decoder's vector at each place the output matrix makes a number for each of "
    yield f"{found.vocab_sizes[1]:,} pieces, and these become probabilities. The pieces of the translation, and the "
    yield "most probable at their place:</p>"
    yield "<div class=wide><table><tr><th>said<th>probability<th>most probable pieces"
    for piece, log_prob, others in zip(inspection.tgt, inspection.log_probs, inspection.alternatives, strict=True):
        probability = log_prob.exp().item()
        told = ", ".join(f"{label(other)} {share:.1%}" for other, share in others if share >= 0.001)
        yield (
            f"<tr><td class=piece>{label(piece)}<td class=number>{_percent(probability)} <span class=probability>"
            f'<div class=bar style="width:{100 * probability:.1f}%"></div></span><td>{told}'
        )
    yield "</table></div>"


def _percent(share: float) -> str:
    return f"{share:.1%}" if share >= 0.001 else "&lt;0.1%"


def _search(found: Explanation) -> Iterator[str]:
    size = found.beam_size
    yield f"<p>{_BEAM.format(size=size) if size > 1 else _GREEDY} Each step looks at the {2 * size} best "
    yield f"continuations, best first; the number is log P of the whole hypothesis. The best {size} that have not "
    yield "ended are kept, the others dropped. The path of the translation is orange.</p>"
    for picture in search_tree(found.steps, found.pieces, found.inspection.tgt_ids):
        yield f"<div class=wide>{picture}</div>"
    yield "<p>What came to its end: the best score wins, which is "
    yield f"log P / pieces<sup>{found.length_penalty:g}</sup>, so that short ones have no advantage. The search stops "
    yield "when nothing that goes on can beat it any more.</p>"
    yield "<div class=wide><table><tr><th>hypothesis<th>pieces<th>log P<th>score"
    for one in found.ended:
        text = f"<strong>{visible(one.text)}</strong>" if one.is_best else visible(one.text)
        yield f"<tr><td class=text>{text}<td class=number>{one.num_pieces}"
        yield f"<td class=number>{one.log_prob:.3f}<td class=number>{one.score:.4f}"
    yield "</table></div>"


def _attribution(found: Explanation) -> Iterator[str]:
    inspection, lost = found.inspection, found.attribution
    most = max(lost.abs().max().item(), 1e-6)
    yield "<p>Attention says where the model looked; this says what it needed, by occlusion. Each piece of the source "
    yield "is hidden in turn (from all attention, the others stay where they are), and the same translation is scored "
    yield "again: a shade is the log-probability that a piece of the translation (a row) loses without a piece of the "
    yield "source (a column). Orange: it gains. The end of the source is never hidden.</p>"
    picture = heat_map(lost, inspection.tgt, inspection.src, "log-probability lost", most)
    yield _figure(picture, f"log-probability lost {_shape(*lost.shape)}, full shade at {most:.1f}")
    yield "<div class=wide><table><tr><th>said<th>needs most (log-probability lost)"
    for piece, row in zip(inspection.tgt, lost, strict=True):
        best = row.topk(min(3, len(row)))
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        told = ", ".join(f"{label(inspection.src[place])} {value:.2f}" for place, value in pairs if value >= 0.01)
        yield f"<tr><td class=piece>{label(piece)}<td>{told or 'no piece in particular'}"
    yield "</table></div>"


def _figure(picture: str, caption: str) -> str:
    return f"<figure><div class=wide>{picture}</div><figcaption>{escape(caption)}</figcaption></figure>"
