// Draws every node as a cell: a canvas for each cluster, a column for each rack. Figures come from the server.
"use strict";
(() => {
  const page = document.querySelector(".wall-page");
  const halls = [...document.querySelectorAll(".hall[data-racks]")];
  if (!page) return;
  const EVERY_MS = 5000, OLD_AFTER_MS = 20000, FOUND_MAX = 12;
  const CELL = halls.length === 1 ? 13 : 8, GAP = 1, BAND = 5;
  const tip = document.getElementById("tip"), spoken = document.getElementById("spoken");
  const conn = document.getElementById("wall-conn"), marks = document.getElementById("marks");
  const number = new Intl.NumberFormat("en-US");
  const time = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const query = new URLSearchParams({ shade: page.dataset.shade, component: page.dataset.component, cluster: page.dataset.cluster });
  let data = null, names = null, sought = "", heard = null;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const address = (name) => `/nodes/${encodeURIComponent(name)}`;

  // One cluster: racks stand side by side, as many as the room has, the next ones in a band below.
  class Hall {
    constructor(box) {
      this.box = box;
      this.name = box.dataset.name;
      this.racks = box.dataset.racks.split(",").map(Number);
      this.size = this.racks.reduce((sum, one) => sum + one, 0);
      this.tall = Math.max(...this.racks);
      this.cells = "";
      this.at = -1;
      this.canvas = document.createElement("canvas");
      this.canvas.tabIndex = 0;
      this.canvas.setAttribute("role", "application");
      box.append(this.canvas);
      box.classList.add("drawn");
      this.canvas.addEventListener("pointermove", (event) => this.point(event));
      this.canvas.addEventListener("pointerleave", () => { tip.hidden = true; this.at = -1; this.draw(); });
      this.canvas.addEventListener("click", () => this.open());
      this.canvas.addEventListener("keydown", (event) => this.key(event));
      this.canvas.addEventListener("blur", () => { tip.hidden = true; this.at = -1; this.draw(); });
      this.place();
    }

    place() {
      const pitch = CELL + GAP, room = Math.max(pitch, page.clientWidth - 26);
      const perBand = Math.max(1, Math.floor(room / pitch));
      const bands = Math.ceil(this.racks.length / perBand);
      this.width = Math.min(perBand, this.racks.length) * pitch;
      this.height = bands * (this.tall * pitch + BAND) - BAND;
      this.spots = [];
      this.rackOf = [];
      this.racks.forEach((count, rack) => {
        const x = (rack % perBand) * pitch, y = Math.floor(rack / perBand) * (this.tall * pitch + BAND);
        for (let slot = 0; slot < count; slot++) { this.spots.push([x, y + slot * pitch]); this.rackOf.push(rack); }
      });
      const ratio = window.devicePixelRatio || 1;
      this.canvas.width = Math.ceil(this.width * ratio);
      this.canvas.height = Math.ceil(this.height * ratio);
      this.canvas.style.width = `${this.width}px`;
      this.canvas.style.height = `${this.height}px`;
      this.pen = this.canvas.getContext("2d");
      this.pen.scale(ratio, ratio);
    }

    show(cells, counts) {
      this.cells = cells;
      const told = data.marks.map((mark, index) => counts[index] ? `${number.format(counts[index])} ${mark.label}` : "").filter(Boolean);
      this.canvas.setAttribute("aria-label", `${this.name}: ${told.join(", ")}. Arrow keys go from node to node, Enter opens one.`);
      this.draw();
    }

    draw() {
      const tones = data ? data.marks.map((mark) => colour(`--wall-${mark.tone}`)) : [];
      const own = names ? names[this.name] : null;
      this.pen.clearRect(0, 0, this.width, this.height);
      this.spots.forEach(([x, y], index) => {
        const isSought = !sought || (own && own[index].includes(sought));
        this.pen.globalAlpha = isSought ? 1 : .18;
        this.pen.fillStyle = tones[parseInt(this.cells[index], 16)] || colour("--track");
        this.pen.fillRect(x, y, CELL, CELL);
        if (index === this.at) {
          this.pen.globalAlpha = 1;
          this.pen.strokeStyle = colour("--text");
          this.pen.lineWidth = 2;
          this.pen.strokeRect(x + 1, y + 1, CELL - 2, CELL - 2);
        }
      });
      this.pen.globalAlpha = 1;
    }

    under(event) {
      const box = this.canvas.getBoundingClientRect(), px = event.clientX - box.left, py = event.clientY - box.top;
      return this.spots.findIndex(([x, y]) => px >= x && px < x + CELL + GAP && py >= y && py < y + CELL + GAP);
    }

    point(event) { this.go(this.under(event), event.clientX, event.clientY); }

    go(index, x, y) {
      if (index !== this.at) { this.at = index; this.draw(); }
      tip.hidden = index < 0 || !names || !data;
      if (tip.hidden) return;
      const mark = data.marks[parseInt(this.cells[index], 16)];
      tip.replaceChildren(Object.assign(document.createElement("b"), { textContent: names[this.name][index] }),
        Object.assign(document.createElement("span"), { textContent: `${mark ? mark.label : ""}, ${this.name}` }));
      const right = x + 340 > window.innerWidth;
      tip.style.left = `${Math.max(4, right ? x - tip.offsetWidth - 12 : x + 14)}px`;
      tip.style.top = `${Math.min(y + 14, window.innerHeight - tip.offsetHeight - 6)}px`;
    }

    key(event) {
      const steps = { ArrowDown: 1, ArrowUp: -1, ArrowRight: this.tall, ArrowLeft: -this.tall };
      if (event.key === "Enter" && this.at >= 0) return this.open();
      if (event.key === "Escape") { tip.hidden = true; this.at = -1; return this.draw(); }
      if (!(event.key in steps)) return;
      event.preventDefault();
      const index = this.at < 0 ? 0 : Math.min(this.size - 1, Math.max(0, this.at + steps[event.key]));
      const box = this.canvas.getBoundingClientRect(), [x, y] = this.spots[index];
      this.go(index, box.left + x, box.top + y);
      if (names) spoken.textContent = tip.textContent;
    }

    open() { if (this.at >= 0 && names) window.location.assign(address(names[this.name][this.at])); }
  }

  const walls = halls.map((box) => new Hall(box));

  async function ask(path) {
    const answer = await fetch(`${path}?${query}`, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(String(answer.status));
    return answer.json();
  }

  async function refresh() {
    try {
      const fresh = await ask("/fleet/cells");
      if (fresh.shape !== page.dataset.shape) return window.location.reload(); // nodes came, went or moved
      data = fresh;
      heard = Date.now();
      marks.querySelectorAll("b").forEach((one, index) => { one.textContent = number.format(data.totals[index]); });
      const found = new Map(data.clusters.map((one) => [one.name, one]));
      walls.forEach((wall) => { const one = found.get(wall.name); if (one) wall.show(one.cells, one.counts); });
    } catch { /* told below */ }
    const old = heard === null || Date.now() - heard > OLD_AFTER_MS;
    conn.dataset.state = old ? "stale" : "live";
    conn.textContent = heard === null ? "no answer from the server" : old ? `figures from ${time.format(new Date(heard))}` : "live";
  }

  function seek() {
    const found = document.getElementById("found");
    sought = document.getElementById("find").value.trim().toLowerCase();
    found.replaceChildren();
    if (sought && names) {
      const hits = Object.values(names).flat().filter((name) => name.includes(sought));
      found.append(hits.length ? `${number.format(hits.length)} found: ` : "Nothing found.");
      hits.slice(0, FOUND_MAX).forEach((name, index) => {
        if (index) found.append(", ");
        found.append(Object.assign(document.createElement("a"), { href: address(name), textContent: name }));
      });
      if (hits.length > FOUND_MAX) found.append(" …");
    }
    walls.forEach((wall) => wall.draw());
  }

  document.getElementById("shades").addEventListener("change", (event) => {
    document.getElementById("component").disabled = event.target.form.elements.shade.value !== "version";
    event.target.form.submit();
  });
  if (!walls.length) return; // too many nodes at once: the clusters' counts are what there is
  document.querySelector(".find").hidden = false;
  document.getElementById("find").addEventListener("input", seek);
  ask("/fleet/names").then((told) => { names = told.clusters; seek(); });
  refresh();
  setInterval(() => { if (!document.hidden) refresh(); }, EVERY_MS);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => walls.forEach((wall) => wall.draw()));
  let width = page.clientWidth;
  new ResizeObserver(() => {
    if (page.clientWidth === width) return;
    width = page.clientWidth;
    walls.forEach((wall) => { wall.place(); wall.draw(); });
  }).observe(page);
})();
