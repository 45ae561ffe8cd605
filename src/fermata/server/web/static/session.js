// Who is signed in on this page: what goes along with its changes, and what happens when the session is over meanwhile.
// Nothing that stands on the page is lost by that: people sign in beside it, and it goes on.
"use strict";
(() => {
  const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.content || "";
  const CHECK_MS = 60000, AGAIN_MS = 3000;
  const name = meta("fermata-viewer");
  let csrf = meta("fermata-csrf"), banner = null, timer = null;

  const headers = () => (csrf ? { "X-Fermata-Csrf": csrf } : {});

  // Whether an answer says that the session is over, or its token an old one.
  const isLost = (answer, told) => Boolean(csrf) && (answer.status === 401 || told?.code === "CSRF_TOKEN_WRONG");

  // "in": signed in as before. "out": nobody is. "other": somebody else is. "silent": no answer.
  async function renew() {
    try {
      const answer = await fetch("/session", { headers: { Accept: "application/json" }, cache: "no-store" });
      if (answer.status === 401 || answer.status === 403) return "out";
      if (!answer.ok) return "silent";
      const told = await answer.json();
      if (told.name !== name) return "other";
      csrf = told.csrf;
      for (const field of document.querySelectorAll('input[name="csrf"]')) field.value = csrf;
      return "in";
    } catch {
      return "silent";
    }
  }

  function say(words, withLink) {
    if (!banner) {
      banner = Object.assign(document.createElement("p"), { className: "signed-out" });
      banner.setAttribute("role", "alert");
      (document.querySelector("header.bar") || document.body.firstElementChild).after(banner);
    }
    banner.replaceChildren(words);
    if (withLink) banner.append(" ", link());
  }

  const link = () => Object.assign(document.createElement("a"), {
    href: "/sign-in?next=/session/back", target: "_blank", rel: "noopener", textContent: "Sign in again (in a new tab)",
  });

  async function check() {
    clearTimeout(timer);
    if (!csrf) return;
    const state = await renew();
    if (state === "in") { banner?.remove(); banner = null; }
    if (state === "out") say("You are signed out. What stands on this page stays here.", true);
    if (state === "other") say(`Somebody else is signed in now. This page was made for ${name}: load it again.`, false);
    timer = setTimeout(check, banner ? AGAIN_MS : CHECK_MS);
  }

  window.fermataSession = { name, headers, isLost, renew, link, check };
  for (const event of ["htmx:sseError", "htmx:responseError"]) document.addEventListener(event, check);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) check(); });
  if (csrf) timer = setTimeout(check, CHECK_MS);
})();
