// A scan of a few items. Left, who reads whom in which round; right, the items that each place holds
// by now: in a round a copy of all that one place holds travels into the row of the one that reads it.

import { replay, trace_scan } from "./scan_trace.js";

const NAMES = { sequential: "Loop", hillis_steele: "Hillis–Steele", blelloch: "Blelloch", chunked: "Chunks" };
const ORDER = Object.keys(NAMES), MOST_ITEMS = 16, MOST_LETTERS = 60, MOST_READS = 64;

// The tree is as wide as `tree`, the items as `cells`; a place's row is at most `row` pixels high.
const WIDE = {
  width: 960, top: 62, left: 106, tree: 330, cells: 384, between: 64, row: 48, high: 392, ball: 16, names: 84,
  place: "place ", equals: "= ", titles: ["round", "what each place holds; dark is final"],
};
const TALL = {
  width: 390, top: 56, left: 30, tree: 108, cells: 184, between: 20, row: 36, high: 430, ball: 6, names: 22,
  place: "", equals: "", titles: ["round", "each place holds"],
};

// ---- truth: scan_trace has the scans ------------------------------------------------------------------
// What is scanned: numbers, if the text is nothing else, and otherwise its letters.
export function itemsOf(text) {
  const parts = text.trim().split(/\s+/), whole = parts.every((part) => /^\d{1,2}$/.test(part));
  return (whole ? parts.map(Number) : [...text.replace(/\s/g, "")]).slice(0, MOST_ITEMS);
}
const add = (earlier, later) => earlier + later;
const traceOf = ({ text, method, chunk }) => trace_scan(method, Math.max(1, itemsOf(text).length), chunk);

// Where the joins were written that a place's value is made of, by round; found from the end.
export function made_of({ steps }, place, step) {
  const needed = new Set([place]), written = [];
  for (const { earlier, later } of steps.slice(0, step).reverse()) {
    const used = [...later.keys()].filter((n) => needed.has(later[n]));
    written.unshift(used.map((n) => later[n]));
    used.forEach((n) => needed.add(earlier[n]));
  }
  return written;
}

// ---- place --------------------------------------------------------------------------------------------
const rowAt = (frame, place) => frame.top + (place + 0.5) * frame.pitch;
const roundAt = (frame, round) => frame.left + frame.gap * round;
const cellAt = (frame, item) => frame.right + (item + 0.5) * frame.cell;

// Where a place's copy of an item is: in its row once it is held, and until then in the row of the
// place that it will be copied from.
export function spot(place, item, { step }, { frame, trace }) {
  const { coverage, steps } = trace;
  const here = item >= coverage[step][place];
  const round = coverage.findIndex((row) => item >= row[place]); // in which it comes
  const from = here ? place : steps[round - 1].earlier[steps[round - 1].later.indexOf(place)];
  return { x: cellAt(frame, item), y: rowAt(frame, from), shown: Number(here) };
}

// A read as a line, level at both ends.
function line(frame, { round, from, to }) {
  const [x, end] = [round - 1, round].map((n) => roundAt(frame, n));
  const [y, below] = [from, to].map((place) => rowAt(frame, place));
  return `M${x} ${y}C${mix(x, end, 0.6)} ${y} ${mix(x, end, 0.4)} ${below} ${end} ${below}`;
}
const shown = (node, is) => set(node, { display: is ? null : "none" });

// ---- the piece ----------------------------------------------------------------------------------------
class Scan {
  constructor(stage) {
    this.stage = stage;
    const layer = (name) => stage.drawing.appendChild(svg("g", { class: name }));
    const many = (most, group, make) => Array.from({ length: most }, (_, n) => group.appendChild(make(n)));
    this.rows = many(MOST_ITEMS, layer("rows"), (place) =>
      stage.lights(focusable(svg("g", { class: "row", role: "img" }, svg("rect"), svg("text"))), { place }));
    const lines = layer("lines");
    this.ghosts = lines.appendChild(svg("path", { class: "ghost" }));
    this.lives = lines.appendChild(svg("path", { class: "life" }));
    this.reads = many(MOST_READS, lines, () => svg("path", { class: "read", pathLength: 1 }));
    this.balls = many(MOST_READS + MOST_ITEMS, layer("balls"), () =>
      svg("g", { class: "ball" }, svg("circle"), svg("text")));
    const heads = layer("heads");
    this.rounds = many(MOST_ITEMS, heads, (n) => svg("text", { class: "round" }, String(n)));
    this.titles = [0, 1].map(() => heads.appendChild(svg("text")));
    const cells = layer("cells"); // one node for each item at each place, for life
    this.tiles = Array.from({ length: MOST_ITEMS }, (_, place) =>
      many(place + 1, cells, () => svg("g", { class: "tile" }, svg("rect"), svg("text"))));
    this.sums = many(MOST_ITEMS, layer("sums"), () => svg("text", { class: "sum" }));
    this.cuts = layer("cuts").appendChild(svg("path"));
    this.grip = stage.drawing.appendChild(svg("g", { class: "grip" }, svg("rect"), svg("text")));
    const value = () => stage.state.chunk, change = (chunk) => this.again({ chunk });
    const at = (_, y) => clamp(Math.round((y - this.frame.top) / this.frame.pitch), 1, MOST_ITEMS);
    stage.handle(this.grip, "chunk size C", { value, change, at });
    const [larger, smaller] = [1, -1].map((by) => () => change(value() + by));
    const next = () => this.again({ method: ORDER[(ORDER.indexOf(stage.state.method) + 1) % ORDER.length] });
    Object.assign(stage.keys, { m: next, "shift+ArrowUp": larger, "shift+ArrowDown": smaller });
    this.buttons = ORDER.map((method) => {
      const button = focusable(html("button", { title: "method (M: the next one)" }, NAMES[method]));
      button.addEventListener("click", () => this.again({ method }));
      return stage.bar.appendChild(button);
    });
    this.field = stage.field("your own letters, or numbers", MOST_LETTERS, (text) => this.again({ text }));
  }

  // Another scan rests on its last round.
  again(change) {
    this.stage.stop();
    this.stage.go({ ...change, step: Infinity });
  }

  lay(wide, state) {
    const trace = traceOf(state), frame = { ...(wide ? WIDE : TALL) };
    this.items = itemsOf(state.text);
    this.values = replay(trace, add, this.items);
    this.counts = typeof this.items[0] === "number";
    const n = trace.length;
    const pitch = Math.min(frame.row, frame.high / n), gap = frame.tree / Math.max(4, trace.depth);
    const cell = Math.min(pitch, frame.cells / Math.max(6, n));
    const right = frame.left + frame.tree + frame.between;
    Object.assign(this, { trace, frame: { ...frame, pitch, gap, cell, right } });
    return [frame.width, frame.top + n * pitch + 8];
  }

  mark(state) {
    const { trace } = this, { step, method, chunk } = state;
    this.edges = trace.steps.flatMap(({ earlier, later }, n) =>
      later.map((to, k) => ({ round: n + 1, from: earlier[k], to })));
    this.markTree(step);
    this.markRows(step);
    this.markChunks(method === "chunked", chunk);
    this.buttons.forEach((button, n) => set(button, { "aria-pressed": String(ORDER[n] === method) }));
    set(this.stage.drawing, { "aria-label": `${NAMES[method]} of ${trace.length} items` });
    if (this.field.value !== state.text) this.field.value = state.text;
  }

  markTree(step) {
    const { frame, trace, items, edges, values } = this;
    const roomy = this.counts && frame.ball > 10 && Math.min(frame.pitch, frame.gap) > 34;
    const joins = items.map((_, to) => ({ round: 0, to })).concat(edges);
    const kind = ({ round, to }) =>
      round > step ? "later" : round && round === step ? "now" : trace.coverage[round][to] ? "part" : "final";
    this.reads.forEach((node, n) => {
      if (edges[n]) set(node, { d: line(frame, edges[n]), "data-kind": kind(edges[n]) });
      shown(node, edges[n]);
    });
    this.balls.forEach((node, n) => {
      if (!shown(node, joins[n]) || !joins[n]) return;
      const { round, to } = joins[n];
      set(node, { "data-kind": kind(joins[n]) });
      set(node.firstChild, { r: roomy ? frame.ball : Math.min(7, frame.pitch / 4) });
      node.lastChild.textContent = roomy ? values[round][to] : "";
      put(node, { x: roundAt(frame, round), y: rowAt(frame, to) });
    });
    const end = roundAt(frame, trace.depth);
    set(this.ghosts, { d: edges.map((edge) => line(frame, edge)).join("") });
    set(this.lives, { d: items.map((_, place) => `M${frame.left} ${rowAt(frame, place)}H${end}`).join("") });
    const roomFor = (n) => frame.gap > 26 || (n === trace.depth && (n - step) * frame.gap > 26);
    this.rounds.forEach((node, n) => {
      set(shown(node, n && n <= trace.depth && (n === step || roomFor(n))), { "data-now": n === step });
      put(node, { x: roundAt(frame, n), y: frame.top - 12 });
    });
    const middles = [(frame.left + end) / 2, cellAt(frame, trace.length / 2 - 0.5)];
    this.titles.forEach((node, n) => {
      node.textContent = frame.titles[n];
      put(node, { x: middles[n], y: frame.top - 38 });
    });
  }

  markRows(step) {
    const { frame, trace, items, values } = this;
    const [before, now] = [trace.coverage[Math.max(0, step - 1)], trace.coverage[step]];
    const [wide, high] = [frame.cell - 3, Math.min(frame.pitch - 4, 1.4 * frame.cell)];
    this.rows.forEach((node, place) => {
      set(shown(node, place < items.length), { "aria-label": `place ${place}` });
      const top = frame.top + place * frame.pitch;
      set(node.firstChild, { x: 0, y: top, width: frame.width, height: frame.pitch });
      node.lastChild.textContent = frame.place + place;
      put(node.lastChild, { x: frame.names, y: rowAt(frame, place) });
      const sum = shown(this.sums[place], place < items.length && this.counts);
      sum.textContent = frame.equals + values[step][place];
      put(sum, { x: cellAt(frame, trace.length - 0.4), y: rowAt(frame, place) });
      this.tiles[place].forEach((tile, item) => {
        const kind = item < before[place] ? "now" : now[place] ? "part" : "final";
        set(shown(tile, place < items.length), { "data-kind": kind });
        set(tile.firstChild, { x: -wide / 2, y: -high / 2, width: wide, height: high });
        tile.lastChild.style.fontSize = `${Math.min(20, 0.72 * frame.cell)}px`;
        tile.lastChild.textContent = items[item];
      });
    });
  }

  markChunks(cut, chunk) {
    const { frame, trace } = this, borders = cut ? Math.ceil(trace.length / chunk) - 1 : 0;
    const border = (n) => frame.top + Math.min((n + 1) * chunk, trace.length) * frame.pitch;
    const lines = Array.from({ length: borders }, (_, n) => `M8 ${border(n)}H${frame.width - 8}`);
    set(this.cuts, { d: lines.join("") });
    const range = { "aria-valuenow": chunk, "aria-valuemin": 1, "aria-valuemax": MOST_ITEMS };
    put(set(shown(this.grip, cut), range), { x: cellAt(frame, trace.length - 0.5) - 40, y: border(0) });
    this.grip.lastChild.textContent = `C = ${chunk}`;
  }

  paint(before, now, t) {
    const { items, edges } = this;
    const same = before.text === now.text && before.method === now.method && before.chunk === now.chunk;
    const old = same ? before : now; // another scan is there at once
    this.reads.slice(0, edges.length).forEach((node, n) => {
      const [was, is] = [old, now].map(({ step }) => Number(step >= edges[n].round));
      set(node, { "stroke-dasharray": `${mix(was, is, during(t, 0, 0.5))} 2` });
    });
    this.tiles.slice(0, items.length).forEach((row, place) =>
      row.forEach((tile, item) => {
        const [a, b] = [old, now].map((state) => spot(place, item, state, this));
        put(tile, { x: b.x, y: mix(a.y, b.y, during(t, 0.15, 0.85)) });
        tile.style.opacity = mix(a.shown, b.shown, a.shown ? during(t, 0.7, 0.9) : during(t, 0.1, 0.2));
      }));
  }

  // With a place the items that it holds, and all joins that its value is made of.
  shine({ step }, lit) {
    set(this.stage.drawing, { "data-lit": lit !== null });
    const made = lit && made_of(this.trace, lit.place, step);
    const shining = (node, is) => node && set(node, { "data-lit": Boolean(lit && is) });
    this.items.forEach((_, to) => shining(this.balls[to], to <= lit?.place));
    this.edges.forEach(({ round, to }, n) => {
      for (const node of [this.reads[n], this.balls[this.items.length + n]])
        shining(node, made?.[round - 1]?.includes(to));
    });
    this.rows.forEach((row, place) =>
      [row, this.sums[place], ...this.tiles[place]].forEach((node) => shining(node, place === lit?.place)));
  }

  say({ step, method, chunk }, lit) {
    const { trace, items, values } = this, { work, depth, steps, coverage } = trace;
    if (!items.length) return "Type some letters, or numbers.";
    const count = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;
    if (lit) {
      const { place } = lit, start = coverage[step][place];
      const held = start === place ? `item ${place}` : `items ${start} to ${place}`;
      const joins = count(made_of(trace, place, step).flat().length, "join");
      return `After round ${step} place ${place} holds ${held}: ${values[step][place]}, made by ${joins}.`;
    }
    const name = NAMES[method] + (method === "chunked" ? ` of ${chunk}` : "");
    const cost = `${name}: ${count(work, "join")} in ${count(depth, "round")}.`;
    const final = `${coverage[step].filter((start) => start === 0).length} of ${items.length} places are final`;
    if (!step) return `Each place holds its own item; ${final}. ${cost}`;
    const { earlier, later } = steps[step - 1];
    const pairs = later.map((to, n) => `${to} reads ${earlier[n]}`);
    const few = pairs.length > 4 ? [...pairs.slice(0, 2), "…", pairs.at(-1)] : pairs;
    return `Round ${step}: place ${few.join(", ")}; ${final}. ${cost}`;
  }
}

const scan = {
  name: "scan",
  rest: { text: "3 1 4 1 5 9 2 6", method: "blelloch", chunk: 3, step: Infinity },
  last: (state) => traceOf(state).depth,
  settle({ text, method, chunk, step }) {
    const state = { text, method: ORDER.includes(method) ? method : "blelloch", chunk: clamp(chunk, 1, MOST_ITEMS) };
    return { ...state, step: clamp(step, 0, scan.last(state)) };
  },
  build: (stage) => new Scan(stage),
};
export default { render: (context) => void new Stage(scan, context) };
