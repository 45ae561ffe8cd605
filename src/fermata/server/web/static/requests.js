// The word on what was chosen: what it would cost, and that it is recorded once, or not at all, whatever is lost on the
// way. Times on this page are UTC.
"use strict";
(() => {
  const choose = document.getElementById("choose");
  const form = document.getElementById("word");
  if (!choose || !form) return;
  const { Tree, counted } = window.fermataTree;
  const KEPT = "fermata.word"; // a word that was sent and not answered yet, so that a reload goes on with it
  const LOOK_MS = 10000, AGAIN_MS = 1500, COST_MS = 120;
  const VERBS = { approved: "approvals", declined: "declines", offered: "offers", withdrawn: "withdrawals" };
  const SAY = { approved: "Approve", declined: "Decline", offered: "Offer another time for", withdrawn: "Withdraw what was said of" };
  const session = window.fermataSession;
  const byId = (id) => document.getElementById(id);
  const news = byId("news"), outcome = byId("outcome"), send = byId("send"), cost = byId("cost"), all = byId("all");
  const isOfOrders = choose.dataset.of === "orders"; // words on the work orders of one request, not on updates
  const request = choose.dataset.request;
  let grove = JSON.parse(choose.dataset.grove);
  let since = Number(form.elements.since.value);
  let priced = null, asking = null, sending = false, given = false;

  const value = (name) => form.elements[name]?.value || "";
  const verdict = () => value("verdict");
  const instant = (name) => (value(name) ? `${value(name)}Z`.replace(/T(\d\d:\d\d)Z$/, "T$1:00Z") : null);

  const tree = new Tree(byId("tree"), {
    async ask(item, start) {
      const asked = new URLSearchParams({ level: item.level, name: item.name, start, cluster: item.parent ? item.parent.name : "", ...(isOfOrders ? { orders: request } : {}) });
      const answer = await fetch(`/requests/branches?${asked}`);
      const told = await answer.json();
      if (!answer.ok) throw new Error(told.detail);
      return told;
    },
    changed(error) {
      if (error) tell(news, "warn", "That branch cannot be read now.", [String(error.message)]);
      else changed();
    },
  });

  function tell(box, tone, title, lines = [], button = null) {
    const head = document.createElement("p");
    head.append(Object.assign(document.createElement("b"), { textContent: title }));
    box.className = tone;
    box.replaceChildren(head, ...lines.map((line) => Object.assign(document.createElement("p"), { textContent: line })), ...(button ? [button] : []));
  }

  function buttonOf(text, does) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: text });
    button.addEventListener("click", does);
    return button;
  }

  /* What was chosen */
  function changed() {
    given = true;
    const trunks = tree.trunks.filter((item) => tree.may(item));
    all.checked = trunks.length > 0 && trunks.every((item) => tree.selected.has(item.key));
    all.indeterminate = !all.checked && tree.selected.size > 0;
    all.disabled = !trunks.length;
    priced = null;
    ready();
    clearTimeout(asking?.timer);
    asking?.stop.abort();
    asking = { stop: new AbortController() };
    asking.timer = setTimeout(ask, COST_MS, asking.stop.signal);
  }

  async function ask(signal) {
    const scopes = tree.chosen().map(({ level, name }) => ({ level, name }));
    if (!scopes.length) {
      cost.replaceChildren(Object.assign(document.createElement("p"), { className: "empty", textContent: "Choose in the tree what you speak for." }));
      return;
    }
    if (isOfOrders) {
      const nodes = tree.chosen().reduce((sum, item) => sum + item.nodes, 0);
      cost.replaceChildren(Object.assign(document.createElement("p"), { textContent: `${counted(nodes, "node")} of the work orders below.` }));
      priced = { nodes, refused: [] };
      ready();
      return;
    }
    cost.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch("/requests/cost", {
        method: "POST", signal, headers: { "Content-Type": "application/json", ...session.headers() }, body: JSON.stringify({ scopes, actor: value("actor") }),
      });
      const told = await answer.json();
      if (session.isLost(answer, told)) session.check();
      if (!answer.ok) throw new Error(told.detail);
      cost.innerHTML = told.html; // written by our own server, every name in it escaped
      for (const why of told.refused) cost.append(Object.assign(document.createElement("p"), { className: "note", textContent: why.sentence }));
      priced = told;
    } catch (error) {
      if (signal.aborted) return;
      tell(cost, "warn", "What it would cost is not known now.", ["The server does not answer. What you chose stays chosen."], buttonOf("Ask again", changed));
    } finally {
      if (!signal.aborted) cost.removeAttribute("aria-busy");
    }
    ready();
  }

  function ready() {
    const said = verdict();
    for (const part of form.querySelectorAll("[data-for]")) part.hidden = !part.dataset.for.split(" ").includes(said);
    for (const [name, when] of [["until", "declined"], ["reason", "declined"], ["not_before", "offered"], ["not_after", "offered"]]) {
      if (form.elements[name]) form.elements[name].required = said === when;
    }
    const chosen = tree.selected.size > 0;
    send.textContent = chosen ? `${SAY[said]} ${priced ? counted(priced.nodes, "node") : "…"} as ${value("actor")}` : "Nothing is chosen";
    send.disabled = sending || !chosen || !priced || priced.refused.length > 0;
  }

  /* What is said */
  function compose() {
    const said = verdict(), reason = value("reason").trim();
    if (isOfOrders) {
      const words = tree.chosen().map((item) => ({
        word: said, actor: value("actor"), reason, incarnation: tree.trunkOf(item).incarnation,
        until: said === "declined" ? instant("until") : null, scope: { level: item.level, name: item.name },
      }));
      return { url: `/api/v1/requests/${encodeURIComponent(request)}/words`, body: { words, since } };
    }
    const more = {
      approved: {}, withdrawn: {},
      declined: { until: instant("until"), then: value("then") || null },
      offered: { conditions: { not_before: instant("not_before"), not_after: instant("not_after") } },
    }[said];
    const orders = tree.chosen().map((item) => ({
      scope: { level: item.level, name: item.name }, reason, incarnation: tree.trunkOf(item).incarnation, ...more,
    }));
    return { url: `/api/v1/${VERBS[said]}`, body: { actor: value("actor"), atomic: true, since, orders } };
  }

  async function deliver(word) {
    sending = true;
    ready();
    tell(outcome, "wait", "Sending …", [word.title]);
    let stopped = false, unsure = false;
    const stop = () => { stopped = true; };
    for (;;) {
      const answer = await once(word);
      if (answer === "lost") {
        if (await signInAgain(word, () => stopped, stop)) continue;
        sessionStorage.removeItem(KEPT);
        tell(outcome, "warn", unsure ? "Stopped." : "Nothing was recorded.", [`Not sent again: ${word.title}. Look at what stands.`]);
        break;
      }
      if (answer || stopped) sessionStorage.removeItem(KEPT);
      if (answer) { await heard(word, answer); break; }
      unsure = true;
      if (stopped) { tell(outcome, "warn", "Stopped.", [`It is not known here whether this was recorded: ${word.title}. Look at what stands, then say it again.`]); break; }
      tell(outcome, "warn", "The server does not answer.",
        [`Kept in this tab, and sent again under the same key, so that it is recorded once or not at all: ${word.title}.`],
        buttonOf("Stop sending", stop));
      await new Promise((done) => setTimeout(done, AGAIN_MS));
    }
    sending = false;
    ready();
  }

  // Signed out meanwhile: the word stays in this tab. True once the same person is signed in again.
  async function signInAgain(word, isStopped, stop) {
    session.check();
    for (;;) {
      const state = await session.renew();
      if (state === "in") return true;
      if (state === "other" || isStopped()) return false;
      tell(outcome, "warn", "You are signed out.",
        [`This waits in this tab, and is sent once you are signed in again: ${word.title}.`], buttonOf("Stop sending", stop));
      outcome.append(session.link());
      await new Promise((done) => setTimeout(done, AGAIN_MS));
    }
  }

  // The answer, "lost" when nobody is signed in any more, or null when there is none that is final.
  async function once(word) {
    try {
      const answer = await fetch(word.url, {
        method: "POST", headers: { "Content-Type": "application/json", "Idempotency-Key": word.key, ...session.headers() }, body: word.body,
      });
      const told = await answer.json();
      if (session.isLost(answer, told)) return "lost";
      return [502, 503, 504].includes(answer.status) || told.code === "KEY_IN_USE" ? null : { ok: answer.ok, told };
    } catch {
      return null;
    }
  }

  async function heard(word, { ok, told }) {
    if (!ok) {
      const reasons = told.reasons || told.faults || [{ sentence: told.detail }];
      const lines = reasons.slice(0, 5).map((why) => why.sentence);
      if (reasons.length > 5) lines.push(`And ${counted(told.total - 5, "more reason")}.`);
      const isOld = reasons.some((why) => ["SAID_MEANWHILE", "REQUEST_CHANGED"].includes(why.code));
      const changes = isOld ? await look({ seen: true }) : [];
      tell(outcome, "bad", "Nothing was recorded.", [...lines, ...changes, ...(isOld ? ["What you chose stays chosen: look at what stands now, then say it again."] : [])]);
    } else {
      const stood = told.filter((line) => line.state === "stood").length;
      const nodes = told.reduce((sum, line) => sum + line.nodes, 0);
      const lines = [word.title, `The ledger has ${counted(told.length - stood, "new word")}, on ${counted(nodes, "node")}${stood ? `; ${counted(stood, "word")} stood so already` : ""}.`];
      await look({ seen: true });
      tree.clear();
      form.elements.reason.value = "";
      news.replaceChildren();
      news.className = "";
      tell(outcome, "good", "Recorded.", lines);
    }
    outcome.focus();
  }

  /* What others say meanwhile */
  async function look({ seen = false } = {}) {
    const asked = new URLSearchParams({ since, ...(request ? { [isOfOrders ? "orders" : "request"]: request } : {}) });
    let told;
    try {
      const answer = await fetch(`/requests/grove?${asked}`);
      if (!answer.ok) return [];
      told = await answer.json();
    } catch {
      return [];
    }
    const lines = [...told.words, ...differences(grove.trunks, told.trunks)];
    if (seen) {
      [grove, since] = [told, told.seq];
      await tree.show(grove.trunks);
      if (tree.selected.size) changed();
    } else if (lines.length) {
      tell(news, "warn", "Meanwhile:", lines, buttonOf("Show what stands now", async () => {
        await look({ seen: true });
        news.replaceChildren();
        news.className = "";
      }));
    }
    return lines;
  }

  function differences(before, after) {
    const now = new Map(after.map((trunk) => [trunk.request, trunk]));
    return before.flatMap((old) => {
      const trunk = now.get(old.request);
      if (!trunk) return [`${old.request} asks for nothing any more.`];
      if (trunk.incarnation === old.incarnation) return [];
      const parts = [];
      for (const [update, [title, nodes]] of Object.entries(trunk.items)) {
        if (!old.items[update]) parts.push(`${title} (${update}) came, on ${counted(nodes, "node")}`);
        else if (old.items[update][1] !== nodes) parts.push(`${update} is due on ${counted(nodes, "node")} and was on ${old.items[update][1]}`);
      }
      for (const [update, [title]] of Object.entries(old.items)) if (!trunk.items[update]) parts.push(`${title} (${update}) is gone`);
      return [`${old.request} changed: ${parts.join("; ") || "other nodes"}.`];
    });
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (sending || send.disabled) return;
    const { url, body } = compose();
    const word = { url, body: JSON.stringify(body), key: crypto.randomUUID(), title: send.textContent, viewer: session.name };
    sessionStorage.setItem(KEPT, JSON.stringify(word));
    deliver(word);
  });
  form.addEventListener("change", (event) => {
    if (event.target.name === "actor") tree.speak(value("actor"));
    ready();
  });

  form.hidden = false;
  byId("tree-keys").hidden = false;
  choose.querySelector(".tree-all").hidden = false;
  all.addEventListener("change", () => tree.all(all.checked));
  tree.actor = value("actor");
  tree.show(grove.trunks).then(() => (grove.trunks.length === 1 ? tree.open(tree.trunks[0]) : null)).then(() => { choose.dataset.ready = "true"; });
  setInterval(() => { if (!document.hidden && !sending) look(); }, LOOK_MS);
  ready();
  const kept = sessionStorage.getItem(KEPT);
  const waiting = kept && JSON.parse(kept);
  if (waiting && (waiting.viewer || "") === session.name) deliver(waiting);
  else if (waiting) {
    sessionStorage.removeItem(KEPT);
    tell(outcome, "warn", "Not sent.", [`This was said by ${waiting.viewer || "somebody else"} in this tab, who is not signed in now: ${waiting.title}. Look whether it stands.`]);
  }
})();
