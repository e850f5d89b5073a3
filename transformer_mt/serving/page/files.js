// Files: chosen or dropped, sent with a bar that moves, and a link to what comes back.

import { key, read, Trouble } from "./api.js";

export class Files {
  /** `languages` is a function that gives the two languages as they are chosen. */
  constructor(root, languages) {
    const find = (id) => root.querySelector(`#${id}`);
    this.root = root;
    this.languages = languages;
    [this.input, this.limits, this.row, this.bar, this.status] =
      ["file", "file-limits", "file-row", "file-progress", "file-status"].map(find);
    [this.link, this.linkRow] = ["download", "download-row"].map(find);
    this.largest = Infinity;
    this.input.addEventListener("change", () => this.input.files[0] && this.send(this.input.files[0]));
    find("file-cancel").addEventListener("click", () => this.sending.abort());
    this.#takeDrops();
  }

  /** Offer what the server's settings allow. */
  offer({ filesTranslation, supportedFilesFormat: kinds = [], fileSizeLimit, fileCharLimit }) {
    this.root.hidden = !filesTranslation;
    this.largest = fileSizeLimit > 0 ? fileSizeLimit : Infinity;
    this.input.accept = kinds.join(",");
    const length = fileCharLimit > 0 ? `at most ${fileCharLimit.toLocaleString("en")} characters` : "";
    const size = this.largest < Infinity ? `at most ${inBytes(this.largest)}` : "";
    this.limits.textContent = [kinds.join(" "), length || size].filter(Boolean).join(", ");
  }

  /** Send a file, and link to its translation when it is there. */
  send(file) {
    const older = this.sending;
    this.sending = null;
    older?.abort();
    this.linkRow.hidden = true;
    if (file.size > this.largest) {
      this.#tell(`${file.name} has ${inBytes(file.size)}; at most ${inBytes(this.largest)} are taken.`, true);
      return;
    }
    const form = new FormData();
    const [source, target] = this.languages();
    const fields = { file, source, target, ...(key.get() && { api_key: key.get() }) };
    for (const [name, value] of Object.entries(fields)) form.append(name, value);
    const request = new XMLHttpRequest(); // fetch tells nothing of what has been sent
    this.sending = request;
    this.row.hidden = false;
    this.bar.value = 0;
    this.#tell(`Sending ${file.name} …`);
    request.upload.addEventListener("progress", (event) => this.#sent(event, file));
    request.addEventListener("abort", () => this.#end(request) && this.#tell(`${file.name} was cancelled.`));
    request.addEventListener("load", () => this.#end(request) && this.#done(request, file));
    request.addEventListener("error", () => this.#end(request) && this.#done(request, file));
    request.open("POST", "translate_file");
    request.send(form);
  }

  #sent({ loaded, total }, file) {
    this.bar.value = loaded / total;
    if (loaded < total) return;
    this.bar.removeAttribute("value"); // from here on only the server knows how far it is
    this.#tell(`Translating ${file.name} …`);
  }

  /** Put the bar away; false when another file has been chosen since. */
  #end(request) {
    if (request !== this.sending) return false;
    this.sending = null;
    this.row.hidden = true;
    this.input.value = "";
    return true;
  }

  #done(request, file) {
    try {
      const { translatedFileUrl } = read(request.status, request.responseText, request.getResponseHeader("Retry-After"));
      this.link.href = ownAddress(translatedFileUrl);
      this.link.textContent = `Download the translation of ${file.name}`;
      this.linkRow.hidden = false;
      this.#tell(`${file.name} is translated.`);
    } catch (error) {
      if (!(error instanceof Trouble)) throw error;
      this.#tell(`${file.name} was not translated. ${error.message}`, true);
    }
  }

  #tell(text, isTrouble = false) {
    this.status.textContent = text;
    this.status.classList.toggle("trouble", isTrouble);
  }

  #takeDrops() {
    const isFile = (event) => !this.root.hidden && event.dataTransfer?.types.includes("Files");
    const show = (isOver) => document.body.classList.toggle("dropping", isOver);
    addEventListener("dragover", (event) => {
      if (!isFile(event)) return;
      event.preventDefault();
      show(true);
    });
    addEventListener("dragleave", (event) => event.relatedTarget === null && show(false));
    addEventListener("drop", (event) => {
      if (!isFile(event)) return;
      event.preventDefault();
      show(false);
      this.root.open = true;
      this.root.scrollIntoView({ block: "nearest" });
      if (event.dataTransfer.files[0]) this.send(event.dataTransfer.files[0]);
    });
  }
}

/** The address on this server: it may know itself by another name than the browser does. */
function ownAddress(address) {
  const { pathname, search } = new URL(address, location.href);
  const name = pathname.split("/").pop();
  return `download_file/${name}${search}`;
}

function inBytes(count) {
  if (count < 1024) return `${count} bytes`;
  const isSmall = count < 1024 * 1024;
  const number = isSmall ? count / 1024 : count / 1024 / 1024;
  return `${Number(number.toFixed(1))} ${isSmall ? "KiB" : "MiB"}`;
}
