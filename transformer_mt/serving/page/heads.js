// Attention by part, layer and head: a table of shades that can be walked through, and all heads at a glance.

import { make } from "./text.js";

const GAP = 5;
const START = "<s>";
const ALL = -1; // instead of the number of a head

/** What the rows and columns of a part are: [rows look, columns are looked at]. */
function labels(part, { src, tgt }) {
  const read = [START, ...tgt.slice(0, -1)]; // what the decoder has read when it predicts each piece
  return { encoder: [src, src], decoder: [tgt, read], memory: [tgt, src] }[part];
}

/** The weights of a head (rows, columns), or the mean of those of all heads of its layer. */
function weightsOf(heads, head) {
  if (head >= 0) return heads[head];
  return heads[0].map((row, i) =>
    row.map((_, j) => heads.reduce((sum, one) => sum + one[i][j], 0) / heads.length),
  );
}

export class Heads {
  constructor(root) {
    const find = (id) => root.querySelector(`#${id}`);
    this.root = root;
    this.choices = { part: find("part"), layer: find("layer"), head: find("head") };
    for (const choice of Object.values(this.choices)) choice.addEventListener("change", () => this.draw());
    this.map = find("map");
    this.reading = find("reading");
    this.asText = find("as-text");
    this.name = find("map-name");
    this.overview = find("overview");
    this.map.addEventListener("pointerover", (event) => this.#read(event.target.closest("td")));
    this.map.addEventListener("focusin", (event) => this.#read(event.target.closest("td")));
    this.map.addEventListener("keydown", (event) => this.#move(event));
    this.overview.addEventListener("click", (event) => this.#pick(event));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#drawOverview());
    this.inspection = null;
  }

  /** Show the attention of an inspection; null takes it away. */
  show(inspection) {
    this.inspection = inspection?.attention ? inspection : null;
    this.root.hidden = !this.inspection;
    if (!this.inspection) return;
    this.#choices();
    this.draw();
  }

  /** Draw what is chosen. */
  draw() {
    this.#choices();
    const { part, layer, head } = this.choices;
    const [rows, columns] = labels(part.value, this.inspection);
    const weights = weightsOf(this.inspection.attention[part.value][layer.value], Number(head.value));
    const which = head.value === String(ALL) ? "mean of all heads" : `head ${Number(head.value) + 1}`;
    this.name.textContent = `${part.selectedOptions[0].textContent}: layer ${Number(layer.value) + 1}, ${which}.`;
    this.#fillMap(rows, columns, weights);
    this.#fillText(rows, columns, weights);
    this.reading.textContent = "Point at a value, or go to it with the arrow keys, to read it.";
    this.#drawOverview();
  }

  /** As many layers and heads as the part has; the last layer, and all heads, until the reader chooses. */
  #choices() {
    const layers = this.inspection.attention[this.choices.part.value];
    const numbers = (count) => Array.from({ length: count }, (_, number) => [number, String(number + 1)]);
    refill(this.choices.layer, numbers(layers.length), layers.length - 1);
    refill(this.choices.head, [[ALL, "all, their mean"], ...numbers(layers[0].length)], ALL);
  }

  #fillMap(rows, columns, weights) {
    const corner = make("tr", {}, make("td", { className: "corner" }));
    corner.append(...columns.map((text) => make("th", { scope: "col" }, make("span", { dir: "auto" }, text))));
    const lines = rows.map((text, i) => {
      const cells = columns.map((column, j) => {
        const cell = make("td", { role: "gridcell", tabIndex: i + j ? -1 : 0 });
        cell.ariaLabel = `${text} to ${column}: ${weights[i][j].toFixed(3)}`;
        cell.style.setProperty("--weight", Math.min(weights[i][j], 1));
        Object.assign(cell.dataset, { row: i, column: j, weight: weights[i][j] });
        return cell;
      });
      return make("tr", {}, make("th", { scope: "row", dir: "auto" }, text), ...cells);
    });
    const room = Math.min(this.root.clientWidth || 600, 640) - 90;
    this.map.style.setProperty("--cell", `${Math.max(16, Math.min(30, Math.floor(room / columns.length) - 1))}px`);
    this.map.replaceChildren(make("thead", {}, corner), make("tbody", {}, ...lines));
  }

  #fillText(rows, columns, weights) {
    const lines = rows.map((text, i) => {
      const most = weights[i].indexOf(Math.max(...weights[i]));
      return make("li", {}, `${text} → ${columns[most]} ${weights[i][most].toFixed(3)}`);
    });
    this.asText.replaceChildren(...lines);
  }

  #read(cell) {
    if (!cell?.dataset.row) return;
    this.reading.textContent = cell.ariaLabel.replace(" to ", " → ");
    this.map.querySelectorAll(".at").forEach((one) => one.classList.remove("at"));
    this.map.tBodies[0].rows[cell.dataset.row].cells[0].classList.add("at");
    this.map.tHead.rows[0].cells[Number(cell.dataset.column) + 1].classList.add("at");
  }

  #move(event) {
    const from = event.target.closest("td");
    const along = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
    const end = { Home: 0, End: this.map.tHead.rows[0].cells.length - 2 }[event.key];
    if (!from || (!along && end === undefined)) return;
    event.preventDefault();
    const row = Number(from.dataset.row) + (along?.[0] ?? 0);
    const column = end ?? Number(from.dataset.column) + along[1];
    const to = this.map.querySelector(`td[data-row="${row}"][data-column="${column}"]`);
    if (!to) return;
    from.tabIndex = -1;
    to.tabIndex = 0;
    to.focus();
  }

  /** All heads of the part as small pictures: layers from top to bottom, heads from left to right. */
  #drawOverview() {
    if (!this.inspection) return;
    const layers = this.inspection.attention[this.choices.part.value];
    const side = this.side = Math.max(32, Math.min(64, Math.floor(400 / layers[0].length) - GAP));
    const [width, height] = [layers[0].length, layers.length].map((count) => count * (side + GAP) + GAP);
    const scale = devicePixelRatio || 1;
    Object.assign(this.overview, { width: width * scale, height: height * scale });
    this.overview.style.width = `${width}px`;
    const pen = this.overview.getContext("2d");
    const colour = (name) => getComputedStyle(this.root).getPropertyValue(name);
    pen.scale(scale, scale);
    pen.imageSmoothingEnabled = false;
    layers.forEach((heads, layer) => heads.forEach((weights, head) => {
      const [x, y] = [head, layer].map((number) => GAP + number * (side + GAP));
      pen.lineWidth = 1;
      pen.strokeStyle = colour("--grid");
      pen.strokeRect(x - 0.5, y - 0.5, side + 1, side + 1);
      pen.drawImage(picture(weights, colour("--blue")), x, y, side, side);
      const isShown = layer === Number(this.choices.layer.value) && [head, ALL].includes(Number(this.choices.head.value));
      pen.strokeStyle = colour("--orange");
      pen.lineWidth = 2;
      if (isShown) pen.strokeRect(x - 2, y - 2, side + 4, side + 4);
    }));
  }

  #pick(event) {
    const share = this.overview.width / (devicePixelRatio || 1) / this.overview.clientWidth;
    const [head, layer] = [event.offsetX, event.offsetY].map((at) => Math.floor((at * share) / (this.side + GAP)));
    this.choices.layer.value = layer;
    this.choices.head.value = head;
    this.draw();
  }
}

/** The weights as a picture of a dot each, the stronger the less transparent. */
function picture(weights, colour) {
  const canvas = make("canvas", { width: weights[0].length, height: weights.length });
  const pen = canvas.getContext("2d");
  pen.fillStyle = colour;
  weights.forEach((row, y) => row.forEach((weight, x) => {
    pen.globalAlpha = Math.min(weight, 1);
    pen.fillRect(x, y, 1, 1);
  }));
  return canvas;
}

/** Give a select these options, keeping what was chosen where it still is one. */
export function refill(select, options, otherwise) {
  const wanted = options.map(([value, text]) => `${value} ${text}`).join("\n");
  if (select.dataset.options === wanted) return;
  const chosen = select.value;
  select.dataset.options = wanted;
  select.replaceChildren(...options.map(([value, text]) => make("option", { value }, text)));
  const isThere = options.some(([value]) => String(value) === chosen);
  select.value = isThere ? chosen : otherwise;
}
