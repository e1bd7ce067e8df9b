// Keeps the parts of a page that are marked data-live up to date, without reload.
// The server says on /api/v1/events that something moved; this fetches the same page and swaps
// the parts that differ. Without script the page is whole, only still.
(() => {
  "use strict";
  const GATHER_MS = 300; // changes that come together are fetched once
  const OFTEN_MS = 1000; // at most one fetch in this time
  const STALE_MS = 30000; // "isolated for …" goes on also when nothing moves
  const note = document.getElementById("live-note");
  let timer = null;
  let last = 0;
  let missed = false;
  let events = null;

  function say(word) {
    if (!note) return;
    note.hidden = !word;
    note.textContent = word ? note.dataset[word] : "";
  }

  function due() {
    if (document.hidden) {
      missed = true;
      return;
    }
    if (timer) return;
    timer = setTimeout(refresh, Math.max(GATHER_MS, last + OFTEN_MS - Date.now()));
  }

  async function refresh() {
    last = Date.now();
    try {
      const answer = await fetch(location.href, { headers: { "Raccordo-Live": "1" }, cache: "no-store" });
      if (answer.status === 401) {
        stop();
        return;
      }
      if (answer.ok) swap(new DOMParser().parseFromString(await answer.text(), "text/html"));
      say("");
    } catch {
      say("lost");
    } finally {
      timer = null;
    }
  }

  function swap(fresh) {
    for (const old of document.querySelectorAll("[data-live]")) {
      const now = fresh.getElementById(old.id);
      if (!now || now.isEqualNode(old)) continue;
      const next = document.importNode(now, true);
      mark(old, next);
      for (const open of old.querySelectorAll("details[open][id]")) {
        const same = next.querySelector("#" + CSS.escape(open.id));
        if (same) same.open = true;
      }
      const focused = old.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
      old.replaceWith(next);
      if (focused) {
        const same = next.querySelector('[href="' + CSS.escape(focused) + '"]');
        if (same) same.focus({ preventScroll: true });
      }
    }
  }

  // Rows that are new or differ are lit for a moment.
  function mark(old, next) {
    const before = new Map();
    for (const row of old.querySelectorAll("[data-key]")) before.set(row.dataset.key, row);
    for (const row of next.querySelectorAll("[data-key]")) {
      const same = before.get(row.dataset.key);
      if (same) same.classList.remove("changed");
      if (!same || !same.isEqualNode(row)) row.classList.add("changed");
    }
  }

  function stop() {
    if (events) events.close();
    clearInterval(clock);
    say("ended");
  }

  function connect() {
    events = new EventSource("/api/v1/events");
    for (const name of ["record", "delivery", "peer", "overview", "resync"]) events.addEventListener(name, due);
    events.addEventListener("open", due);
    events.addEventListener("error", () => {
      // The browser tries again by itself unless the server answered with a refusal.
      if (events.readyState === EventSource.CLOSED) {
        due();
        setTimeout(connect, 5000);
      }
    });
  }

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && missed) {
      missed = false;
      due();
    }
  });
  const clock = setInterval(due, STALE_MS);
  connect();
})();
