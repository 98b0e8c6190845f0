// A selective scan between memory and chip. Memory is a table, an array a row and a token a column;
// a kernel fetches cells, and puts others back. Below, how many bytes have gone either way so far, and
// what the other way of doing it takes in all.

const STATES = [1, 2, 4, 8, 16]; // numbers of state that can be chosen
const ITEM = 4; // bytes of a number in float32
const ARRAYS = ["A", "delta", "x", "B", "C", "A_bar", "Bx", "h", "y"];
const SHOWN = { A: "A", delta: "Δ", x: "x", B: "B", C: "C", A_bar: "Ā", Bx: "B̄x", h: "h", y: "y" };
const BETWEEN = ["A_bar", "Bx", "h"]; // what nobody asked for
// What a kernel holds in registers from token to token, or makes and uses there.
const HELD = { discretise: [], recur: ["h"], "read out": [], fused: ["A_bar", "Bx", "h"] };
const WORDS = { three: "three kernels", fused: "one kernel" };

// `small` and `tall` are how high a row is that has a number a channel, or one a state of a channel.
const WIDE = {
  width: 960, left: 92, across: 62, top: 50, small: 18, tall: 34, gap: 7,
  chip: [600, 56, 320, 250], bars: [170, 640, 396, 30, 12], height: 476, titles: true,
};
const TALL = {
  width: 390, left: 52, across: 46, top: 34, small: 14, tall: 24, gap: 5,
  chip: [20, 262, 350, 136], bars: [14, 276, 438, 22, 26], height: 522, titles: false,
};

// ---- truth, under the names it has in mixlab.chapters.kernel_fusion.traces ------------------------
export const WAYS = {
  three: {
    discretise: [["A", "delta", "x", "B"], ["A_bar", "Bx"]],
    recur: [["A_bar", "Bx"], ["h"]],
    "read out": [["h", "C"], ["y"]],
  },
  fused: { fused: [["A", "delta", "x", "B", "C"], ["y"]] },
};

export function row_bytes(d_inner, d_state) {
  const numbers = (name) => {
    if (["delta", "x", "y"].includes(name)) return d_inner;
    return name === "B" || name === "C" ? d_state : d_inner * d_state;
  };
  return Object.fromEntries(ARRAYS.map((name) => [name, ITEM * numbers(name)]));
}

export function trace_traffic(way, tokens, d_inner, d_state) {
  const sizes = row_bytes(d_inner, d_state), steps = [];
  const of = (names) => Object.fromEntries(names.map((name) => [name, sizes[name]]));
  let moved = 0;
  for (const [kernel, [read, written]] of Object.entries(WAYS[way])) {
    for (let token = 0; token < tokens; token++) {
      const reads = of(read.filter((name) => name !== "A" || token === 0)), writes = of(written);
      moved += sum(Object.values(reads)) + sum(Object.values(writes));
      steps.push({ kernel, token, reads, writes, moved });
    }
  }
  return steps;
}
const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
const trace = ({ way, tokens, d_inner, d_state }) => trace_traffic(way, tokens, d_inner, d_state);
const other = (way) => (way === "three" ? "fused" : "three");
const grouped = (n) => n.toLocaleString("en-US");

// ---- the piece ------------------------------------------------------------------------------------
class Traffic {
  constructor(stage) {
    this.stage = stage;
    const layer = (name, ...parts) => stage.drawing.appendChild(svg("g", { class: name }, ...parts));
    this.heads = layer("heads", svg("text"), svg("text"));
    this.chip = layer("chip", svg("rect"), svg("text"));
    this.rows = Object.fromEntries(ARRAYS.map((name) => [name, this.row(name)]));
    stage.drawing.append(...Object.values(this.rows));
    this.held = Object.fromEntries(BETWEEN.map((name) =>
      [name, layer("held", svg("rect"), svg("text", {}, SHOWN[name]))]));
    // One node an array for life: what travels between its row and its register.
    this.loads = Object.fromEntries(ARRAYS.map((name) => {
      const node = svg("g", { class: "load" }, svg("rect"), svg("text", {}, SHOWN[name]));
      set(node, { "data-between": BETWEEN.includes(name) });
      return [name, stage.drawing.appendChild(node)];
    }));
    this.bars = Object.fromEntries(Object.keys(WAYS).map((way) => {
      const parts = [svg("rect", { class: "whole" }), svg("rect", { class: "sofar" }), svg("text", {}, WORDS[way]), svg("text")];
      return [way, layer("bar", ...parts)];
    }));
    const turn = () => stage.go({ way: other(stage.state.way), step: Infinity });
    const wider = (by) => () => {
      const at = STATES.indexOf(stage.state.d_state) + by;
      if (at in STATES) stage.go({ d_state: STATES[at] });
    };
    Object.assign(stage.keys, { e: turn, "shift+ArrowUp": wider(1), "shift+ArrowDown": wider(-1) });
    this.way = stage.button("three kernels, or one (E)", "", turn);
    this.fewer = stage.button("fewer numbers of state (shift and down)", "", wider(-1));
    this.more = stage.button("more numbers of state (shift and up)", "", wider(1));
    [this.fewer.textContent, this.more.textContent] = ["N −", "N +"];
  }

  // An array in memory: its name, and a cell a token.
  row(name) {
    const node = svg("g", { class: "row", role: "img" }, svg("text", {}, SHOWN[name]));
    set(node, { "data-between": BETWEEN.includes(name) });
    return this.stage.lights(focusable(node), { name });
  }

  lay(wide, { tokens }) {
    const frame = (this.frame = wide ? WIDE : TALL), { left, across, small, tall, gap, width } = frame;
    this.high = (name) => (name === "A" || BETWEEN.includes(name) ? tall : small);
    let y = frame.top;
    this.tops = {};
    for (const name of ARRAYS) {
      this.tops[name] = y;
      y += this.high(name) + gap;
    }
    for (const name of ARRAYS) {
      const node = this.rows[name], count = name === "A" ? 1 : tokens, high = this.high(name);
      while (node.children.length <= count) node.append(svg("rect"));
      while (node.children.length > count + 1) node.lastChild.remove();
      const [label, ...cells] = node.children;
      put(label, { x: left - 22, y: this.tops[name] + high / 2 });
      cells.forEach((cell, t) => set(cell, { x: left + t * across, y: this.tops[name], width: across - 6, height: high }));
    }
    const [x, top, across_, deep] = frame.chip;
    set(this.chip.firstChild, { x, y: top, width: across_, height: deep });
    put(this.chip.lastChild, { x: x + across_ / 2, y: top + (frame.titles ? 28 : 20) });
    const titles = [["memory", left + (tokens * across) / 2, frame.top - 20], ["chip", x + across_ / 2, top - 14]];
    titles.forEach(([words, at, y], n) => {
      this.heads.children[n].textContent = words;
      put(this.heads.children[n], { x: at, y });
      set(this.heads.children[n], { display: frame.titles || n === 0 ? null : "none" });
    });
    for (const name of ARRAYS) {
      const w = across - 6, h = Math.max(this.high(name), 18);
      for (const node of [this.loads[name], this.held[name]])
        if (node) set(node.firstChild, { x: -w / 2, y: -h / 2, width: w, height: h });
    }
    return [width, frame.height];
  }

  // Where an array's cell of a token lies, and where its register: what is read left, written right.
  cell(name, token) {
    const { left, across } = this.frame, t = name === "A" ? 0 : token;
    return { x: left + t * across + across / 2 - 3, y: this.tops[name] + this.high(name) / 2 };
  }

  register(way, kernel, name) {
    const [x, top, wide, deep] = this.frame.chip, [read, written] = WAYS[way][kernel];
    const writes = written.includes(name), column = writes ? written : read;
    const n = column.indexOf(name), head = this.frame.titles ? 46 : 30, pitch = (deep - head) / Math.max(5, column.length);
    const two = column.length > 3 && !this.frame.titles; // on a phone in two columns
    const line = two ? Math.floor(n / 2) : n, tall = two ? (deep - head) / 3 : this.frame.titles ? pitch : (deep - head) / 3;
    const aside = writes ? wide * (this.frame.titles ? 0.8 : 0.86) : wide * (two ? 0.11 + 0.2 * (n % 2) : 0.2);
    return { x: x + aside, y: top + head + tall * (line + 0.5) };
  }

  // The registers in the middle of the chip, which never see memory.
  inside(name) {
    const [x, top, wide, deep] = this.frame.chip, head = this.frame.titles ? 46 : 30;
    const tall = (deep - head) / 3;
    return { x: x + wide * (this.frame.titles ? 0.5 : 0.58), y: top + head + tall * (BETWEEN.indexOf(name) + 0.5) };
  }

  mark(state) {
    const { way, tokens, d_inner, d_state, step } = state, steps = trace(state), now = steps[step - 1];
    const used = Object.values(WAYS[way]).flat(2), made = new Set();
    for (const { writes, token } of steps.slice(0, step)) for (const name in writes) made.add(`${name} ${token}`);
    for (const [name, node] of Object.entries(this.rows)) {
      const given = ["A", "delta", "x", "B", "C"].includes(name);
      [...node.children].slice(1).forEach((cell, t) => {
        const moves = now && (name === "A" ? now.token === 0 : now.token === t) && (name in now.reads || name in now.writes);
        set(cell, { "data-there": given || made.has(`${name} ${t}`), "data-now": Boolean(moves) });
      });
      set(node, { "data-unused": !used.includes(name), "aria-label": this.tell(state, name) });
    }
    for (const [name, node] of Object.entries(this.held)) {
      set(node, { display: now && HELD[now.kernel].includes(name) ? null : "none" });
      put(node, this.inside(name));
    }
    this.chip.lastChild.textContent = now ? now.kernel : "nothing runs";
    const totals = Object.fromEntries(Object.keys(WAYS).map((one) => [one, trace({ ...state, way: one }).at(-1).moved]));
    const [x, long, top, high, gap] = this.frame.bars;
    Object.entries(this.bars).forEach(([one, node], n) => {
      const [whole, sofar, words, number] = node.children, y = top + n * (high + gap);
      const full = (totals[one] / totals.three) * long, done = one === way ? (now?.moved ?? 0) : 0;
      set(whole, { x, y, width: full, height: high });
      set(sofar, { x, y, width: (done / totals.three) * long, height: high });
      set(node, { "data-now": one === way });
      put(words, this.frame.titles ? { x: x - 80, y: y + high / 2 } : { x: x + 56, y: y - 11 });
      number.textContent = `${grouped(totals[one])} B`;
      put(number, { x: x + full + 44, y: y + high / 2 });
    });
    this.way.textContent = WORDS[other(way)];
    set(this.fewer, { disabled: d_state === STATES[0] });
    set(this.more, { disabled: d_state === STATES.at(-1) });
    set(this.stage.drawing, { "aria-label": `a scan of ${tokens} tokens, ${d_inner} channels and ${d_state} numbers of state, between memory and chip` });
  }

  // A step fetches first, then puts back. Anything but one step on is there at once.
  paint(before, now, t) {
    const same = ["way", "tokens", "d_inner", "d_state"].every((name) => before[name] === now[name]);
    const on = same && now.step === before.step + 1 ? t : 1, step = trace(now)[now.step - 1];
    const [fetched, stored] = [during(on, 0, 0.45), during(on, 0.5, 1)];
    for (const [name, node] of Object.entries(this.loads)) {
      const reads = Boolean(step) && WAYS[now.way][step.kernel][0].includes(name);
      const writes = Boolean(step) && name in step.writes, stays = reads && !(name in step.reads);
      set(node, { display: reads || writes ? null : "none" });
      if (!reads && !writes) continue;
      const cell = this.cell(name, step.token), chip = this.register(now.way, step.kernel, name);
      const part = stays ? 1 : reads ? fetched : 1 - stored;
      put(node, { x: mix(cell.x, chip.x, part), y: mix(cell.y, chip.y, part) });
      node.style.opacity = writes && on < 0.45 ? 0 : 1;
    }
  }

  shine(_, lit) {
    for (const nodes of [this.rows, this.loads])
      for (const [name, node] of Object.entries(nodes)) set(node, { "data-lit": lit?.name === name });
  }

  // What becomes of an array in the whole scan.
  tell(state, name) {
    const steps = trace(state), all = (what) => sum(steps.map((step) => step[what][name] ?? 0));
    const by = (n) => Object.entries(WAYS[state.way]).flatMap(([kernel, sides]) => (sides[n].includes(name) ? [kernel] : []));
    const [readers, writers] = [by(0), by(1)];
    if (!readers.length && !writers.length) return `${SHOWN[name]} never leaves the chip.`;
    const parts = [];
    if (writers.length) parts.push(`written by ${writers[0]}, ${grouped(all("writes"))} bytes`);
    if (readers.length) parts.push(`read by ${readers[0]}, ${grouped(all("reads"))} bytes`);
    return `${SHOWN[name]} is ${parts.join(", and ")}.`;
  }

  say(state, lit) {
    if (lit) return this.tell(state, lit.name);
    const steps = trace(state), { way, step } = state, total = steps.at(-1).moved;
    const rest = trace({ ...state, way: other(way) }).at(-1).moved;
    const whole = `${WORDS[way]} ${way === "three" ? "move" : "moves"} ${grouped(total)} bytes in all`;
    const against = `${WORDS[other(way)]} would move ${grouped(rest)}.`;
    if (!step) return `Nothing has moved yet. ${whole[0].toUpperCase()}${whole.slice(1)}; ${against}`;
    const { kernel, token, reads, writes, moved } = steps[step - 1];
    const names = (side) => Object.keys(side).map((name) => SHOWN[name]).join(", ");
    const here = `Token ${token}, ${kernel}: reads ${names(reads)}, writes ${names(writes)}.`;
    return `${here} ${grouped(moved)} of ${grouped(total)} bytes have moved; ${against}`;
  }
}

const traffic = {
  name: "traffic",
  rest: { way: "three", tokens: 6, d_inner: 64, d_state: 4, step: Infinity },
  last: ({ way, tokens }) => tokens * Object.keys(WAYS[way]).length,
  settle: ({ step, ...state }) => ({ ...state, step: clamp(step, 0, traffic.last(state)) }),
  build: (stage) => new Traffic(stage),
};
export default { render: (context) => void new Stage(traffic, context) };
