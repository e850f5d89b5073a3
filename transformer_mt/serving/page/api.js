// How the page speaks to its server: the LibreTranslate API, and plain words for what goes wrong.

const KEY = "transformer-mt-key";
const LONGEST_WAIT = 30;

/** What went wrong, told to the reader. `wait` is after how many seconds to try again; null where that is no use. */
export class Trouble extends Error {
  constructor(message, { wait = null, status = 0 } = {}) {
    super(message);
    this.wait = wait;
    this.status = status;
  }
}

/** The key of the API, kept until the tab is closed and sent to nobody but the server. */
export const key = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (value) => sessionStorage.setItem(KEY, value),
};

/** The JSON at a path. Raises Trouble. */
export function look(path) {
  return request(path, {});
}

/** The JSON that the server answers to this JSON. Raises Trouble, or an AbortError when `signal` says so. */
export function ask(path, body, signal) {
  const withKey = key.get() ? { ...body, api_key: key.get() } : body;
  const headers = { "Content-Type": "application/json" };
  return request(path, { method: "POST", headers, body: JSON.stringify(withKey), signal });
}

async function request(path, options) {
  let answer, text;
  try {
    answer = await fetch(path, options);
    text = await answer.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Trouble("The server cannot be reached.", { wait: 1 });
  }
  return read(answer.status, text, answer.headers.get("Retry-After"));
}

/** The JSON of an answer. Raises Trouble in plain words, with the server's own where it gives some. */
export function read(status, text, retryAfter) {
  const data = parsed(text);
  if (status === 200 && data !== undefined) return data;
  const own = typeof data?.error === "string" ? sentence(data.error) : "";
  const wait = Math.min(Number.parseInt(retryAfter, 10) || 2, LONGEST_WAIT);
  if (status === 0) throw new Trouble("The server cannot be reached.", { wait: 1 });
  if (status === 503) throw new Trouble("The server has too much to do just now.", { wait, status });
  if (status === 429) throw new Trouble("Too many requests came from here.", { wait, status });
  if (status === 504) throw new Trouble("This took too long and was stopped. A shorter text may do.", { status });
  if (status === 413) throw new Trouble("This is too large for the server.", { status });
  if (status === 403) throw new Trouble(own || "The server wants an API key.", { status });
  if (status >= 500 || status === 200) throw new Trouble("The server made a mistake.", { status });
  throw new Trouble(own || `The server refused this (${status}).`, { status });
}

/** The server's words without what only programs look for. */
function sentence(text) {
  const plain = text.replace(/^Invalid request: /, "");
  return plain && `${plain[0].toUpperCase()}${plain.slice(1)}${/[.!?]$/.test(plain) ? "" : "."}`;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
