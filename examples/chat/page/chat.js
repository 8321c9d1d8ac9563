// The page: one room at a time, over a WebSocket that is opened again whenever it is lost.
//
// What the two ends say to each other is listed in handlers.py. Nothing that the user has said gets
// lost: it stays in the room as "pending" until the server has told everybody, and is said again
// when the page is back. Each message has a name of its own (its nonce), so it is shown once.

"use strict";

const SHOWN = 500; // messages of a room that the page keeps
const SOON = 500; // milliseconds before the first attempt to connect again
const LATE = 10_000; // the most of that
const TYPING = 2_000; // between two notes that somebody types; twice that, and he has stopped
const NONSENSE = 1008; // close code: the server does not take what it was told

const $ = (id) => document.getElementById(id);
const log = $("log");
const timeOf = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });

const rooms = new Map(); // by name
let room = null; // the one that is shown
let myName = localStorage.getItem("name") ?? "";

// -- elements

// Text only ever gets into the page as text: nobody can say HTML.
function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function hue(name) {
  let sum = 0;
  for (const letter of name) sum = (sum * 31 + letter.codePointAt(0)) % 360;
  return sum;
}

function messageElement(name, text, time) {
  const avatar = make("span", { className: "avatar", ariaHidden: "true" }, [...name][0].toUpperCase());
  avatar.style.setProperty("--hue", hue(name));
  const when = make("time", { dateTime: new Date(time).toISOString() }, timeOf.format(time));
  const element = make("li", { className: "message" }, avatar,
    make("div", {}, make("p", { className: "from" }, make("b", {}, name), when),
      make("p", { className: "text" }, text)));
  element.dataset.name = name;
  element.classList.toggle("mine", name === myName);
  return element;
}

// -- a room

class Room {
  constructor({ name, title }) {
    this.name = name;
    this.title = title;
    this.last = ""; // the id of the last message that it has
    this.nonces = new Set(); // of those that it shows
    this.pending = new Map(); // by nonce: what the user has said and nobody has confirmed
    this.joined = false;
    this.socket = null;
    this.timer = null;
    this.delay = SOON;
    this.typing = new Map(); // who types: a timer each
    this.list = make("ol");
    this.link = make("a", { href: `#${name}` }, title);
  }

  // - the connection

  open() {
    clearTimeout(this.timer);
    const url = new URL(`rooms/${this.name}`, location);
    url.protocol = url.protocol.replace("http", "ws");
    url.hash = "";
    const socket = this.socket = new WebSocket(url);
    socket.onopen = () => this.tell({ type: "join", name: myName, after: this.last });
    socket.onmessage = (event) => {
      if (socket === this.socket) this.hear(JSON.parse(event.data));
    };
    socket.onclose = ({ code }) => {
      if (socket === this.socket) this.closed(code);
    };
  }

  close() {
    clearTimeout(this.timer);
    const socket = this.socket;
    this.socket = null;
    this.joined = false;
    socket?.close();
    for (const name of this.typing.keys()) this.stopsTyping(name);
  }

  closed(code) {
    const { joined } = this;
    this.close();
    // It would not take it the next time either.
    if (code === NONSENSE && !joined) {
      askName();
      return;
    }
    if (code === NONSENSE) {
      for (const nonce of this.pending.keys()) this.failed(nonce, "The server does not take it");
    }
    // Not all pages at the same moment, when a server has been restarted.
    this.timer = setTimeout(() => this.open(), this.delay * (0.5 + Math.random() / 2));
    this.delay = Math.min(2 * this.delay, LATE);
    showConnection();
  }

  tell(what) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(what));
  }

  hear(what) {
    if (what.type === "messages") this.take(what);
    else if (what.type === "failed") this.failed(what.nonce, what.why);
    else if (what.type === "people") showPeople(what);
    else if (what.type === "typing" && what.name !== myName) this.startsTyping(what.name);
  }

  // - what is said

  take({ messages, complete }) {
    if (!complete) this.add(make("li", { className: "gap" }, "Some messages are missing here."));
    for (const message of messages) {
      this.last = message.id;
      if (this.nonces.has(message.nonce)) continue;
      this.nonces.add(message.nonce);
      this.pending.get(message.nonce)?.element.remove();
      this.pending.delete(message.nonce);
      this.stopsTyping(message.name);
      const element = messageElement(message.name, message.text, message.time);
      element.dataset.nonce = message.nonce;
      this.add(element);
    }
    if (!this.joined) {
      this.joined = true;
      this.delay = SOON;
      showConnection();
      // What the server has not got, it gets again.
      for (const [nonce, { element }] of this.pending) {
        if (!element.classList.contains("failed")) this.send(nonce);
      }
      if (!this.list.firstChild) this.add(make("li", { className: "empty" }, "Nothing has been said here yet."));
      log.ariaBusy = "false";
    }
    keepUp();
  }

  // Behind the other messages, and before what is pending.
  add(element) {
    this.list.querySelector(".empty")?.remove();
    const pending = element.classList.contains("pending");
    this.list.insertBefore(element, pending ? null : this.list.querySelector(".pending"));
    const { name } = element.dataset;
    const above = element.previousElementSibling;
    element.classList.toggle("same", Boolean(name) && above?.dataset.name === name);
    const shown = this.list.querySelectorAll("[data-nonce]");
    if (shown.length > SHOWN) {
      this.nonces.delete(shown[0].dataset.nonce);
      shown[0].remove();
    }
  }

  say(text) {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    const nonce = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    const element = messageElement(myName, text, Date.now());
    element.classList.add("pending", "mine");
    element.lastElementChild.append(make("p", { className: "state" }));
    this.pending.set(nonce, { text, element });
    this.add(element);
    this.send(nonce);
    toTheEnd();
  }

  send(nonce) {
    const { text, element } = this.pending.get(nonce);
    element.classList.remove("failed");
    element.querySelector(".state").textContent = this.joined ? "Sending…" : "Waiting for the connection…";
    if (this.joined) this.tell({ type: "say", text, nonce });
  }

  failed(nonce, why) {
    const element = this.pending.get(nonce)?.element;
    if (!element) return;
    const again = make("button", { type: "button", className: "link" }, "Try again");
    again.addEventListener("click", () => this.send(nonce));
    element.classList.add("failed");
    element.querySelector(".state").replaceChildren(`Not sent. ${why}. `, again);
    keepUp();
  }

  // - who is typing

  startsTyping(name) {
    clearTimeout(this.typing.get(name));
    this.typing.set(name, setTimeout(() => this.stopsTyping(name), 2 * TYPING));
    showTyping();
  }

  stopsTyping(name) {
    clearTimeout(this.typing.get(name));
    this.typing.delete(name);
    showTyping();
  }
}

// -- what is shown of the room

function show(next) {
  if (!next || !myName) return;
  room?.close();
  room = next;
  for (const other of rooms.values()) other.link.toggleAttribute("aria-current", false);
  room.link.setAttribute("aria-current", "page");
  document.title = `${room.title} – Chat`;
  $("title").textContent = room.title;
  log.ariaBusy = "true"; // what was said before need not be read out
  resized.disconnect();
  log.replaceChildren(room.list);
  resized.observe(log);
  resized.observe(room.list);
  $("people").hidden = true;
  $("people").open = false;
  $("connection").hidden = true;
  toTheEnd();
  room.open();
}

function showConnection() {
  const banner = $("connection");
  banner.textContent = room.joined ? "" : "The connection is lost. Trying again…";
  banner.hidden = room.joined;
  $("people").hidden = !room.joined;
  for (const { element } of room.pending.values()) {
    if (room.joined || element.classList.contains("failed")) continue;
    element.querySelector(".state").textContent = "Waiting for the connection…";
  }
}

function showPeople({ names, count }) {
  $("count").textContent = count === 1 ? "1 person" : `${count} people`;
  const more = count - names.length;
  $("names").replaceChildren(...names.map((name) => make("li", {}, name === myName ? `${name} (you)` : name)));
  if (more > 0) $("names").append(make("li", {}, `and ${more} more`));
}

function showTyping() {
  const names = [...(room?.typing.keys() ?? [])];
  $("typing").textContent =
    names.length === 0 ? ""
      : names.length === 1 ? `${names[0]} is typing…`
        : names.length === 2 ? `${names[0]} and ${names[1]} are typing…`
          : "Several people are typing…";
}

// -- where the reader is

let following = true; // he looks at the newest messages; else he has gone back to older ones

function toTheEnd() {
  following = true;
  keepUp();
}

// There is something new.
function keepUp() {
  if (following) log.scrollTop = log.scrollHeight;
  $("newer").hidden = following;
}

log.addEventListener("scroll", () => {
  following = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
  if (following) $("newer").hidden = true;
});
$("newer").addEventListener("click", toTheEnd);

// A keyboard has come up, or a phone was turned.
const resized = new ResizeObserver(() => {
  if (following) log.scrollTop = log.scrollHeight;
});

// -- what the user does

let lastTyped = 0;

$("text").addEventListener("input", () => {
  if (Date.now() - lastTyped < TYPING || !$("text").value.trim()) return;
  lastTyped = Date.now();
  room?.tell({ type: "typing" });
});

$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("say").requestSubmit();
  }
});

$("say").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text || !room) return;
  room.say(text);
  $("text").value = "";
  lastTyped = 0;
  $("text").focus();
});

function askName() {
  $("name").value = myName;
  $("welcome").showModal();
}

$("welcome").addEventListener("cancel", (event) => {
  if (!myName) event.preventDefault(); // nobody is here without a name
});
$("name-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = $("name").value.trim();
  if (!name) return;
  myName = name;
  localStorage.setItem("name", name);
  $("welcome").close();
  enter();
});
$("change-name").addEventListener("click", askName);

// There is a network again: do not wait for the next attempt.
window.addEventListener("online", () => {
  if (room && !room.socket) room.open();
});
window.addEventListener("hashchange", enter);

// -- the beginning

function enter() {
  $("change-name").textContent = myName;
  $("change-name").setAttribute("aria-label", `${myName}: change your name`);
  $("change-name").hidden = false;
  show(rooms.get(location.hash.slice(1)) ?? rooms.values().next().value);
  // On a phone that would bring up a keyboard, over what he wants to read.
  if (matchMedia("(pointer: fine)").matches) $("text").focus();
}

async function begin() {
  const answer = await fetch("rooms");
  for (const one of (await answer.json()).rooms) rooms.set(one.name, new Room(one));
  $("rooms").replaceChildren(...[...rooms.values()].map((one) => make("li", {}, one.link)));
  if (myName) enter();
  else askName();
}

begin();
