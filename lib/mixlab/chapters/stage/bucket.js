// A bucket that is carried along a text. A token lasts for a time Δ: the level leaks meanwhile, and
// what the token brings is poured in on top. Each capital's share keeps its colour while it shrinks.

const MOST_TOKENS = 24, MOST_DELTA = 2, MOST_KINDS = 5, HUES = 5, RATES = [-1, -2, -4];
const NOTCHES = 20; // of a unit of Δ, in dragging and by keys
const NOTHING = 1e-4; // a level too low to draw

// A wide and a narrow place: `unit` is how many pixels high a Δ of 1 is, `deep` a level of 1.
const WIDE = {
  width: 960, edge: 60, column: 66, bars: 138, unit: 48, line: 170, size: 30, floor: 446, deep: 94, height: 496,
};
const TALL = {
  width: 390, edge: 24, column: 40, bars: 136, unit: 48, line: 168, size: 22, floor: 462, deep: 106, height: 510,
};

// ---- truth, under the names it has in mixlab ---------------------------------------------------------
// As mixlab.ssm.discretize, for one number and the rules "zoh" and "mamba".
export function discretize_diagonal(A, B, delta, method) {
  const z = delta * A;
  const held = method === "mamba" || z === 0 ? 1 : Math.expm1(z) / z;
  return [Math.exp(z), delta * held * B];
}

// As mixlab.chapters.mamba.bucket: a token's kind is how many tokens ago the last capital came, at
// most `count` - 1.
export function kinds_of(text, count) {
  let since = count;
  return [...text].map((letter) => Math.min((since = letter === "·" ? since + 1 : 0), count - 1));
}

// The level after each token, and what is in it of each token. With `taps` a token is poured in when
// it reaches the oldest of them.
export function trace_bucket(text, delta, taps, A, method) {
  let shares = Array(text.length).fill(0);
  return kinds_of(text, delta.length).map((kind, t) => {
    const [kept, weight] = discretize_diagonal(A, 1, delta[kind], method);
    const poured = t - taps + 1; // the token at the oldest tap
    const written = poured >= 0 && text[poured] !== "·" ? weight : 0;
    shares = shares.map((share, token) => kept * share + (token === poured ? written : 0));
    return { delta: delta[kind], kept, poured, written, level: sum(shares), shares };
  });
}
const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

// ---- place -------------------------------------------------------------------------------------------
// Where each kind's grip sits: on that of its tokens which is farthest from the grips before it.
function perches(kinds, count) {
  const taken = [];
  const apart = (n) => Math.min(MOST_TOKENS, ...taken.map((other) => Math.abs(other - n)));
  for (let kind = 0; kind < count; kind++) {
    const own = [...kinds.keys()].filter((n) => kinds[n] === kind);
    taken[kind] = own.reduce((best, n) => (apart(n) > apart(best) ? n : best), own[0] ?? Infinity);
  }
  return taken;
}

// Shares stacked from the floor: the y of each one's upper and lower edge.
function stack(shares, { floor, deep }) {
  let top = floor;
  return shares.map((share) => ({ bottom: top, top: (top -= deep * share) }));
}

// A token's share from column to column, as an outline: along its upper edge and back.
function band(token, steps, frame) {
  const edges = steps.flatMap(({ shares }, t) => {
    const left = frame.left + t * frame.wide;
    return shares[token] > NOTHING ? [{ left, ...stack(shares, frame)[token] }] : [];
  });
  if (!edges.length) return "";
  const over = edges.map(({ left, top }) => `${left} ${top}H${left + frame.wide}`);
  const back = edges.toReversed().map(({ left, bottom }) => `${left + frame.wide} ${bottom}H${left}`);
  return `M${[...over, ...back].join("L")}Z`;
}

// ---- the piece ---------------------------------------------------------------------------------------
class Bucket {
  constructor(stage) {
    this.stage = stage;
    const layer = (name, ...parts) => stage.drawing.appendChild(svg("g", { class: name }, ...parts));
    const many = (most, group, make) => Array.from({ length: most }, (_, n) => group.appendChild(make(n)));
    this.one = layer("one", svg("path"), svg("text", {}, "1"));
    this.bands = many(MOST_TOKENS, layer("bands"), (token) => stage.lights(svg("path"), { token }));
    this.tokens = many(MOST_TOKENS, layer("text"), (token) => this.token(token));
    this.taps = layer("taps", svg("path"), svg("text"));
    this.bucket = layer("bucket");
    this.layers = many(MOST_TOKENS, this.bucket, (token) => stage.lights(svg("rect"), { token }));
    [this.outline, this.drop] = ["outline", "drop"].map((name) =>
      this.bucket.appendChild(svg("path", { class: name })));
    [this.level, this.keeps] = [0, 1].map(() => this.bucket.appendChild(svg("text")));
    // One letter a token for life: it flies from the text into the bucket, and stays with its share.
    this.chips = many(MOST_TOKENS, layer("chips"), () => svg("g", {}, svg("rect"), svg("text")));
    this.grips = many(MOST_KINDS, layer("grips"), (kind) => this.grip(kind));
    const turn = () => {
      const { A } = stage.state;
      stage.go({ A: RATES[(RATES.indexOf(A) + 1) % RATES.length] });
    };
    const other = () => stage.go({ method: stage.state.method === "mamba" ? "zoh" : "mamba" });
    const dots = (by) => () => this.change(stage.state.delta.length - 1, by);
    Object.assign(stage.keys, { r: turn, e: other, "shift+ArrowUp": dots(1), "shift+ArrowDown": dots(-1) });
    this.rate = stage.button("rate A (R)", "", turn);
    this.method = stage.button("input weight: the code's or the paper's (E)", "", other);
    this.field = stage.field("your own capitals and dots", MOST_TOKENS, (text) =>
      stage.go({ text, step: Infinity }));
  }

  token(token) {
    const parts = [...["hit", "bar", "back"].map((name) => svg("rect", { class: name })), svg("text")];
    const node = svg("g", { class: "token", role: "button" }, ...parts);
    const goThere = () => this.stage.go({ step: token + 1 });
    node.addEventListener("click", goThere);
    node.addEventListener("keydown", ({ key }) => (key === "Enter" || key === " ") && goThere());
    return this.stage.lights(focusable(node), { token });
  }

  // The grip of a kind's Δ, which all its bars have in common.
  grip(kind) {
    const node = svg("g", { class: "grip" }, svg("rect"), svg("text"));
    const value = () => Math.round(NOTCHES * this.stage.state.delta[kind]);
    const at = (x, y) => Math.round((NOTCHES * (this.frame.bars - 16 - y)) / this.frame.unit);
    const change = (notches) => this.change(kind, notches - value());
    this.stage.handle(node, "", { value, change, at: (x, y) => clamp(at(x, y), 0, NOTCHES * MOST_DELTA) });
    return node;
  }

  change(kind, notches) {
    const delta = [...this.stage.state.delta];
    delta[kind] = (Math.round(NOTCHES * delta[kind]) + notches) / NOTCHES;
    this.stage.go({ delta });
  }

  lay(wide, { text, delta }) {
    const frame = wide ? WIDE : TALL, { width, edge, column, bars, unit, line, floor, deep } = frame;
    const across = Math.min(column, (width - 2 * edge) / text.length);
    const left = (width - across * text.length) / 2;
    this.frame = { ...frame, wide: across, left, middle: (n) => left + (n + 0.5) * across };
    const { middle } = this.frame, kinds = kinds_of(text, delta.length);
    const perch = perches(kinds, delta.length);
    this.tokens.slice(0, text.length).forEach((node, n) => {
      const [hit, bar, back, word] = node.children, high = Math.max(2, unit * delta[kinds[n]]);
      const size = Math.min(frame.size, across * 1.1), half = Math.min(20, across / 2 - 1);
      set(hit, { x: middle(n) - across / 2, y: 20, width: across, height: line + 8 });
      set(bar, { x: middle(n) - across * 0.36, y: bars - high, width: across * 0.72, height: high });
      set(back, { x: middle(n) - half, y: line - 20, width: 2 * half, height: 40 });
      set(this.chips[n].firstChild, { x: -half, y: -20, width: 2 * half, height: 40 });
      put(word, { x: middle(n), y: line });
      word.style.fontSize = `${text[n] === "·" ? 1.7 * size : size}px`;
      this.chips[n].style.fontSize = `${size}px`;
    });
    this.grips.forEach((node, kind) => {
      const there = perch[kind] < Infinity;
      set(node, { display: there ? null : "none" });
      if (there) put(node, { x: clamp(middle(perch[kind]), 36, width - 36), y: bars - unit * delta[kind] - 16 });
    });
    set(this.one.firstChild, { d: `M${left} ${floor - deep}h${width - 2 * left}` });
    put(this.one.lastChild, { x: left - 14, y: floor - deep });
    const half = across / 2 - 2, rim = floor - 2.4 * deep;
    set(this.outline, { d: `M${-half} ${rim}V${floor}H${half}V${rim}` });
    for (const node of this.layers) set(node, { x: -half, width: 2 * half });
    return [width, frame.height];
  }

  mark(state) {
    const { text, step, delta, A, method, taps } = state;
    const now = this.trace(state)[step - 1], { middle, wide, line, floor, width } = this.frame;
    let capitals = 0;
    this.tokens.forEach((node, n) => {
      const hue = /[A-Z]/.test(text[n] ?? "") ? capitals++ % HUES : null;
      const kind = n >= step ? "later" : n === step - 1 ? "now" : "read";
      for (const one of [node, this.bands[n], this.layers[n], this.chips[n]]) set(one, { "data-hue": hue });
      set(node, { "data-kind": kind, "aria-label": `${text[n]}, position ${n}` });
      set(node, { display: n < text.length ? null : "none" });
      for (const one of [node, this.chips[n]]) one.lastChild.textContent = text[n] ?? "";
    });
    delta.forEach((length, kind) => {
      const names = ["on a capital", ...delta.slice(2).map((_, n) => `${n + 1} after a capital`), "on other dots"];
      set(this.grips[kind], { "aria-label": `Δ ${names[kind]}`, "aria-valuenow": length });
      set(this.grips[kind], { "aria-valuemin": 0, "aria-valuemax": MOST_DELTA });
      this.grips[kind].lastChild.textContent = `Δ ${length.toFixed(2)}`;
    });
    const [from, to] = [Math.max(0, step - taps), step].map((edge) => middle(edge) - wide / 2);
    const shown = taps > 1 && step > 0;
    set(this.taps, { display: shown ? null : "none" });
    set(this.taps.firstChild, { d: `M${from + 3} ${line + 25}v6H${to - 3}v-6` });
    this.taps.lastChild.textContent = `under the ${taps} taps`;
    put(this.taps.lastChild, { x: clamp((from + to) / 2, 70, width - 70), y: line + 46 });
    this.keeps.textContent = now ? `keeps ${percent(now.kept)}` : "";
    this.rate.textContent = `A = −${-A}`;
    this.method.textContent = method === "mamba" ? "B̄: the code's" : "B̄: the paper's";
    set(this.stage.drawing, { "aria-label": "a bucket that is carried along a text" });
    if (this.field.value !== text) this.field.value = text;
  }

  trace({ text, delta, taps, A, method }) {
    return trace_bucket(text, delta, taps, A, method);
  }

  paint(before, now, t) {
    // Only a step takes its time: what is dragged or typed is there at once.
    if (before.step === now.step || before.text !== now.text) [before, t] = [now, 1];
    const { frame } = this, { middle, floor, line, wide } = frame;
    const steps = this.trace(now);
    const [had, has] = [before, now].map(({ step }) => steps[step - 1]?.shares ?? []);
    const [left, come] = [during(t, 0.3, 0.6), during(t, 0.6, 1)]; // first it leaks, then it is filled
    const shares = Array.from({ length: MOST_TOKENS }, (_, token) => {
      const [a, b] = [had[token] ?? 0, has[token] ?? 0];
      return mix(a, b, b > a ? come : left);
    });
    const places = [before, now].map(({ step }) => middle(Math.max(0, step - 1)));
    const x = mix(...places, during(t, 0, 0.35));
    put(this.bucket, { x, y: 0 });
    const trail = steps.slice(0, Math.max(0, now.step - 1)); // behind the bucket
    this.bands.forEach((node, token) => set(node, { d: band(token, trail, frame) }));
    const piled = stack(shares, frame);
    this.layers.forEach((node, token) => {
      const { top, bottom } = piled[token];
      set(node, { y: top, height: bottom - top, display: bottom - top > NOTHING ? null : "none" });
    });
    this.chips.forEach((node, token) => {
      const [was, is] = [had, has].map((all) => Number(all[token] > 0));
      const inside = mix(was, is, during(t, 0.4, 0.9)), { top, bottom } = piled[token];
      put(node, { x: mix(middle(token), x, inside), y: mix(line, (top + bottom) / 2, inside) });
      node.style.opacity = inside < 1 ? Math.ceil(inside) : during(bottom - top, 12, 20);
      set(node, { "data-flies": inside > 0 && inside < 1 });
    });
    const lost = Math.max(0, sum(had) - sum(has.map((share, token) => Math.min(share, had[token] ?? 0))));
    const fallen = during(t, 0.3, 0.65), size = 9 * Math.sqrt(lost);
    set(this.drop, { d: `M0 ${-size}q${size} ${size} 0 ${2 * size}q${-size} ${-size} 0 ${-2 * size}` });
    put(this.drop, { x: 0, y: floor + 4 + 22 * fallen });
    this.drop.style.opacity = Math.sin(Math.PI * fallen);
    this.level.textContent = `level ${sum(shares).toFixed(2)}`;
    const beside = clamp(x, 56, frame.width - 56) - x; // words stay in the picture
    put(this.level, { x: beside, y: Math.min(...piled.map(({ top }) => top)) - 14 });
    put(this.keeps, { x: beside, y: floor + 32 });
  }

  // With a capital its share lights up, wherever it is.
  shine({ text }, lit) {
    const capital = lit && text[lit.token] !== "·";
    set(this.stage.drawing, { "data-lit": capital });
    for (const nodes of [this.tokens, this.bands, this.layers, this.chips])
      nodes.forEach((node, n) => set(node, { "data-lit": lit && n === lit.token }));
  }

  say(state, lit) {
    const { text, step } = state, steps = this.trace(state);
    const name = (n) => text[n] + lowered(n);
    const told = lit && text[lit.token] === "·" ? lit.token : step - 1;
    if (lit && told !== lit.token) {
      const { poured, written } = steps.find(({ poured }) => poured === lit.token) ?? {};
      const part = steps[step - 1]?.shares[lit.token] ?? 0;
      if (!(part > 0)) return `${name(lit.token)} isn't in the bucket yet.`;
      const of = `${part.toFixed(2)} of it is left, ${percent(part / steps[step - 1].level)} of the level`;
      return `${name(poured)} came in with ${written.toFixed(2)}. After ${name(step - 1)} ${of}.`;
    }
    if (told < 0) return "The bucket is empty, and nothing has been read yet.";
    const { delta, kept, poured, written, level, shares } = steps[told];
    const before = (steps[told - 1]?.level ?? 0).toFixed(2);
    const brought = written ? `pours in ${written.toFixed(2)} for ${name(poured)}` : "pours in nothing";
    const parts = shares.flatMap((share, n) => (share > level / 200 ? [`${name(n)} ${percent(share / level)}`] : []));
    const holds = parts.length ? `: ${parts.join(", ")}` : "";
    return `${name(told)} lasts Δ = ${delta.toFixed(2)}: it keeps ${percent(kept)} of ${before} and ${brought}. The level is ${level.toFixed(2)}${holds}.`;
  }
}
const percent = (share) => `${Math.round(100 * share)}%`;

const bucket = {
  name: "bucket",
  rest: { text: "C·····F···A··", delta: [1, 0], taps: 1, A: -1, method: "mamba", step: Infinity },
  last: ({ text }) => text.length,
  settle: ({ text, delta, step, ...others }) => {
    const read = text.toUpperCase().replace(/[^A-Z]/g, "·").slice(0, MOST_TOKENS);
    const lengths = delta.map((length) => clamp(length, 0, MOST_DELTA));
    return { ...others, text: read, delta: lengths, step: clamp(step, 0, read.length) };
  },
  build: (stage) => new Bucket(stage),
};
export default { render: (context) => void new Stage(bucket, context) };
