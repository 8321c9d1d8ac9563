// Keeps an open page as it would be if it were loaded now, and shows times in the reader's own zone.
//
// The server says which note has changed (server-sent events); then the page is asked for again, and
// what is in its #live element takes the place of what is shown. So there is one place where notes
// are turned into HTML: the templates. Without this script the pages work as well, when reloaded.

"use strict";

const { events, after } = document.body.dataset;
let last = after; // the last change that this page knows of
let source = null;
let refreshing = null; // while the page is asked for
let again = false; // something has come meanwhile

const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

function localTimes(root) {
  for (const time of root.querySelectorAll("time")) {
    time.textContent = format.format(new Date(time.dateTime));
  }
}

function listen() {
  if (source !== null) return;
  source = new EventSource(`${events}?after=${last}`);
  source.addEventListener("note", (event) => {
    last = event.lastEventId;
    changed(JSON.parse(event.data).note);
  });
}

function rest() {
  source?.close();
  source = null;
}

// A note has changed (null: any may have). A page of another note need not mind.
function changed(note) {
  const live = document.getElementById("live");
  const shown = live?.dataset.note;
  if (!live || (note !== null && shown && shown !== String(note))) return;
  if (refreshing) again = true;
  else refreshing = refresh(note).catch(() => {
    again = true; // there was no server: it will be back
    return new Promise((wait) => setTimeout(wait, 1000));
  }).finally(() => {
    refreshing = null;
    if (again) {
      again = false;
      changed(null);
    }
  });
}

async function refresh(note) {
  // By this field the server knows that nobody has opened the page: it gives no notice away.
  const response = await fetch(location.href, { headers: { "X-Refresh": "1" } });
  if (!response.ok || response.redirected) {
    location.reload(); // deleted, or signed out: let the server say so
    return;
  }
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const next = page.getElementById("live");
  localTimes(next);
  const now = document.getElementById("live");
  const focused = now.contains(document.activeElement) ? document.activeElement.href : null;
  now.replaceWith(next);
  if (focused) [...next.querySelectorAll("a")].find((link) => link.href === focused)?.focus();
  const fresh = document.getElementById(`note-${note}`) ?? (next.dataset.note ? next : null);
  fresh?.classList.add("fresh");
  const title = fresh?.querySelector("h1, h2").textContent;
  document.getElementById("news").textContent = title ? `“${title}” has changed.` : "The list has changed.";
}

// A browser opens six connections to a host at most: a page that nobody sees gives up its own, and
// hears of what it has missed when it is seen again.
document.addEventListener("visibilitychange", () => (document.hidden ? rest() : listen()));
window.addEventListener("pagehide", rest);
window.addEventListener("pageshow", listen);

localTimes(document);
listen();
