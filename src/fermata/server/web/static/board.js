// Keeps the board honest: says whether it is live, and hands chart data on. htmx swaps everything else.
"use strict";
(() => {
  const feed = document.getElementById("charts-feed");
  if (!feed) return; // a page that is not live
  const OLD_AFTER_MS = 15000; // three heartbeats of the server
  const conn = document.getElementById("conn");
  const connText = document.getElementById("conn-text");
  const banner = document.getElementById("banner");
  const time = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  let heard = Date.now(), connected = true, trouble = null, shown = "";

  function state() {
    if (!connected) return "reconnecting";
    if (trouble || Date.now() - heard > OLD_AFTER_MS) return "stale";
    return "live";
  }

  function tell() {
    const now = state(), since = time.format(new Date(heard));
    const words = { live: "live", stale: `figures from ${since}`, reconnecting: `reconnecting, figures from ${since}` }[now];
    const warning = {
      live: "", stale: trouble || `Nothing heard from the server since ${since}: the figures are old.`,
      reconnecting: `The connection to the server is lost: the figures are from ${since}. Trying again.`,
    }[now];
    if (`${words}|${warning}` === shown) return;
    shown = `${words}|${warning}`;
    conn.dataset.state = now;
    connText.textContent = words;
    banner.textContent = warning;
    banner.hidden = !warning;
  }

  document.addEventListener("htmx:sseOpen", () => { connected = true; heard = Date.now(); tell(); });
  document.addEventListener("htmx:sseError", () => { connected = false; tell(); });
  document.addEventListener("htmx:sseBeforeMessage", (event) => {
    heard = Date.now();
    connected = true;
    if (event.target === feed) {
      event.preventDefault();
      window.fermataCharts.show(event.detail.data);
    } else if (event.target.id === "tick-feed") {
      event.preventDefault();
      trouble = JSON.parse(event.detail.data).trouble;
      tell();
    }
  });
  document.addEventListener("visibilitychange", tell);
  setInterval(tell, 1000);
  window.fermataCharts.show(feed.dataset.charts);
})();
