// Text as elements: words that can light up. Everything becomes a text node, nothing is read as HTML.

/** A new element with properties and children; strings become text. */
export function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

/** The words of a line as the server counts them: all between blanks. */
export function wordsOf(line) {
  return line.match(/\S+/gu) ?? [];
}

/**
 * Show a text in an element, each of its words as a span that knows its line and its number there.
 * In French no line may begin with one of : ; ! ? », which have a blank before them.
 */
export function show(element, text, language = "") {
  const nodes = [];
  text.split("\n").forEach((line, lineNumber) => {
    if (lineNumber > 0) nodes.push("\n");
    let number = 0;
    for (const part of line.match(/\s+|\S+/gu) ?? []) {
      if (part.trim()) nodes.push(word(part, lineNumber, number++));
      else nodes.push(part);
    }
  });
  if (language === "fr") hold(nodes);
  element.replaceChildren(...nodes);
}

function word(text, line, number) {
  const span = make("span", { className: "word" }, text);
  Object.assign(span.dataset, { line, number });
  return span;
}

/** Put blanks that must not be broken into a span. */
function hold(nodes) {
  nodes.forEach((node, place) => {
    const after = nodes[place + 1]?.textContent ?? "";
    const before = nodes[place - 1]?.textContent ?? "";
    const isBlank = typeof node === "string" && node !== "\n";
    if (isBlank && (/^[:;!?»]/u.test(after) || before === "«")) nodes[place] = make("span", { className: "hold" }, node);
  });
}

/** A share as people read it, with the blank that no line is broken at. */
export function percent(share) {
  return `${Math.floor(100 * share)}\u00a0%`;
}

/** A text as nodes, in which that part is strong where it differs from another text. */
export function difference(text, other) {
  const [words, others] = [text, other].map((one) => one.match(/\s+|\S+/gu) ?? []);
  const least = Math.min(words.length, others.length);
  let before = 0;
  while (before < least && words[before] === others[before]) before += 1;
  let after = 0;
  while (after < least - before && words.at(-1 - after) === others.at(-1 - after)) after += 1;
  const end = words.length - after;
  const cut = [words.slice(0, before), words.slice(before, end), words.slice(end)].map((some) => some.join(""));
  return [cut[0], make("strong", {}, cut[1]), cut[2]];
}
