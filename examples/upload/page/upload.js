// The page's behaviour: files are chosen or dropped, queued, and sent one request each.
//
// A row goes from one of these states to another, and set() below is the only place that does it:
//   waiting -> sending -> done | failed | cancelled;  failed, cancelled -> waiting (try again)

const AT_ONCE = 3; // uploads under way at the same time

const $ = (id) => document.getElementById(id);
const maxBytes = Number(document.body.dataset.maxBytes);
const maxSize = document.body.dataset.maxSize;
const rows = [];

// --- Text --------------------------------------------------------------------------------------

function size(bytes) {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (bytes >= 1024 && unit < units.length - 1) {
    bytes /= 1024;
    unit += 1;
  }
  if (unit === 0) return bytes === 1 ? "1 byte" : `${bytes} bytes`;
  return `${bytes.toFixed(bytes < 10 ? 1 : 0)} ${units[unit]}`;
}

function duration(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}

function announce(text) {
  $("news").textContent = text;
}

// --- One upload --------------------------------------------------------------------------------

class Upload {
  constructor(file) {
    this.file = file;
    this.element = $("row").content.firstElementChild.cloneNode(true);
    this.find(".name").textContent = file.name;
    this.find("progress").setAttribute("aria-label", `Progress of ${file.name}`);
    this.find(".action").addEventListener("click", () => this.act());
    this.find(".copy").addEventListener("click", () => this.copy());
    this.find(".copy").hidden = !navigator.clipboard; // there only on https and on localhost
    $("list").append(this.element);
  }

  find(selector) {
    return this.element.querySelector(selector);
  }

  set(state, text) {
    this.state = state;
    this.element.className = `file ${state}`;
    this.find(".state").textContent = text;
    const action = this.find(".action");
    const again = state === "failed" || state === "cancelled";
    action.textContent = again ? "Try again" : "Cancel";
    action.setAttribute("aria-label", `${action.textContent}: ${this.file.name}`);
    action.hidden = state === "done" || (again && this.hopeless === true);
    if (state === "failed") announce(`${this.file.name} was not uploaded. ${text}`);
    next();
  }

  wait() {
    this.set("waiting", `${size(this.file.size)}, waiting`);
  }

  refuse(text) {
    this.hopeless = true;
    this.set("failed", text);
  }

  act() {
    if (this.state === "sending") this.request.abort();
    else if (this.state === "waiting") this.cancelled();
    else this.wait();
  }

  cancelled() {
    announce(`${this.file.name}: cancelled`);
    this.set("cancelled", "Cancelled");
  }

  send() {
    const request = new XMLHttpRequest();
    this.request = request;
    this.started = performance.now();
    request.upload.addEventListener("progress", (event) => this.progress(event.loaded));
    request.addEventListener("load", () => this.answered());
    request.addEventListener("abort", () => this.cancelled());
    request.addEventListener("error", () => this.lost());
    request.open("PUT", `/files/${encodeURIComponent(this.file.name)}`);
    request.responseType = "json";
    request.setRequestHeader("Content-Type", "application/octet-stream");
    this.find("progress").value = 0;
    this.set("sending", `0% of ${size(this.file.size)}`);
    request.send(this.file);
  }

  progress(sent) {
    const total = this.file.size;
    if (this.state !== "sending" || total === 0) return;
    this.find("progress").value = sent / total;
    const seconds = (performance.now() - this.started) / 1000;
    const left = sent > 0 ? ((total - sent) * seconds) / sent : 0;
    let text = `${Math.floor((100 * sent) / total)}% of ${size(total)}`;
    if (sent === total) text = `${size(total)} sent, waiting for the server`;
    else if (seconds > 1) text += `, ${size(sent / seconds)}/s, ${duration(left)} left`;
    this.find(".state").textContent = text;
  }

  answered() {
    const { status, response } = this.request;
    if (status !== 201 || !response) {
      const reason = response?.error ?? `The server answered with an error (${status}).`;
      this.hopeless = status === 400 || status === 413; // the same file would be refused again
      this.set("failed", reason);
      return;
    }
    const renamed = response.name !== this.file.name;
    this.find(".name").textContent = response.name;
    this.find(".sha256").textContent = response.sha256;
    this.find(".copy").setAttribute("aria-label", `Copy the SHA-256 of ${response.name}`);
    this.find(".result").hidden = false;
    this.element.dataset.size = response.size;
    const exact = `${response.size.toLocaleString("en")} bytes`;
    const text = response.size < 1024 ? size(response.size) : `${size(response.size)} (${exact})`;
    this.set("done", renamed ? `${text}, renamed: that name was taken` : text);
    announce(`${response.name} is uploaded.`);
  }

  lost() {
    const text = navigator.onLine ? "The connection to the server broke off." : "You are offline.";
    this.set("failed", text);
  }

  async copy() {
    const copied = navigator.clipboard.writeText(this.find(".sha256").textContent);
    const said = await copied.then(() => "Copied", () => "Not allowed");
    this.find(".copy").textContent = said;
    announce(`SHA-256: ${said}`);
    setTimeout(() => (this.find(".copy").textContent = "Copy"), 2000);
  }
}

// --- All uploads -------------------------------------------------------------------------------

const count = (...states) => rows.filter((row) => states.includes(row.state)).length;

/** Start what may start, and tell how far we are. Called after every change. */
function next() {
  const waiting = rows.find((row) => row.state === "waiting");
  if (waiting && count("sending") < AT_ONCE) return waiting.send(); // which calls next() again
  const open = count("waiting", "sending");
  const failed = count("failed");
  const told = [`${count("done")} of ${rows.length} uploaded`];
  if (failed) told.push(`${failed} failed`);
  $("summary").textContent = told.join(", ");
  $("uploads").hidden = rows.length === 0;
  $("clear").hidden = open === rows.length;
}

function add(files) {
  for (const file of files) {
    const row = new Upload(file);
    rows.push(row);
    if (file.folder) row.refuse("Folders cannot be uploaded. Drop the files that are in it.");
    else if (file.size > maxBytes) row.refuse(`The file is larger than ${maxSize}.`);
    else row.wait();
  }
}

function dropped(transfer) {
  return Array.from(transfer.items)
    .filter((item) => item.kind === "file")
    .map((item) => {
      const file = item.getAsFile();
      if (item.webkitGetAsEntry?.()?.isDirectory) file.folder = true;
      return file;
    });
}

$("picker").addEventListener("change", () => {
  add($("picker").files);
  $("picker").value = ""; // so that choosing the same file again is a change
});

$("clear").addEventListener("click", () => {
  for (const row of rows.filter((one) => !["waiting", "sending"].includes(one.state))) {
    rows.splice(rows.indexOf(row), 1);
    row.element.remove();
  }
  next();
  $("picker").focus();
});

// The whole window takes a drop: a file that misses the box must not open in place of the page.
for (const kind of ["dragenter", "dragover"]) {
  addEventListener(kind, (event) => {
    event.preventDefault();
    document.body.classList.add("dragging");
  });
}
addEventListener("dragleave", (event) => {
  if (event.relatedTarget === null) document.body.classList.remove("dragging");
});
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dragging");
  add(dropped(event.dataTransfer));
});

$("address").textContent = new URL("/files/", location.href).href;

addEventListener("beforeunload", (event) => {
  if (count("waiting", "sending")) event.preventDefault();
});
