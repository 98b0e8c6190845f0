// A stack of eight layers that the reader chooses, and a text that grows: what each layer keeps of it,
// what the weights take, what one more token reads, and what has become of the text's first word.

const N_LAYERS = 8, FIRST = 8, MOST = 18; // layers, and powers of two tokens
const MIXERS = { f: "all", w: "window", s: "scan" }, FEEDS = { d: "dense", e: "experts", n: "–" };
const LEAST_BYTES = 2 ** 18, MOST_BYTES = 2 ** 30; // the axis
const TICKS = [18, 22, 26, 30].map((power) => 2 ** power);

const WIDE = {
  width: 960, height: 440, top: 80, pitch: 38, high: 32, mixer: [76, 106], feed: [190, 100], left: 312, bar: 520,
  sums: [{ x: 200, y: 428 }, { x: 480, y: 428 }, { x: 760, y: 428 }], word: { x: 76, y: 22 }, now: 884, number: true,
};
const TALL = {
  width: 390, height: 560, top: 96, pitch: 42, high: 34, mixer: [8, 86], feed: [98, 86], left: 192, bar: 128,
  sums: [{ x: 195, y: 484 }, { x: 195, y: 512 }, { x: 195, y: 540 }], word: { x: 36, y: 30 }, now: 354, number: false,
};

// ---- truth, under the names it has in mixlab.chapters.capstone.memory ----------------------------------
const SHAPE = { dim: 4096, n_heads: 32, n_kv_heads: 8, head_dim: 128, window: 4096, hidden_dim: 14336,
  n_experts: 8, experts_per_token: 2, d_inner: 8192, d_state: 16, d_conv: 4, dt_rank: 256 };
export const LAYERS = {
  Mistral: ["wwwwwwww", "dddddddd"], Mixtral: ["ffffffff", "eeeeeeee"], Mamba: ["ssssssss", "nnnnnnnn"],
  Samba: ["swswswsw", "dddddddd"], Jamba: ["ssssfsss", "dededede"],
};
const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
const counted = (letters, one) => letters.split(one).length - 1;

export function kept_by(mixer, tokens, { d_inner, d_state, d_conv, window, n_kv_heads, head_dim } = SHAPE) {
  if (mixer === "s") return d_inner * (4 * d_state + 2 * (d_conv - 1));
  return 4 * n_kv_heads * head_dim * (mixer === "f" ? tokens : Math.min(tokens, window));
}

function weights_of(mixer, { dim, n_heads, n_kv_heads, head_dim, d_inner, d_state, d_conv, dt_rank } = SHAPE) {
  if (mixer !== "s") return 2 * dim * head_dim * (n_heads + n_kv_heads);
  const projections = 3 * dim * d_inner + d_inner * (dt_rank + 2 * d_state) + dt_rank * d_inner;
  return projections + d_inner * (d_conv + 1) + d_inner * (d_state + 2);
}

function feed_weights(feed, experts, { dim, hidden_dim, n_experts } = SHAPE) {
  const one = 3 * dim * hidden_dim;
  return { e: experts * one + dim * n_experts, d: one, n: 0 }[feed];
}

export function fate(mixers, tokens, { window } = SHAPE) {
  const distance = tokens - 1, windows = counted(mixers, "w");
  if (mixers.includes("f") || (windows && distance < window)) return "held";
  return mixers.includes("s") || distance <= windows * (window - 1) ? "carried" : "gone";
}

export function trace_stack(mixers, feeds, tokens) {
  const kept = [...mixers].map((mixer) => kept_by(mixer, tokens)), mixing = sum([...mixers].map((one) => weights_of(one)));
  const [stored, active] = [SHAPE.n_experts, SHAPE.experts_per_token].map((n) =>
    2 * (mixing + sum([...feeds].map((feed) => feed_weights(feed, n)))));
  return { kept, stored, read: active + sum(kept), fate: fate(mixers, tokens) };
}

// ---- words ---------------------------------------------------------------------------------------------
const tokensOf = ({ step }) => 2 ** (FIRST + step);
const count = (n) => n.toLocaleString("en");
function bytes(n) {
  const [unit, size] = [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]].find(([, size]) => n >= size);
  const number = n / size;
  return `${number < 10 && number % 1 ? number.toFixed(1) : Math.round(number)} ${unit}`;
}
const called = ({ mixers, feeds }) => Object.keys(LAYERS).find((name) => LAYERS[name].join() === [mixers, feeds].join());
const FATES = {
  held: "is held, word for word", carried: "may have been carried here, nothing says that it was", gone: "is gone: no way leads here",
};
const changed = (letters, at, all) => {
  const next = Object.keys(all)[(Object.keys(all).indexOf(letters[at]) + 1) % 3];
  return letters.slice(0, at) + next + letters.slice(at + 1);
};

// ---- the piece -----------------------------------------------------------------------------------------
class Stack {
  constructor(stage) {
    this.stage = stage;
    const add = (tag, kind, ...children) => stage.drawing.appendChild(svg(tag, { class: kind }, ...children));
    this.way = add("path", "way");
    this.word = add("text", "word");
    this.now = add("text", "word", "now");
    this.left = add("text", "fate");
    this.axis = add("path", "axis");
    this.ticks = TICKS.map((at) => add("text", "tick", bytes(at)));
    this.rows = Array.from({ length: N_LAYERS }, (_, layer) => {
      const box = (name, all, kind) => {
        const node = stage.lights(focusable(svg("g", { class: `box ${name}`, role: "button" }, svg("rect"), svg("text")), {}), { layer });
        const change = () => stage.go({ [kind]: changed(stage.state[kind], layer, all) });
        node.addEventListener("click", change);
        node.addEventListener("keydown", (event) => {
          if (event.key === "Enter" || event.key === " ") change(event.preventDefault());
        });
        return stage.drawing.appendChild(node);
      };
      const bar = stage.drawing.appendChild(stage.lights(svg("rect", { class: "bar" }), { layer }));
      return { number: add("text", "number", String(layer)), bar, size: add("text", "size"),
        mixer: box("mixer", MIXERS, "mixers"), feed: box("feed", FEEDS, "feeds") };
    });
    this.sums = ["kept", "stored", "read"].map((name) => add("text", `sum ${name}`));
    const names = Object.keys(LAYERS);
    const next = () => {
      const [mixers, feeds] = LAYERS[names[(names.indexOf(called(stage.state)) + 1) % names.length]];
      stage.go({ mixers, feeds });
    };
    stage.keys.m = next;
    this.model = stage.button("another model's layers (M: the next one)", "", next);
  }

  lay(wide) {
    const frame = (this.frame = wide ? WIDE : TALL), bottom = frame.top + N_LAYERS * frame.pitch;
    put(this.word, frame.word);
    put(this.now, { x: frame.now, y: frame.word.y });
    put(this.left, { x: frame.width / 2, y: frame.word.y + 32 });
    set(this.way, { d: `M${frame.word.x + 34} ${frame.word.y}H${frame.now - 30}` });
    set(this.axis, { d: TICKS.map((at) => `M${this.at(at)} ${frame.top - 6}V${bottom}`).join("") });
    this.ticks.forEach((node, n) => {
      put(set(node, { display: wide || n % 3 === 0 ? null : "none" }), { x: this.at(TICKS[n]), y: bottom + 14 });
    });
    this.rows.forEach(({ number, bar, size, ...boxes }, layer) => {
      const y = frame.top + (N_LAYERS - 1 - layer) * frame.pitch;
      put(set(number, { display: frame.number ? null : "none" }), { x: frame.mixer[0] - 22, y: y + frame.high / 2 });
      set(bar, { x: frame.left, y: y + 4, height: frame.high - 8 });
      for (const name of ["mixer", "feed"]) {
        const [x, width] = frame[name], [rect, text] = boxes[name].children;
        set(rect, { x, y, width, height: frame.high });
        put(text, { x: x + width / 2, y: y + frame.high / 2 });
      }
      this.rows[layer].y = y + frame.high / 2;
    });
    this.sums.forEach((node, n) => put(node, frame.sums[n]));
    return [frame.width, frame.height];
  }

  at(size) {
    return this.frame.left + (this.frame.bar * Math.log2(size / LEAST_BYTES)) / Math.log2(MOST_BYTES / LEAST_BYTES);
  }

  mark(state) {
    const { mixers, feeds } = state, tokens = tokensOf(state), trace = (this.trace = trace_stack(mixers, feeds, tokens));
    this.rows.forEach(({ mixer, feed, size, bar }, layer) => {
      const names = [MIXERS[mixers[layer]], FEEDS[feeds[layer]]];
      [mixer, feed].forEach((node, n) => {
        const what = names[n] === "–" ? "none" : names[n];
        set(node, { "data-kind": [mixers, feeds][n][layer], "aria-label": `layer ${layer}, ${n ? "feed-forward part" : "mixer"}: ${what}` });
        node.lastChild.textContent = names[n];
      });
      size.textContent = bytes(trace.kept[layer]);
      set(bar, { "data-kind": mixers[layer] });
    });
    label(this.word, "The", 0, 22);
    this.left.textContent = { held: "held, word for word", carried: "carried, perhaps", gone: "gone" }[trace.fate];
    for (const node of [this.way, this.left]) set(node, { "data-fate": trace.fate });
    const totals = [`keeps ${bytes(sum(trace.kept))}`, `weights ${bytes(trace.stored)}`, `a token reads ${bytes(trace.read)}`];
    this.sums.forEach((node, n) => (node.textContent = totals[n]));
    this.model.textContent = called(state) ?? "your own";
    set(this.stage.drawing, { "aria-label": `${count(tokens)} tokens, eight layers` });
  }

  paint(before, now, t) {
    const from = trace_stack(before.mixers, before.feeds, tokensOf(before)).kept;
    this.rows.forEach(({ bar, size, y }, layer) => {
      const end = mix(this.at(from[layer]), this.at(this.trace.kept[layer]), ease(t));
      set(bar, { width: end - this.frame.left });
      put(size, { x: end + 6, y });
    });
  }

  shine(_, lit) {
    set(this.stage.drawing, { "data-lit": lit !== null });
    this.rows.forEach(({ bar, mixer, feed, size }, layer) => {
      for (const node of [bar, mixer, feed, size]) set(node, { "data-lit": lit?.layer === layer });
    });
  }

  say(state, lit) {
    const { mixers, feeds } = state, tokens = tokensOf(state), trace = trace_stack(mixers, feeds, tokens);
    if (lit) {
      const mixer = { f: "attention over everything", w: "attention under a window of 4,096", s: "a scan" }[mixers[lit.layer]];
      const feed = { d: "one feed-forward part", e: "2 of 8 experts", n: "nothing behind it" }[feeds[lit.layer]];
      return `Layer ${lit.layer}: ${mixer}, ${feed}. After ${count(tokens)} tokens it keeps ${bytes(trace.kept[lit.layer])}.`;
    }
    const name = called(state), who = name ? `Eight layers in ${name}'s order` : "Your eight layers";
    return `${who}, ${count(tokens)} tokens: ${bytes(sum(trace.kept))} kept. The first word ${FATES[trace.fate]}.`;
  }
}

const proper = (letters, all, own) => (RegExp(`^[${all}]{${N_LAYERS}}$`).test(letters) ? letters : own);
const stack = {
  name: "stack",
  rest: { mixers: LAYERS.Jamba[0], feeds: LAYERS.Jamba[1], step: MOST - FIRST },
  last: () => MOST - FIRST,
  settle: ({ mixers, feeds, step }) => ({
    mixers: proper(mixers, "fws", LAYERS.Jamba[0]), feeds: proper(feeds, "den", LAYERS.Jamba[1]),
    step: clamp(Math.round(step), 0, MOST - FIRST),
  }),
  build: (stage) => new Stack(stage),
};
export default { render: (context) => void new Stage(stack, context) };
