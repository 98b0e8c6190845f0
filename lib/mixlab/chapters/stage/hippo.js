// Two memories of N numbers and the signal that they were told: with the 1/t, where the whole past is
// stretched over the polynomials, and without, where it fades. The reader draws the signal.

const SAMPLES = 64, FADES = 16, MOST_NUMBERS = 24, EACH_STEP = 4, POINTS = 160, TOP = 1.25, TALLEST = 0.55;

const SHAPES = {
  waves: (s) => 0.8 * Math.sin(6 * Math.PI * s),
  steps: (s) => [0.7, -0.5, 0.2, -0.8][Math.floor(4 * s)],
  hill: (s) => 1.6 * Math.exp(-((s - 0.25) ** 2) / 0.01) - 0.7,
  chirp: (s) => 0.8 * Math.cos(9 * Math.PI * s ** 2),
  still: () => 0.5,
};
const NAMES = Object.keys(SHAPES), DRAWN = "drawn";
const MEMORIES = { whole: "with the 1/t", fading: "without the 1/t" };

// A wide and a narrow place: each memory's plot and bars, and the ruler of N.
const WIDE = {
  width: 960, height: 460, ruler: [250, 442, 460], mark: 16,
  whole: { plot: [44, 34, 424, 236], bars: [44, 306, 424, 76] },
  fading: { plot: [524, 34, 424, 236], bars: [524, 306, 424, 76] },
};
const TALL = {
  width: 390, height: 524, ruler: [30, 508, 330], mark: 15,
  whole: { plot: [34, 28, 346, 130], bars: [34, 182, 346, 42] },
  fading: { plot: [34, 272, 346, 130], bars: [34, 426, 346, 42] },
};

// ---- truth, under the names it has in mixlab.chapters.hippo.traces and mixlab.ssm.hippo ---------------
const range = (n) => Array.from({ length: n }, (_, k) => k);

export const shape = (name) => range(SAMPLES).map((k) => SHAPES[name]((k + 0.5) / SAMPLES));

// Legendre's polynomials on [-1, 1], by Bonnet's recursion.
function bonnet(y, count) {
  const P = [1, y];
  for (let k = 1; k < count - 1; k++) P.push(((2 * k + 1) * y * P[k] - k * P[k - 1]) / (k + 1));
  return P.slice(0, count);
}
const scale = (n) => Math.sqrt(2 * n + 1);

export const legendre = (share, d_state) => bonnet(2 * share - 1, d_state).map((P, n) => scale(n) * P);

// The integrals of the polynomials from 0 to a share of the past, but for what doesn't depend on it.
function integrals(share, d_state) {
  const y = 2 * share - 1, P = bonnet(y, d_state + 1);
  return range(d_state).map((n) => (scale(n) * (n ? P[n + 1] - P[n - 1] : y)) / (2 * n + 1) / 2);
}

// Each sample is held from one edge, a share of the past, to the next.
export function project(signal, edges, d_state) {
  const at = edges.map((edge) => integrals(edge, d_state));
  return range(d_state).map((n) => signal.reduce((sum, x, k) => sum + x * (at[k + 1][n] - at[k][n]), 0));
}

export const recall = (numbers, share) =>
  legendre(share, numbers.length).reduce((sum, p, n) => sum + numbers[n] * p, 0);

// Where a moment lies in each memory's past, as a share of it.
const SHARES = {
  whole: (time, heard) => time / heard,
  fading: (time, heard) => Math.exp((time - heard) / FADES),
};

function memory(kind, signal, d_state) {
  const heard = signal.length, share = (time) => SHARES[kind](time, heard);
  const numbers = project(signal, range(heard + 1).map(share), d_state);
  const recalled = signal.map((_, k) => recall(numbers, share(k + 0.5)));
  const square = recalled.map((value, k) => (value - signal[k]) ** 2), middle = Math.floor(heard / 2);
  const mean = (half) => (half.length ? Math.sqrt(half.reduce((a, b) => a + b, 0) / half.length) : 0);
  return { numbers, recalled, errors: [mean(square.slice(0, middle)), mean(square.slice(middle))] };
}

export function trace_memory(signal, d_state, heard) {
  const past = signal.slice(0, heard);
  return { whole: memory("whole", past, d_state), fading: memory("fading", past, d_state) };
}

// ---- words -------------------------------------------------------------------------------------------
function told(number) {
  const text = number.toFixed(2);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "−");
}
const count = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;

// ---- one memory: its plot, which is drawn into, and its numbers as bars ------------------------------
class Panel {
  constructor(stage, kind, pen) {
    Object.assign(this, { kind });
    this.node = stage.drawing.appendChild(svg("g", { class: "panel", "data-kind": kind }));
    const add = (tag, name) => this.node.appendChild(svg(tag, { class: name }));
    const texts = ["head", "zero", "beginning", "invites", "end", "caption"].map((name) => add("text", name));
    [this.head, this.zero, this.beginning, this.invites, this.end, this.caption] = this.texts = texts;
    this.grid = add("path", "grid");
    this.window = add("svg", "window");
    const path = (name) => this.window.appendChild(svg("path", { class: name }));
    [this.coming, this.heard, this.part, this.curve, this.now] = ["coming", "heard", "part", "curve", "now"].map(path);
    this.point = this.window.appendChild(svg("circle", { class: "pen", r: 6 }));
    this.pad = add("rect", "pad");
    pen(this.pad, this);
    this.line = add("path", "grid");
    this.bars = range(MOST_NUMBERS).map((n) =>
      this.node.appendChild(stage.lights(svg("g", { class: "bar" }, svg("rect"), svg("rect")), { kind, n })));
  }

  lay({ plot, bars }, size) {
    const [left, top, wide, high] = plot, [from, up, across, tall] = bars;
    Object.assign(this, { plot, across, from, middle: up + tall / 2, tall });
    this.x = (time) => left + (wide * time) / SAMPLES;
    this.y = (value) => top + (high * (1 - value / TOP)) / 2;
    const box = { x: left, y: top, width: wide, height: high };
    set(this.window, { ...box, viewBox: `${left} ${top} ${wide} ${high}` });
    set(this.pad, box);
    set(this.grid, { d: `M${left} ${this.y(0)}h${wide}M${left} ${top}h${wide}v${high}h${-wide}z` });
    set(this.line, { d: `M${from} ${this.middle}h${across}` });
    const words = [MEMORIES[this.kind], "0", "beginning", "draw here", count(SAMPLES, "sample")];
    const below = top + high + 13, foot = up + tall + 12;
    const places = [[left, top - 15], [left - 8, this.y(0)], [left, below], [left + wide / 2, below], [left + wide, below], [from + across / 2, foot]];
    this.texts.forEach((node, n) => {
      node.style.fontSize = `${size}px`;
      put(node, { x: places[n][0], y: places[n][1] });
      if (n < words.length) node.textContent = words[n];
    });
  }

  mark({ signal, numbers, step }, held, pen) {
    const heard = step * EACH_STEP, stairs = (from, to) =>
      range(to - from).map((k) => `${k ? "L" : "M"}${this.x(from + k)} ${this.y(signal[from + k])}H${this.x(from + k + 1)}`).join("");
    this.caption.textContent = numbers === 1 ? "1 number: h₀" : `${numbers} numbers: h₀ to h${lowered(numbers - 1)}`;
    set(this.heard, { d: stairs(0, heard) });
    set(this.coming, { d: stairs(heard, SAMPLES) });
    set(this.point, { cx: this.x(pen + 0.5), cy: this.y(signal[pen]) });
    set(this.pad, { "aria-valuenow": signal[pen], "aria-valuetext": `sample ${pen}: ${told(signal[pen])}` });
    const room = this.across / numbers, wide = Math.min(room * 0.7, 24);
    this.bars.forEach((node, n) => {
      set(node, { display: n < numbers ? null : "none" });
      const [bar, target] = node.children, middle = this.from + (n + 0.5) * room;
      set(bar, { x: middle - wide / 2, width: wide });
      set(target, { x: middle - room / 2, width: room, y: this.middle - this.tall / 2, height: this.tall });
      if (n < numbers) node.setAttribute("data-value", held.numbers[n]);
    });
  }

  // What the numbers stand for, at evenly spaced moments of the past.
  points(numbers, heard) {
    return range(POINTS + 1).map((at) => {
      const time = (heard * at) / POINTS;
      return { x: this.x(time), y: this.y(recall(numbers, SHARES[this.kind](time, heard))) };
    });
  }

  paint(then, now, from, to, t) {
    const [a, b] = [this.points(then.numbers, from), this.points(now.numbers, to)];
    const between = b.map(({ x, y }, k) => `${mix(a[k].x, x, t)} ${mix(a[k].y, y, t)}`);
    set(this.curve, { d: `M${between.join("L")}` });
    const [, top, , high] = this.plot;
    set(this.now, { d: `M${this.x(mix(from, to, t))} ${top}v${high}` });
    now.numbers.forEach((number, n) => {
      const size = (clamp(mix(then.numbers[n], number, t) / TALLEST, -1, 1) * this.tall) / 2;
      set(this.bars[n].firstChild, { y: this.middle - Math.max(size, 0), height: Math.abs(size) });
    });
  }

  shine(held, heard, lit) {
    const mine = lit?.kind === this.kind;
    this.bars.forEach((node, n) => set(node, { "data-lit": mine && n === lit.n }));
    const alone = mine ? held.numbers.map((number, n) => (n === lit.n ? number : 0)) : [];
    set(this.part, { d: mine ? `M${this.points(alone, heard).map(({ x, y }) => `${x} ${y}`).join("L")}` : "" });
  }
}

// ---- the piece ---------------------------------------------------------------------------------------
class Hippo {
  constructor(stage) {
    this.stage = stage;
    this.pen = SAMPLES / 2;
    const names = stage.drawing.appendChild(svg("g", { class: "names" }));
    this.names = ["heard", "remembered"].map((name) => names.appendChild(svg("text", { class: name }, name)));
    this.panels = Object.keys(MEMORIES).map((kind) => new Panel(stage, kind, (...given) => this.draws(...given)));
    this.track = stage.drawing.appendChild(svg("path", { class: "track" }));
    this.grip = stage.drawing.appendChild(svg("g", { class: "grip" }, svg("rect"), svg("text")));
    const value = () => stage.state.numbers, change = (numbers) => stage.go({ numbers });
    stage.handle(this.grip, "how many numbers, N", { value, change, at: (x) => this.numbersAt(x) });
    const next = () => stage.go({ shape: NAMES[(NAMES.indexOf(stage.state.shape) + 1) % NAMES.length], step: Infinity });
    const [more, fewer] = [1, -1].map((by) => () => change(value() + by));
    Object.assign(stage.keys, { r: next, "shift+ArrowUp": more, "shift+ArrowDown": fewer });
    this.named = stage.button("another signal (R)", "", next);
  }

  // The pointer draws from sample to sample; the arrows move a pen, and lift it.
  draws(pad, panel) {
    const { stage } = this;
    focusable(pad, { role: "slider", "aria-label": "draw a signal: arrows move the pen and lift it", "aria-valuemin": -1, "aria-valuemax": 1 });
    const at = ({ clientX, clientY }) => {
      const { x, y } = new DOMPoint(clientX, clientY).matrixTransform(stage.drawing.getScreenCTM().inverse());
      const [left, top, wide, high] = panel.plot;
      const sample = clamp(Math.floor(((x - left) / wide) * SAMPLES), 0, SAMPLES - 1);
      return [sample, clamp(TOP * (1 - (2 * (y - top)) / high), -1, 1)];
    };
    let last = null;
    pad.addEventListener("pointerdown", (event) => {
      pad.setPointerCapture(event.pointerId);
      this.stroke((last = at(event)), last);
    });
    pad.addEventListener("pointermove", (event) => {
      if (pad.hasPointerCapture(event.pointerId)) this.stroke(last, (last = at(event)));
    });
    pad.addEventListener("keydown", ({ key, shiftKey }) => {
      const move = { ArrowLeft: -1, ArrowRight: 1 }[key], lift = { ArrowUp: 0.1, ArrowDown: -0.1 }[key];
      if (shiftKey || !(move || lift)) return;
      this.pen = clamp(this.pen + (move ?? 0), 0, SAMPLES - 1);
      const here = [this.pen, clamp(stage.state.signal[this.pen] + (lift ?? 0), -1, 1)];
      if (lift) this.stroke(here, here);
      else stage.refresh();
    });
  }

  stroke([from, low], [to, high]) {
    const signal = [...this.stage.state.signal], way = Math.abs(to - from);
    for (const k of range(way + 1)) signal[from + Math.sign(to - from) * k] = way ? mix(low, high, k / way) : high;
    this.pen = to;
    this.stage.go({ shape: DRAWN, signal, step: Infinity });
  }

  lay(wide, { numbers }) {
    const frame = (this.frame = wide ? WIDE : TALL), [left, y, long] = frame.ruler;
    for (const panel of this.panels) panel.lay(frame[panel.kind], frame.mark);
    const [start, top, across] = frame.whole.plot; // the names stand over the first plot's end
    this.names.forEach((node, n) => put(node, { x: start + across - 118 * (1 - n), y: top - 15 }));
    this.at = (number) => left + (long * (number - 1)) / (MOST_NUMBERS - 1);
    set(this.track, { d: `M${left} ${y}h${long}` });
    put(this.grip, { x: this.at(numbers), y });
    return [frame.width, frame.height];
  }

  mark(state) {
    const { signal, numbers, step } = state;
    this.memories = trace_memory(signal, numbers, step * EACH_STEP);
    for (const panel of this.panels) panel.mark(state, this.memories[panel.kind], this.pen);
    this.grip.lastChild.textContent = `N = ${numbers}`;
    set(this.grip, { "aria-valuenow": numbers, "aria-valuemin": 1, "aria-valuemax": MOST_NUMBERS });
    set(this.stage.drawing, { "aria-label": `a signal, and what ${count(numbers, "number")} hold of it` });
    this.named.textContent = state.shape;
  }

  paint(before, now, t) {
    // Only a step takes its time: what is drawn or chosen is there at once.
    const same = ["shape", "numbers", "signal"].every((name) => String(before[name]) === String(now[name]));
    const [from, to] = [same ? before : now, now].map(({ step }) => step * EACH_STEP);
    const then = t < 1 ? trace_memory(now.signal, now.numbers, from) : this.memories;
    for (const panel of this.panels) panel.paint(then[panel.kind], this.memories[panel.kind], from, to, t);
  }

  numbersAt(x) {
    const [left, , long] = this.frame.ruler;
    return clamp(Math.round(((x - left) / long) * (MOST_NUMBERS - 1)) + 1, 1, MOST_NUMBERS);
  }

  shine({ step }, lit) {
    set(this.stage.drawing, { "data-lit": lit !== null });
    for (const panel of this.panels) panel.shine(this.memories[panel.kind], step * EACH_STEP, lit);
  }

  say({ signal, numbers, step }, lit) {
    const heard = step * EACH_STEP, held = trace_memory(signal, numbers, heard);
    if (lit) {
      const turns = lit.n ? `which crosses zero ${lit.n === 1 ? "once" : `${lit.n} times`}` : "a flat line";
      return `Number ${lit.n} ${MEMORIES[lit.kind]} is ${told(held[lit.kind].numbers[lit.n])}: so much of polynomial ${lit.n}, ${turns}.`;
    }
    const [a, b, c, d] = [...held.whole.errors, ...held.fading.errors].map(told);
    return `${heard} samples heard, ${count(numbers, "number")} each. With the 1/t they are off by ${a} in the older half and ` +
      `${b} in the newer; without it by ${c} and ${d}.`;
  }
}

const hippo = {
  name: "hippo",
  rest: { shape: "waves", signal: [], numbers: 12, step: Infinity },
  last: () => SAMPLES / EACH_STEP,
  settle: ({ shape: name, signal, numbers, step }) => ({
    shape: name, numbers: clamp(numbers, 1, MOST_NUMBERS), step: clamp(step, 1, hippo.last()),
    signal: name === DRAWN ? range(SAMPLES).map((k) => clamp(signal[k] ?? 0, -1, 1)) : shape(name),
  }),
  build: (stage) => new Hippo(stage),
};
export default { render: (context) => void new Stage(hippo, context) };
