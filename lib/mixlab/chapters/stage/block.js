// One block of a transformer: seven changes turn 2017's form into Mistral's, and into Mixtral's. A part
// is one node for life: norms leave the stream, the clock splits in two, key heads move together.

const LAST = 7, SHORTEST = 1024, LONGEST = 131072; // changes, and tokens of a text
const STREAM = 26, BRANCH = 34, PLUS = 354, AFTER = 420, BEFORE = 60; // pixels in each half
const ROWS = { q: 96, k: 136, v: 176 }, HEADS = 8, CELL = 20, PITCH = 22, FIRST = 97, DIAL = 290;
const GRID = 6, TILE = 13, SHOWN_WINDOW = 3, CARDS = 8, DEEP = 282; // of the table; a half's depth
const WIDE = { width: 960, halves: [[0, 0], [490, 0]], ledger: 300, row: 32 };
const TALL = { width: 480, halves: [[8, 0], [8, 284]], ledger: 590, row: 30 };
const RELU = "M-11 5H0L11-8", SILU = "M-12 3C-5 7-2 5 0 2S7-4 12-9";

// ---- truth, under the names it has in mixlab.chapters.transformer_to_mistral.forms -------------------
export const CHANGES = ["pre-norm", "RMSNorm", "RoPE", "grouped queries", "SwiGLU", "window", "experts"];
export const MIXTRAL = {
  dim: 4096, n_heads: 32, n_kv_heads: 8, head_dim: 128, hidden_dim: 14336, window: 4096,
  n_experts: 8, experts_per_token: 2,
};
const done = (form, change) => CHANGES.indexOf(change) < form;
const windowed = (form) => CHANGES[form - 1] === "window"; // the next change gives it up

export function n_keys(form, { window }, length) {
  return windowed(form) ? Math.min(length, window) : length;
}

export function costs(form, sizes, length) {
  const { dim, n_heads, n_kv_heads, head_dim, hidden_dim, n_experts, experts_per_token } = sizes;
  const width = n_heads * head_dim;
  const shared = done(form, "grouped queries") ? n_kv_heads * head_dim : width;
  const norms = done(form, "RMSNorm") ? 2 * dim : 4 * dim;
  const attention = 2 * dim * (width + shared);
  const one = done(form, "SwiGLU") ? 3 * dim * hidden_dim : 8 * dim * dim + 5 * dim;
  const [stored, run, router] = done(form, "experts") ? [n_experts, experts_per_token, dim * n_experts] : [1, 1, 0];
  const [parameters, active] = [stored, run].map((experts) => attention + norms + router + experts * one);
  const keys = n_keys(form, sizes, length);
  return { parameters, active, cache_bytes: 4 * shared * keys, work: active + 2 * width * keys };
}

// ---- place -------------------------------------------------------------------------------------------
// A form as numbers between 0 and 1, a change each, so that any two forms blend.
const shapeOf = ({ step }) => CHANGES.map((_, n) => Number(n < step));

// A half's points, for a form on its way.
const normAt = ([first]) => ({ x: mix(AFTER, BRANCH, first), y: mix(STREAM, BEFORE, first) });
const dialAt = (row, [, , turned]) => ({ x: mix(14, DIAL, turned), y: mix(STREAM, ROWS[row], turned) });
function headAt(row, n, [, , , grouped]) {
  const together = row === "q" ? n : 4 * Math.floor(n / 4) + 1.5; // over the middle of its group
  return { x: FIRST + PITCH * mix(n, together, grouped), y: ROWS[row] };
}
function matricesAt([, , , , gated]) {
  const [tall, y] = [mix(100, 88, gated), mix(126, 98, gated)];
  return { tall, y, other: mix(y, 200, gated) };
}
const matrix = (x, y, left, right) =>
  `M${x} ${y - left / 2}L${x + 50} ${y - right / 2}V${y + right / 2}L${x} ${y + left / 2}Z`;

// ---- words -------------------------------------------------------------------------------------------
const number = (n) => n.toLocaleString("en");
const mebibytes = (n) => `${number(n / 2 ** 20)} MiB`;
const million = (n) => `${number(Math.round(n / 1e6))} million`;
const MEASURES = [["parameters", number], ["cache_bytes", mebibytes], ["work", million]];
const TOLD = [
  "2017: each token sees all earlier ones, a norm follows each sum, and positions are added once.",
  "Pre-norm: the norms leave the stream and stand before the parts.",
  "RMSNorm: no mean is taken off, and the offsets go.",
  "RoPE: the clock isn't added to the stream any more; it turns queries and keys in every block.",
  "Grouped queries: four query heads share a key head and a value head.",
  "SwiGLU: a third matrix, and a product of two views.",
  "Window: a token sees 4,096. This is Mistral 7B's block.",
  "Experts: eight feed-forward layers, two run, and the window is gone. This is Mixtral 8x7B's block.",
];

function changed(form, length) {
  const [before, now] = [form - 1, form].map((n) => costs(n, MIXTRAL, length));
  const names = { parameters: "parameters", cache_bytes: "cache", work: "work for the next token" };
  const told = MEASURES.filter(([name]) => before[name] !== now[name]).map(([name, words]) => {
    return `${names[name]} ${words(before[name])} → ${words(now[name])}`;
  });
  return told.length ? `${told.join("; ")}.` : "It costs nothing and saves nothing.";
}

// ---- the piece ---------------------------------------------------------------------------------------
class Block {
  constructor(stage) {
    this.stage = stage;
    const layer = (name) => stage.drawing.appendChild(svg("g", { class: name }));
    this.link = layer("wires").appendChild(svg("path")); // from half to half, where they stand in a column
    this.halves = [0, 1].map(() => layer("half"));
    const into = (half, tag, attributes, ...children) =>
      this.halves[half].appendChild(svg(tag, attributes, ...children));
    const wire = (half, d) => into(half, "path", { class: "wire", d });
    const part = (half, name, title, ...children) => {
      const node = into(half, "g", { class: `part ${name}`, "data-part": name, role: "img", "aria-label": title }, ...children);
      return stage.lights(focusable(node, {}), { part: name });
    };
    const text = (words, attributes) => svg("text", attributes, words);
    for (const half of [0, 1]) {
      into(half, "path", { class: "stream", d: `M0 ${STREAM}H470` });
      into(half, "circle", { class: "plus", cx: PLUS, cy: STREAM, r: 13 });
      into(half, "path", { class: "sign", d: `M${PLUS - 7} ${STREAM}h14m-7-7v14` });
    }
    wire(0, `M${BRANCH} ${STREAM}V${ROWS.v}H68M${BRANCH} ${ROWS.q}H68M${BRANCH} ${ROWS.k}H68`);
    wire(0, `M264 ${ROWS.q}H312M264 ${ROWS.k}H312M264 ${ROWS.v}H${PLUS}V164M${PLUS} 76V40`);
    this.cards = Array.from({ length: CARDS - 1 }, () => into(1, "rect", { class: "card" }));
    this.branch = wire(1, "");
    this.inner = wire(1, "");
    this.norms = [0, 1].map((half) => part(half, "norm", "norm", svg("rect"), text("norm")));
    this.heads = Object.fromEntries(["q", "k", "v"].map((row) => {
      const cells = Array.from({ length: HEADS }, () => svg("rect", { class: "head" }));
      const letter = text(row, { x: 79, y: ROWS[row], class: "letter" });
      part(0, row === "q" ? "queries" : "keys", `heads of ${row}`, letter, ...cells);
      return [row, cells];
    }));
    this.dials = ["q", "k"].map(() =>
      part(0, "position", "positions", svg("circle", { r: 12 }), svg("path", { d: "M0 0V-8M0 0L6 3" })));
    this.grid = Array.from({ length: GRID * GRID }, (_, n) => svg("rect", {
      x: 312 + (TILE + 1) * (n % GRID), y: 78 + (TILE + 1) * Math.floor(n / GRID), width: TILE, height: TILE, rx: 2 }));
    part(0, "table", "who sees whom", ...this.grid);
    this.captions = [[174, 216, 0], [356, 216, 0], [190, 272, 1]].map(([x, y, half]) => into(half, "text", { x, y }));
    this.matrices = ["w1", "w3", "w2"].map((name) => [svg("path", { class: "matrix" }), text(name)]);
    this.curve = svg("g", {}, svg("circle", { r: 19 }), svg("path", { d: RELU }), svg("path", { d: SILU }));
    this.times = svg("g", {}, svg("circle", { r: 13 }), svg("path", { d: "M-5-5L5 5M5-5L-5 5" }));
    part(1, "layer", "feed-forward layer", ...this.matrices.flat(), this.curve, this.times);
    this.router = part(1, "router", "router", svg("rect"), text("router"));
    const ledger = layer("ledger");
    this.bars = ["parameters", "cache", "work"].map((name) => {
      const nodes = [text(name, { class: "name" }), svg("rect"), svg("path"), text("", { class: "value" })];
      ledger.append(...nodes);
      return nodes;
    });
    this.track = ledger.appendChild(svg("path", { class: "track" }));
    this.grip = ledger.appendChild(svg("g", { class: "grip" }, svg("rect"), svg("text")));
    stage.handle(this.grip, "tokens of the text, as a power of two", {
      value: () => Math.log2(stage.state.length),
      change: (power) => stage.go({ length: 2 ** power }),
      at: (x) => Math.log2(SHORTEST) + Math.round((7 * clamp(x - 70, 0, this.run)) / this.run),
    });
    const longer = (by) => () => stage.go({ length: stage.state.length * by });
    Object.assign(stage.keys, { "shift+ArrowUp": longer(2), "shift+ArrowDown": longer(0.5) });
  }

  lay(wide) {
    const frame = wide ? WIDE : TALL;
    this.frame = frame;
    this.run = frame.width - 140; // of the grip
    this.halves.forEach((half, n) => half.setAttribute("transform", `translate(${frame.halves[n]})`));
    const [[x, y], [next, below]] = frame.halves, turn = below - 14;
    const around = below ? `V${turn}H${next}V${below + STREAM}h9` : `H${next + 9}`;
    set(this.link, { d: `M${x + 460} ${y + STREAM}h10${around}` });
    this.bars.forEach(([name, bar, ghost, value], n) => {
      const middle = frame.ledger + frame.row * (n + 1.5);
      set(name, { x: 0, y: middle });
      set(bar, { x: 110, y: middle - 9, height: 18 });
      set(ghost, { "data-y": middle });
      set(value, { x: frame.width, y: middle });
    });
    set(this.track, { d: `M70 ${frame.ledger + 14}h${this.run}` });
    return [frame.width, frame.ledger + 4 * frame.row];
  }

  mark({ step, length }) {
    const has = (name) => done(step, name);
    const sees = (i, j) => i >= j && (!windowed(step) || i - j < SHOWN_WINDOW);
    this.grid.forEach((cell, n) => {
      const [i, j] = [Math.floor(n / GRID), n % GRID];
      set(cell, { "data-kind": sees(i, j) ? "seen" : i >= j ? "gone" : "later" });
    });
    for (const node of this.norms) {
      const kind = has("RMSNorm") ? "RMS" : "Layer";
      set(node, { "data-rms": has("RMSNorm"), "aria-label": `${kind}Norm` }).lastChild.textContent = kind;
    }
    const { n_heads, n_kv_heads, hidden_dim, dim } = MIXTRAL;
    this.captions[0].textContent = `${n_heads} query heads, ${has("grouped queries") ? n_kv_heads : n_heads} key heads`;
    this.captions[1].textContent = windowed(step) ? "a window" : "all earlier";
    const wide = has("SwiGLU") ? hidden_dim : 4 * dim;
    this.captions[2].textContent = has("experts") ? "eight experts, two run" : `${number(wide)} wide`;
    this.matrices[1].forEach((node) => set(node, { "data-absent": !has("SwiGLU") }));
    set(this.times, { "data-absent": !has("SwiGLU") });
    set(this.router, { "data-absent": !has("experts") });
    [has("SwiGLU"), !has("SwiGLU")].forEach((absent, n) => set(this.curve.children[n + 1], { "data-absent": absent }));
    this.cards.forEach((card, n) => set(card, { "data-absent": !has("experts"), "data-run": n === CARDS - 4 }));
    set(this.stage.drawing, { "data-form": step, "aria-label": `a block after ${step} changes` });
    set(this.grip, { "aria-valuenow": Math.log2(length), "aria-valuemin": 10, "aria-valuemax": 17, "aria-valuetext": `${number(length)} tokens` });
    this.grip.lastChild.textContent = `${number(length)} tokens`;
    const now = costs(step, MIXTRAL, length);
    this.bars.forEach((nodes, n) => (nodes[3].textContent = MEASURES[n][1](now[MEASURES[n][0]])));
  }

  paint(before, now, t) {
    const part = during(t, 0.05, 0.9);
    const shape = shapeOf(now).map((is, n) => mix(shapeOf(before)[n], is, part));
    for (const node of this.norms) put(node, normAt(shape));
    this.dials.forEach((node, n) => put(node, dialAt("qk"[n], shape)));
    for (const [row, cells] of Object.entries(this.heads)) {
      cells.forEach((cell, n) => put(cell, headAt(row, n, shape)));
    }
    const { tall, y, other } = matricesAt(shape), gated = shape[4], experts = shape[6];
    const drawn = [[80, y, 44, tall], [80, other, 44, tall], [252, y, tall, 44]];
    this.matrices.forEach(([path, name], n) => {
      const [x, middle, left, right] = drawn[n];
      set(path, { d: matrix(x, middle, left, right) });
      set(name, { x: x + 25, y: middle });
    });
    put(this.curve, { x: 168, y });
    put(this.times, { x: 218, y });
    put(this.router, { x: BRANCH, y: BEFORE + 30 });
    const low = mix(y, other, gated);
    set(this.branch, { d: `M${BRANCH} ${STREAM}V${low}H80M${BRANCH} ${y}H80` });
    set(this.inner, { d: `M130 ${y}H252M302 ${y}H${PLUS}V40${gated > 0.5 ? `M130 ${other}H218V${y}` : ""}` });
    this.cards.forEach((card, n) => {
      const away = (CARDS - 1 - n) * experts; // the farthest is drawn first
      set(card, { x: 70 + 5 * away, y: 46 + 2 * away, width: 240, height: DEEP - 80, rx: 8 });
    });
    const place = 70 + (this.run * (Math.log2(now.length) - 10)) / 7;
    put(this.grip, { x: place, y: this.frame.ledger + 14 });
    const all = [...Array(LAST + 1).keys()].map((form) => costs(form, MIXTRAL, now.length));
    const [old, young] = [before, now].map(({ step }) => costs(step, MIXTRAL, now.length));
    const span = this.frame.width - 270;
    this.bars.forEach(([, bar, ghost], n) => {
      const [name] = MEASURES[n], most = Math.max(...all.map((each) => each[name]));
      set(bar, { width: (span * mix(old[name], young[name], part)) / most });
      set(ghost, { d: `M${110 + (span * all[0][name]) / most} ${ghost.dataset.y - 12}v24` });
    });
  }

  shine(_, lit) {
    set(this.stage.drawing, { "data-lit": lit !== null });
    for (const node of this.stage.drawing.querySelectorAll(".part")) set(node, { "data-lit": lit?.part === node.dataset.part });
  }

  say({ step, length }, lit) {
    if (!lit) return step ? `${TOLD[step]} ${upper(changed(step, length))}` : `${TOLD[0]} The marks on the bars stay at its costs.`;
    const { dim, n_heads, n_kv_heads, head_dim, hidden_dim, n_experts } = MIXTRAL;
    const shared = done(step, "grouped queries") ? n_kv_heads : n_heads, one = dim * head_dim;
    const matrices = done(step, "SwiGLU") ? 3 * dim * hidden_dim : 8 * dim * dim;
    return {
      norm: done(step, "RMSNorm") ? `RMSNorm: ${number(dim)} factors.` : `LayerNorm: ${number(dim)} factors and ${number(dim)} offsets.`,
      position: done(step, "RoPE") ? "RoPE: queries and keys are turned by their position, in every block." : "Positions: the points of clock hands, added to the stream once, before the first block.",
      queries: `${n_heads} query heads of ${head_dim} numbers: ${number(one * n_heads)} parameters, and as many that mix what the heads bring.`,
      keys: `${shared} key heads and ${shared} value heads: ${number(one * shared)} parameters each, ${(4 * shared * head_dim) / 1024} KiB of cache a token.`,
      table: `The next token of ${number(length)} sees ${number(n_keys(step, MIXTRAL, length))}. The table shows six tokens, and a window of three.`,
      layer: `A feed-forward layer: ${number(matrices)} parameters in ${done(step, "SwiGLU") ? "three" : "two"} matrices.`,
      router: `The router: ${number(dim * n_experts)} parameters, a score for each of ${n_experts} experts.`,
    }[lit.part];
  }
}
const upper = (text) => text[0].toUpperCase() + text.slice(1);

const block = {
  name: "block",
  rest: { step: 6, length: 32768 },
  last: () => LAST,
  settle: ({ step, length }) => ({
    step: clamp(step, 0, LAST),
    length: 2 ** Math.round(Math.log2(clamp(length, SHORTEST, LONGEST))),
  }),
  build: (stage) => new Block(stage),
};
export default { render: (context) => void new Stage(block, context) };
