// A tree of the fleet to choose from, after the tree pattern of the ARIA Authoring Practices. Branches are asked for
// when they are opened, and only open ones stand in the page.
"use strict";
(() => {
  const number = new Intl.NumberFormat("en-US");
  const counted = (value, word) => `${number.format(value)} ${word}${value === 1 ? "" : "s"}`;

  function countText(item) {
    if (item.level === "node") return item.why || "may go";
    const parts = [item.covered && `${number.format(item.covered)} may go`, item.waiting && `${number.format(item.waiting)} wait`,
      item.held && `${number.format(item.held)} held`].filter(Boolean);
    const what = item.nodes ? counted(item.nodes, "node") : counted(item.devices, "shared device");
    return `${what}${parts.length ? `: ${parts.join(", ")}` : ""}${item.state ? `; ${item.state}` : ""}${item.due ? `, due ${item.due}` : ""}`;
  }

  class Tree {
    constructor(box, { ask, changed }) {
      this.box = box;
      this.ask = ask;
      this.changed = changed;
      this.items = new Map();
      this.trunks = [];
      this.selected = new Set();
      this.actor = "";
      this.current = null;
      this.typed = "";
      box.setAttribute("role", "tree");
      box.setAttribute("aria-multiselectable", "true");
      box.addEventListener("click", (event) => this.clicked(event));
      box.addEventListener("keydown", (event) => this.pressed(event));
    }

    // What is known of the trunks now; open branches are asked for again, and what was chosen stays chosen.
    async show(trunks) {
      const before = this.items;
      this.items = new Map();
      this.trunks = trunks.map((told) => this.keep(told, null, before));
      await Promise.all(this.trunks.map((item) => this.again(item, before)));
      for (const key of [...this.selected]) if (!this.items.has(key)) this.selected.delete(key);
      this.draw();
    }

    keep(told, parent, before = this.items) {
      const key = parent ? `${parent.key}/${told.name}` : told.name;
      const was = before.get(key);
      const item = { ...told, key, parent, kids: null, rest: 0, open: was ? was.open : false };
      this.items.set(key, item);
      return item;
    }

    async again(item, before) {
      if (!item.open) return;
      const had = before.get(item.key).kids || [];
      await this.load(item, had.length, before);
      await Promise.all(item.kids.map((kid) => this.again(kid, before)));
    }

    // At least `least` of the branches below, or the next ones.
    async load(item, least = 0, before = this.items) {
      do {
        const start = item.kids ? item.kids.length : 0;
        const told = await this.ask(item, start);
        item.kids = [...(item.kids || []), ...told.branches.map((branch) => this.keep(branch, item, before))];
        item.rest = told.rest;
      } while (item.rest && item.kids.length < least);
    }

    trunkOf(item) { return item.parent ? this.trunkOf(item.parent) : item; }
    may(item) { return item.speakers.includes(this.actor); }
    chosen() { return [...this.selected].map((key) => this.items.get(key)); }
    isIn(item) { return this.selected.has(item.key) || (item.parent !== null && this.isIn(item.parent)); }

    state(item) {
      if (this.isIn(item)) return "true";
      const below = `${item.key}/`;
      return [...this.selected].some((key) => key.startsWith(below)) ? "mixed" : "false";
    }

    async toggle(item) {
      if (!this.may(item)) return;
      if (!this.isIn(item)) {
        this.select(item);
      } else if (this.selected.has(item.key)) {
        this.selected.delete(item.key);
      } else {
        await this.leaveOut(item);
      }
      this.draw();
      this.changed();
    }

    select(item) {
      const below = `${item.key}/`;
      for (const key of [...this.selected]) if (key.startsWith(below)) this.selected.delete(key);
      this.selected.add(item.key);
      const parent = item.parent;
      if (parent && !parent.rest && this.may(parent) && parent.kids.every((kid) => this.selected.has(kid.key))) this.select(parent);
    }

    // Of a branch above that is chosen as a whole, all that does not hold the item stays chosen.
    async leaveOut(item) {
      const path = [];
      for (let at = item; !this.selected.has(at.key); at = at.parent) path.push(at);
      let above = path[path.length - 1].parent;
      this.selected.delete(above.key);
      for (const at of path.reverse()) {
        if (above.rest) await this.load(above, Infinity);
        for (const kid of above.kids) if (kid !== at) this.selected.add(kid.key);
        above = at;
      }
    }

    all(on) {
      this.selected.clear();
      if (on) for (const trunk of this.trunks) if (this.may(trunk)) this.selected.add(trunk.key);
      this.draw();
      this.changed();
    }

    clear() { this.selected.clear(); this.draw(); this.changed(); }

    speak(actor) {
      this.actor = actor;
      for (const item of this.chosen()) if (!this.may(item)) this.selected.delete(item.key);
      this.draw();
      this.changed();
    }

    async open(item, on = true) {
      if (!item.children || item.open === on) return;
      if (on && !item.kids) {
        try { await this.load(item); } catch (error) { this.changed(error); return; }
      }
      item.open = on;
      if (!on && this.current && this.current !== item && this.current.key.startsWith(`${item.key}/`)) this.current = item;
      this.draw();
    }

    /* Drawn anew with each change: what is open is at most some hundred rows. */
    draw() {
      const focused = this.box.contains(document.activeElement);
      if (this.current && !this.items.has(this.current.key)) this.current = null;
      this.current = this.current ? this.items.get(this.current.key) : this.trunks[0] || null;
      this.box.replaceChildren(...this.trunks.flatMap((item, at) => this.rows(item, 1, at, this.trunks.length)));
      if (focused && this.current) this.element(this.current)?.focus({ preventScroll: true });
    }

    // The row of a branch, and those of what is open below it: all are neighbours, told apart by their level.
    rows(item, level, at, count) {
      const found = [this.row(item, level, at, count)];
      if (!item.open || !item.kids) return found;
      const whole = item.kids.length + (item.rest ? 1 : 0);
      found.push(...item.kids.flatMap((kid, place) => this.rows(kid, level + 1, place, whole)));
      if (item.rest) found.push(this.more(item, level + 1, whole));
      return found;
    }

    row(item, level, at, count) {
      const element = document.createElement("li");
      const state = this.state(item);
      element.id = `branch-${item.key}`;
      element.dataset.key = item.key;
      element.setAttribute("role", "treeitem");
      element.setAttribute("aria-level", level);
      element.setAttribute("aria-posinset", at + 1);
      element.setAttribute("aria-setsize", count);
      element.setAttribute("aria-checked", state);
      element.tabIndex = this.current === item ? 0 : -1;
      if (item.children) element.setAttribute("aria-expanded", item.open);
      if (!this.may(item)) element.setAttribute("aria-disabled", "true");
      const line = document.createElement("div");
      line.className = "branch";
      line.append(this.part("twist", item.children ? "" : null), this.part("tick", ""), this.part("name", item.name), " ",
        this.part("says", this.says(item)));
      element.append(line);
      return element;
    }

    says(item) {
      return this.may(item) ? countText(item) : `${countText(item)}; ${item.speakers.join(", ") || "nobody"} speaks for it`;
    }

    more(item, level, whole) {
      const element = document.createElement("li");
      element.setAttribute("role", "treeitem");
      element.setAttribute("aria-level", level);
      element.setAttribute("aria-posinset", whole);
      element.setAttribute("aria-setsize", whole);
      element.tabIndex = -1;
      element.dataset.more = item.key;
      element.className = "more";
      element.textContent = `Show more: ${number.format(item.rest)} are left`;
      return element;
    }

    part(name, text) {
      const element = document.createElement("span");
      element.className = name;
      if (text === null) element.classList.add("none");
      else element.textContent = text;
      return element;
    }

    element(item) { return document.getElementById(`branch-${item.key}`); }

    clicked(event) {
      const row = event.target.closest("[role=treeitem]");
      if (!row) return;
      if (row.dataset.more) { this.showMore(row); return; }
      const item = this.items.get(row.dataset.key);
      this.focus(item);
      if (event.target.closest(".twist:not(.none)")) this.open(item, !item.open);
      else this.toggle(item);
    }

    async showMore(row) {
      const item = this.items.get(row.dataset.more);
      const first = item.kids.length;
      await this.load(item);
      this.current = item.kids[first];
      this.draw();
      this.focus(this.current);
    }

    focus(item) {
      const before = this.current && this.element(this.current);
      if (before) before.tabIndex = -1;
      this.current = item;
      const element = this.element(item);
      element.tabIndex = 0;
      element.focus();
    }

    pressed(event) {
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      const row = event.target.closest("[role=treeitem]");
      if (!row) return;
      const rows = [...this.box.querySelectorAll("[role=treeitem]")];
      const at = rows.indexOf(row);
      const item = this.items.get(row.dataset.key);
      const go = (place) => this.focusRow(rows[place]);
      const does = {
        ArrowDown: () => go(Math.min(at + 1, rows.length - 1)),
        ArrowUp: () => go(Math.max(at - 1, 0)),
        Home: () => go(0),
        End: () => go(rows.length - 1),
        ArrowRight: () => { if (item && item.children) item.open ? go(at + 1) : this.open(item); },
        ArrowLeft: () => {
          if (item && item.open) this.open(item, false);
          else if (row.dataset.more) this.focus(this.items.get(row.dataset.more));
          else if (item.parent) this.focus(item.parent);
        },
        " ": () => (item ? this.toggle(item) : this.showMore(row)),
        Enter: () => (item ? this.toggle(item) : this.showMore(row)),
        "*": () => { for (const other of item && item.parent ? item.parent.kids : this.trunks) this.open(other); },
      }[event.key];
      if (does) {
        event.preventDefault();
        does();
      } else if (event.key.length === 1) {
        this.find(event.key, rows, at);
      }
    }

    focusRow(row) {
      if (!row) return;
      if (row.dataset.key) this.focus(this.items.get(row.dataset.key));
      else row.focus();
    }

    // Letters typed within a second go to the next branch whose name begins with them.
    find(letter, rows, at) {
      clearTimeout(this.forget);
      this.typed += letter.toLowerCase();
      this.forget = setTimeout(() => { this.typed = ""; }, 1000);
      const from = this.typed.length === 1 ? at + 1 : at;
      const found = [...rows.slice(from), ...rows.slice(0, from)].find((row) =>
        row.dataset.key && this.items.get(row.dataset.key).name.toLowerCase().startsWith(this.typed));
      this.focusRow(found);
    }
  }

  window.fermataTree = { Tree, counted };
})();
