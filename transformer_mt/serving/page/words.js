// Word by word: what each word became, how sure the model is of it, and the same words lit up in the text.

import { make, percent } from "./text.js";

const LEVELS = [0.25, 0.5, 0.75, 0.9];

/** Which of five shades stands for this probability: 0 the least sure, 4 none at all. */
export function level(probability) {
  return LEVELS.filter((least) => probability >= least).length;
}

/** The two rows of words, and the light on them and on the words of the panes. */
export class Words {
  /** `panes` and `rows` are elements, of the text first; `changed` is called with the line that is pointed at. */
  constructor(panes, rows, pointed) {
    this.panes = panes;
    this.rows = rows;
    this.pointed = pointed;
    this.line = 0;
    this.links = null; // pairs of numbers, once they are known
    rows.forEach((row, side) => {
      row.addEventListener("pointerover", (event) => this.#over(event, side));
      row.addEventListener("pointerleave", () => this.#back());
      row.addEventListener("focusin", (event) => this.#over(event, side));
      row.addEventListener("focusout", () => this.dark());
      row.addEventListener("keydown", (event) => this.#move(event, side));
    });
    panes[1].addEventListener("pointerover", (event) => this.#over(event, 1));
    panes[1].addEventListener("pointerleave", () => this.#back());
  }

  /** Show an inspection of a line: words, links and probabilities, in these two languages. */
  show(line, inspection, languages) {
    const { words, confidence, probability } = inspection;
    this.line = line;
    this.links = words.links;
    this.#busy(false);
    const shares = confidence ?? probability ?? [];
    this.#fill(0, [words.src, words.tgt], [], languages);
    this.#fill(1, [words.tgt, words.src], shares, languages.toReversed());
    for (const span of this.#wordsIn(1)) {
      const share = shares[Number(span.dataset.number)];
      if (share === undefined) continue;
      span.classList.add(`sure-${level(share)}`);
      span.title = percent(share);
    }
  }

  /** The text is another one now: nothing lights up until the next inspection, and what is shown stays till then. */
  forget() {
    this.dark();
    this.links = null;
    this.#busy(true);
  }

  /** There is nothing to show. */
  clear() {
    this.forget();
    this.#busy(false);
    this.rows.forEach((row) => row.replaceChildren());
    this.#wordsIn(1).forEach((span) => {
      span.className = "word";
      span.removeAttribute("title");
    });
  }

  /** Light up a word of a side, and those of the other side that belong to it. */
  light(side, number) {
    this.dark();
    if (!this.links) return;
    const lit = [[number], this.#partners(side, number)];
    if (side === 1) lit.reverse();
    lit.forEach((numbers, of) => {
      const all = [...this.#wordsIn(of), ...this.rows[of].children];
      for (const one of all) if (numbers.includes(Number(one.dataset.number))) this.#mark(one, true);
    });
  }

  dark() {
    for (const root of [...this.panes, ...this.rows]) root.querySelectorAll(".lit").forEach((one) => this.#mark(one, false));
  }

  #mark(one, isLit) {
    one.classList.toggle("lit", isLit);
    if (one.role === "option") one.ariaSelected = String(isLit);
  }

  #busy(isBusy) {
    for (const row of this.rows) row.ariaBusy = String(isBusy);
  }

  #partners(side, number) {
    return (this.links ?? []).filter((link) => link[side] === number).map((link) => link[1 - side]);
  }

  #wordsIn(side) {
    return [...this.panes[side].querySelectorAll(`.word[data-line="${this.line}"]`)];
  }

  /** Make the row of a side; `words` and languages are of this side first. */
  #fill(side, [words, others], shares, [language, otherLanguage]) {
    const partners = (number) => this.#partners(side, number).map((one) => others[one]);
    const options = words.map((text, number) => {
      const chip = make("span", { className: "chip", role: "option", tabIndex: number ? -1 : 0, ariaSelected: "false" });
      chip.dataset.number = number;
      chip.append(make("span", { lang: language, dir: "auto" }, text));
      if (shares[number] !== undefined) {
        chip.classList.add(`sure-${level(shares[number])}`);
        chip.append(make("span", { className: "sure" }, percent(shares[number])));
      }
      const other = make("span", { lang: otherLanguage }, partners(number).join(", "));
      if (other.textContent) chip.append(make("span", { className: "unseen" }, side ? " from " : " became ", other));
      return chip;
    });
    this.rows[side].replaceChildren(...options);
  }

  #over(event, side) {
    const one = event.target.closest("[data-number]");
    if (!one) return;
    if (one.dataset.line !== undefined) this.pointed(Number(one.dataset.line));
    if (Number(one.dataset.line ?? this.line) === this.line) this.light(side, Number(one.dataset.number));
  }

  /** The pointer is gone: light up what has the focus, if anything has. */
  #back() {
    const side = this.rows.findIndex((row) => row.contains(document.activeElement));
    if (side < 0) this.dark();
    else this.light(side, Number(document.activeElement.dataset.number));
  }

  #move(event, side) {
    const chips = [...this.rows[side].children];
    const at = chips.indexOf(document.activeElement);
    const last = chips.length - 1;
    const along = { ArrowRight: Math.min(at + 1, last), ArrowLeft: Math.max(at - 1, 0), Home: 0, End: last };
    let next = chips[along[event.key]];
    if (event.key === (side ? "ArrowUp" : "ArrowDown")) next = this.rows[1 - side].children[this.#partners(side, at)[0]];
    if (!next) return;
    event.preventDefault();
    for (const one of next.parentElement.children) one.tabIndex = one === next ? 0 : -1;
    next.focus();
  }
}
