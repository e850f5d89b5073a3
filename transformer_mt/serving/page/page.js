// The page: type, and see the translation. Texts are only ever put into text nodes.

import { ask, key, look, Trouble } from "./api.js";
import { Files } from "./files.js";
import { Heads, refill } from "./heads.js";
import { difference, make, show, wordsOf } from "./text.js";
import { Words } from "./words.js";

const OTHERS = 3;
const AUTO = "auto";
const NO_CONTEST = 1000; // characters: of a longer text, other translations would be as long
const LONGEST_WAIT = 30;
const PATIENCE = 300; // after how many milliseconds a translation that is not there yet is worth a word
const MOST_KNOWN = 50; // lines that need not be looked into again
const AT_REST = 150; // how long the reader has to stay on a line before it is looked into

const $ = (id) => document.getElementById(id);
const count = new Intl.NumberFormat("en");

let languages = [];
let settings = { charLimit: -1, frontendTimeout: 300 };
let latest = 0; // the number of the newest request: older answers are not shown
let running = new AbortController();
let shown = { text: "", translation: "", source: "", target: "" };
let line = 0; // the one that is looked into
const known = new Map(); // what has been looked into, by its text
const timers = {};

const words = new Words([$("mirror"), $("translation")], [$("source-words"), $("target-words")], (number) => point(number));
const heads = new Heads($("heads"));
const files = new Files($("files"), chosen);

/** Do something later, instead of what was to be done later under this name. */
function later(name, milliseconds, action) {
  clearTimeout(timers[name]);
  timers[name] = setTimeout(action, milliseconds);
}

/** The codes of the two languages; the first may be auto. */
function chosen() {
  return [$("source-language").value, $("target-language").value];
}

function tell(text = "", { isTrouble = false, mayRetry = false } = {}) {
  $("status").textContent = text;
  $("status").classList.toggle("trouble", isTrouble);
  $("retry").hidden = !mayRetry;
}

// ---------------------------------------------------------------------------------------------------- translating

/** The text has changed: count it, forget what was lit, and translate when the typing rests. */
function typed() {
  const text = $("source").value;
  show($("mirror"), `${text}\n`); // a last empty line has its height only when something follows
  words.forget();
  if (languages.length === 0) return; // until the server has told what it can do
  stop();
  const isTooLong = tellCount(text);
  $("source").ariaInvalid = String(isTooLong);
  if (text.trim() && !isTooLong) return later("translate", settings.frontendTimeout, () => translate());
  present({ translatedText: "" }, "");
  if (isTooLong) tell(`The text is too long: at most ${count.format(settings.charLimit)} characters.`, { isTrouble: true });
}

/** Show how many characters there are; says whether they are too many. */
function tellCount(text) {
  const [length, limit] = [[...text].length, settings.charLimit];
  const isTooLong = limit > 0 && length > limit;
  $("count").textContent = limit > 0 ? `${count.format(length)} / ${count.format(limit)}` : count.format(length);
  $("count").append(make("span", { className: "unseen" }, " characters"));
  $("count").classList.toggle("too-long", isTooLong);
  return isTooLong;
}

/** Nothing is under way any more, and no older answer will be shown. */
function stop() {
  latest += 1;
  running.abort();
  running = new AbortController();
  for (const name of ["translate", "patience", "inspect"]) clearTimeout(timers[name]);
  $("translation").ariaBusy = "false";
  tell();
}

async function translate(attempt = 0) {
  const text = $("source").value;
  const [source, target] = chosen();
  if (!text.trim() || tellCount(text) || languages.length === 0) return;
  stop();
  const mine = latest;
  later("patience", PATIENCE, () => tell("Translating …"));
  $("translation").ariaBusy = "true";
  const isShort = !text.includes("\n") && text.length <= NO_CONTEST; // the server has alternatives of single lines
  const alternatives = isShort ? Math.min(OTHERS, settings.alternativesLimit ?? OTHERS) : 0;
  const body = { q: text, source, target, format: "text", alternatives };
  try {
    const answer = await ask("translate", body, running.signal);
    if (mine !== latest) return;
    if (typeof answer.translatedText !== "string") throw new Trouble("The server made a mistake.");
    stop();
    present(answer, text);
  } catch (error) {
    if (mine !== latest || error.name === "AbortError") return;
    stop();
    present({ translatedText: "" }, ""); // what stands there is of another text
    explain(error, attempt);
  }
}

/** Tell what went wrong, and try again by itself where that is of use. */
function explain(error, attempt) {
  if (error.wait === undefined) throw error; // a mistake of this page
  const wantsKey = error.status === 403 && !key.get();
  const message = wantsKey ? "This server wants an API key; write it at the top." : error.message;
  if (error.wait === null) return tell(message, { isTrouble: true, mayRetry: true });
  const wait = Math.min(error.wait * 2 ** attempt, LONGEST_WAIT);
  tell(`${message} Trying again in ${wait} s.`, { isTrouble: true, mayRetry: true });
  later("translate", wait * 1000, () => translate(attempt + 1));
}

/** Show a translation and its alternatives, and look into it. */
function present(answer, text) {
  const { translatedText, alternatives = [], detectedLanguage } = answer;
  const [source, target] = chosen();
  shown = { text, translation: translatedText, source: detectedLanguage?.language ?? source, target };
  tellDetected(detectedLanguage);
  words.forget();
  $("translation").lang = target;
  show($("translation"), translatedText, target);
  $("copy").disabled = !translatedText;
  const others = [...new Set(alternatives)].filter((other) => other && other !== translatedText);
  $("others").hidden = others.length === 0;
  $("alternatives").replaceChildren(...others.map((other) => make("li", {}, choice(other, answer))));
  inspectLater(text);
}

/** A button that puts an alternative in the place of the translation, and that among the alternatives. */
function choice(other, answer) {
  const { translatedText, alternatives } = answer;
  const button = make("button", { type: "button", lang: $("translation").lang, dir: "auto" });
  button.append(...difference(other, translatedText));
  button.addEventListener("click", () => {
    const rest = alternatives.map((one) => (one === other ? translatedText : one));
    const place = [...button.closest("ul").children].indexOf(button.parentElement);
    present({ ...answer, translatedText: other, alternatives: rest }, shown.text);
    $("alternatives").children[place]?.firstChild.focus();
  });
  return button;
}

// -------------------------------------------------------------------------------------------------- looking inside

/** The lines of the text that is shown, each with its translation; none where they do not answer each other. */
function pairs() {
  const [texts, translations] = [shown.text.split("\n"), shown.translation.split("\n")];
  return texts.length === translations.length ? texts.map((text, number) => [text, translations[number]]) : [];
}

/** Offer the lines that have words, and look into the one where the cursor is. */
function inspectLater(text) {
  const lines = pairs().map(([one], number) => [number, one]).filter(([, one]) => one.trim());
  $("inside").hidden = lines.length === 0;
  $("line-row").hidden = lines.length < 2;
  if ($("inside").hidden) return;
  const atCursor = text.slice(0, $("source").selectionStart).split("\n").length - 1;
  refill($("line"), lines.map(([number, one]) => [number, `${number + 1}: ${[...one].slice(0, 60).join("")}`]), lines[0][0]);
  if (lines.some(([number]) => number === atCursor)) $("line").value = atCursor;
  inspect();
}

/** The reader points at a line. */
function point(number) {
  if (number === line || $("inside").hidden) return;
  later("inspect", AT_REST, () => {
    $("line").value = number;
    if ($("line").value === String(number)) inspect();
  });
}

/** Look into the chosen line, with its attention if that is wanted and not too much. */
async function inspect() {
  line = Number($("line").value);
  const [mine, here] = [latest, line];
  const [text, translation] = pairs()[line];
  if (!translation.trim()) return reveal(null, "");
  const longest = Math.max(text.length, translation.length);
  if (longest > (settings.inspectionLimit ?? Infinity)) return reveal(null, "This line is too long to look into.");
  const body = { q: text, translation, source: shown.source, target: shown.target };
  const wantsAttention = $("attention").open;
  let [found, note] = [null, ""];
  try {
    found = await lookInto(body, wantsAttention).catch((error) => {
      if (error.status !== 400 || !wantsAttention) throw error;
      note = error.message;
      return lookInto(body, false);
    });
  } catch (error) {
    if (mine !== latest || error.name === "AbortError") return;
    if (error.status === undefined) throw error;
    if (error.status === 404 || error.status === 405) $("inside").hidden = true; // another server than ours
    if (error.wait !== null) later("inspect", error.wait * 1000, inspect);
    note = error.message;
  }
  if (mine !== latest || here !== Number($("line").value)) return;
  const { src, tgt } = found?.words ?? { src: [], tgt: [] };
  const isSame = src.length === wordsOf(text).length && tgt.length === wordsOf(translation).length;
  if (!found || isSame) reveal(found, note);
  else reveal(null, "The words of this line cannot be told apart.");
}

/** What the server tells of a line, each time it is asked for the first time. */
async function lookInto(body, attention) {
  const name = JSON.stringify(body);
  if (!known.has(name) || (attention && !known.get(name).attention)) {
    known.set(name, await ask("inspect", { ...body, attention }, running.signal));
    if (known.size > MOST_KNOWN) known.delete(known.keys().next().value);
  }
  return known.get(name);
}

/** Show what is inside a translation, or tell why there is nothing to show. */
function reveal(inspection, note) {
  words.clear();
  $("inside-note").textContent = note;
  for (const part of ["words", "attention"]) $(part).hidden = !inspection;
  heads.show($("attention").open ? inspection : null);
  if (!inspection) return;
  $("measure").textContent = inspection.confidence
    ? "Confidence, how often a reference translation has words like this:"
    : "Probability that the model gives to the word:";
  for (const side of ["source", "target"]) $(`${side}-words-name`).textContent = nameOf(shown[side]);
  words.show(line, inspection, [shown.source, shown.target]);
}

/** The word of the text at the pointer: the field lies above its words. */
function overText(event) {
  const word = document.elementsFromPoint(event.clientX, event.clientY).find((one) => one.matches("#mirror .word"));
  if (word) lightWord(word);
  else words.dark();
}

/** The word at the cursor, which is in one place of the text. */
function atCursor() {
  const { selectionStart: place, selectionEnd: end } = $("source");
  if (document.activeElement !== $("source") || place !== end) return;
  const before = $("source").value.slice(0, place).split("\n");
  const number = wordsOf(before.at(-1)).length - (/\S$/u.test(before.at(-1)) ? 1 : 0);
  const word = $("mirror").querySelector(`.word[data-line="${before.length - 1}"][data-number="${number}"]`);
  if (word) lightWord(word);
  else words.dark();
}

function lightWord(word) {
  point(Number(word.dataset.line));
  if (Number(word.dataset.line) === line) words.light(0, Number(word.dataset.number));
}

// ------------------------------------------------------------------------------------------------------- languages

/** What a language can be translated to. */
function targetsOf(code) {
  const all = languages.filter((one) => one.code === code || code === AUTO).flatMap((one) => one.targets);
  return [...new Set(all)].filter((other) => other !== code);
}

/** Fill the selects; where there is only one language, its name is enough. */
function offerLanguages() {
  const sources = languages.map((one) => one.code).filter((code) => targetsOf(code).length > 0);
  offer("source", "Text", sources.length > 1 ? [...sources, AUTO] : sources);
  const source = $("source-language").value;
  offer("target", "Translation", targetsOf(source));
  $("source").lang = source === AUTO ? "" : source;
  $("swap").hidden = !targetsOf($("target-language").value).includes(source);
}

function nameOf(code) {
  return code === AUTO ? "Detect the language" : (languages.find((one) => one.code === code)?.name ?? code);
}

function offer(side, title, codes) {
  refill($(`${side}-language`), codes.map((code) => [code, nameOf(code)]), codes[0]);
  $(`${side}-language`).hidden = codes.length < 2;
  $(`${side}-name`).textContent = codes.length === 1 ? nameOf(codes[0]) : title;
}

/** Say which language a text was taken for. */
function tellDetected(detected) {
  if ($("source-language").value !== AUTO) return;
  $("source-name").textContent = detected ? `Text, taken for ${nameOf(detected.language)}` : "Text";
}

function swap() {
  const [source, target] = chosen();
  $("source-language").value = target;
  offerLanguages();
  $("target-language").value = source;
  if (shown.translation) $("source").value = shown.translation;
  typed();
}

// ------------------------------------------------------------------------------------------------------------ start

async function copy() {
  const text = shown.translation;
  try {
    await navigator.clipboard.writeText(text);
  } catch { // not over plain http from another machine
    getSelection().selectAllChildren($("translation"));
    document.execCommand("copy");
  }
  tell("Copied");
  later("patience", 2000, () => tell());
}

function pressed(event) {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) translate();
  else if (event.key === "Escape") stop();
  else return;
  event.preventDefault();
}

function listen() {
  $("source").addEventListener("input", typed);
  $("source").addEventListener("keydown", pressed);
  $("source").addEventListener("pointermove", overText);
  $("source").addEventListener("pointerleave", () => words.dark());
  $("source").addEventListener("keyup", (event) => /^(Arrow|Home|End|Page)/.test(event.key) && atCursor());
  $("source").addEventListener("click", atCursor);
  $("clear").addEventListener("click", () => {
    $("source").value = "";
    typed();
    $("source").focus();
  });
  $("source-language").addEventListener("change", () => (offerLanguages(), typed()));
  $("target-language").addEventListener("change", typed);
  $("swap").addEventListener("click", swap);
  $("copy").addEventListener("click", copy);
  $("retry").addEventListener("click", () => (languages.length ? translate() : start()));
  $("line").addEventListener("change", inspect);
  $("attention").addEventListener("toggle", () => $("attention").open && !$("inside").hidden && inspect());
  $("key").addEventListener("change", () => (key.set($("key").value), typed()));
  $("key-row").addEventListener("submit", (event) => event.preventDefault());
  addEventListener("online", () => !$("retry").hidden && $("retry").click());
}

async function start(attempt = 0) {
  try {
    [settings, languages] = await Promise.all([look("frontend/settings"), look("languages")]);
  } catch (error) {
    if (error.wait === undefined) throw error;
    const wait = Math.min((error.wait ?? 5) * 2 ** attempt, LONGEST_WAIT);
    tell(`${error.message} Trying again in ${wait} s.`, { isTrouble: true, mayRetry: true });
    return later("translate", wait * 1000, () => start(attempt + 1));
  }
  $("key-row").hidden = !settings.keyRequired;
  $("key").value = key.get();
  tell();
  offerLanguages();
  files.offer(settings);
  typed();
}

listen();
start();
