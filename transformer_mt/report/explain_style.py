"""What the page of an explanation has of its own: its looks, and a script that picks layers and heads."""

STYLE = """\
.shape { color: var(--quiet); font: 13px ui-monospace, monospace; white-space: nowrap; }
.pieces span { display: inline-block; border: 1px solid var(--grid); border-radius: 4px; padding: 0 0.35rem;
  margin: 0 0.2rem 0.3rem 0; text-align: center; }
.pieces small { display: block; color: var(--quiet); font-size: 11px; }
td.piece, th:first-child { white-space: nowrap; }
.said { font-size: 1.3rem; }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
svg text.row { text-anchor: end; }
svg text.quiet, svg text.small { fill: var(--quiet); }
svg text.small { font-size: 10px; }
svg image, .tiles img { image-rendering: pixelated; }
svg .frame { fill: none; stroke: var(--grid); }
svg .links path { stroke: var(--blue); fill: none; stroke-width: 1.5; }
figure { margin: 0.5rem 0 1.5rem; }
figcaption { color: var(--quiet); font-size: 14px; min-height: 1.5em; }
.split { display: flex; flex-wrap: wrap; gap: 0 2rem; align-items: flex-start; }
.split > figure { min-width: 0; max-width: 100%; }
.split { --least: 2.5rem; --tile: 5.5rem; }
.tiles { display: grid; gap: 0.4rem; }
.tiles button { all: unset; break-inside: avoid; cursor: pointer; display: block; text-align: center;
  font-size: 11px; color: var(--quiet); }
.tiles button:focus-visible { outline: 2px solid var(--blue); }
.tiles button[aria-pressed=true] img { outline: 2px solid var(--orange); }
.tiles img { display: block; width: 100%; aspect-ratio: 1; border: 1px solid var(--grid); }
select { font: inherit; color: inherit; background: var(--raised); border: 1px solid var(--grid); border-radius: 4px; }
.probability { display: inline-block; width: 6rem; background: var(--grid); vertical-align: middle; }
.probability .bar { height: 0.7rem; }
.box rect { fill: var(--raised); stroke: var(--grid); }
.box.kept rect { stroke: var(--blue); }
.box.ended rect { stroke: var(--green); stroke-width: 2; }
.box.best rect { stroke: var(--orange); stroke-width: 2.5; }
.box.dropped { opacity: 0.75; }
.box.dropped rect { stroke-dasharray: 3 3; }
.lines path { fill: none; stroke: var(--blue); opacity: 0.6; }
.lines path.dropped { stroke: var(--quiet); stroke-dasharray: 3 3; opacity: 0.4; }
.lines path.best { stroke: var(--orange); stroke-width: 2.5; opacity: 1; }
@media (max-width: 40rem) { td, th { padding: 0.3rem; } .probability { width: 3.5rem; } }
@media print {
  .wide { overflow: visible; }
  .wide svg { min-width: 0 !important; }
  .picker { display: none; }
  .split { --least: 0; --tile: 3.2rem; display: block; break-inside: avoid; }
  .split > figure { display: inline-block; vertical-align: top; max-width: 56%; }
  .split > figure + figure { max-width: 40%; margin-left: 3%; }
  h2, p { break-after: avoid; break-inside: avoid; }
  .bar, .probability { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""

SCRIPT = """\
const alphas = (image) => {  // what a tile was drawn from, in 255ths
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, canvas.width, canvas.height);
};
for (const view of document.querySelectorAll(".attention")) {
  const tiles = [...view.querySelectorAll(".tiles button")];
  const [layers, heads] = view.querySelectorAll("select");
  const large = view.querySelector("svg image");
  const caption = view.querySelector("figcaption");
  const rows = JSON.parse(view.dataset.rows), columns = JSON.parse(view.dataset.columns);
  let weights = null, name = caption.textContent;
  const show = () => {
    const chosen = tiles.filter((tile) => (!layers.value || tile.dataset.layer === layers.value)
      && (!heads.value || tile.dataset.head === heads.value));
    const found = chosen.map((tile) => alphas(tile.firstElementChild));
    const mean = found[0];
    weights = mean.data.filter((_, place) => place % 4 === 3).map((_, place) =>
      Math.round(found.reduce((sum, one) => sum + one.data[4 * place + 3], 0) / found.length));
    const most = Math.max(...weights, 1);
    weights.forEach((weight, place) => mean.data.set([26, 137, 207, Math.round(255 * weight / most)], 4 * place));
    const canvas = document.createElement("canvas");
    canvas.width = mean.width;
    canvas.height = mean.height;
    canvas.getContext("2d").putImageData(mean, 0, 0);
    large.setAttribute("href", canvas.toDataURL());
    for (const tile of tiles) tile.setAttribute("aria-pressed", chosen.length === 1 && tile === chosen[0]);
    const named = [layers, heads].map((select) => select.selectedOptions[0].text).join(", ");
    name = `${named}: full shade at ${Math.round(most / 2.55)}%`;
    caption.textContent = name;
  };
  for (const select of [layers, heads]) select.addEventListener("change", show);
  for (const tile of tiles) tile.addEventListener("click", () => {
    layers.value = tile.dataset.layer;
    heads.value = tile.dataset.head;
    show();
  });
  large.addEventListener("pointermove", (event) => {
    if (weights === null) show();
    const box = large.getBoundingClientRect();
    const row = Math.floor((event.clientY - box.top) / box.height * rows.length);
    const column = Math.floor((event.clientX - box.left) / box.width * columns.length);
    if (!(row in rows && column in columns)) return;
    const share = Math.round(weights[row * columns.length + column] / 2.55);
    caption.textContent = `${rows[row]} looks at ${columns[column]} by ${share}%`;
  });
  large.addEventListener("pointerleave", () => { caption.textContent = name; });
}
"""
"""Without it a page shows the mean of all layers and heads, and each of them small."""
