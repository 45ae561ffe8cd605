// Keeps the room of a window fresh: asks every few seconds whether it reads otherwise, and says when nobody answers.
"use strict";
(() => {
  const room = document.getElementById("room"), conn = document.getElementById("room-conn");
  if (!room) return;
  const EVERY_MS = 5000, OLD_AFTER_MS = 20000;
  const time = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  let heard = Date.now();

  function tell() {
    const old = Date.now() - heard > OLD_AFTER_MS;
    const words = old ? `as of ${time.format(new Date(heard))}: no answer from the server` : "live";
    if (conn.textContent === words) return;
    conn.dataset.state = old ? "stale" : "live";
    conn.textContent = words;
  }

  // What somebody has opened or stands on stays so.
  function show(html) {
    const open = [...room.querySelectorAll("details[open]")].map((one) => one.dataset.key);
    const at = document.activeElement?.closest("[id], details")?.id;
    const key = document.activeElement?.closest("details")?.dataset.key;
    room.innerHTML = html;
    for (const one of room.querySelectorAll("details")) one.open = open.includes(one.dataset.key);
    const back = key ? room.querySelector(`details[data-key="${CSS.escape(key)}"] summary`) : at && document.getElementById(at);
    if (back && room.contains(back)) back.focus({ preventScroll: true });
  }

  async function ask() {
    try {
      const answer = await fetch(`${room.dataset.body}?seen=${room.dataset.version}`);
      if (answer.status === 200) {
        show(await answer.text());
        room.dataset.version = answer.headers.get("X-Version");
      }
      if (answer.ok) heard = Date.now();
    } catch { /* told below, once it lasts */ }
    tell();
    setTimeout(ask, EVERY_MS);
  }

  tell();
  setInterval(tell, 1000);
  setTimeout(ask, EVERY_MS);
})();
