// A convolution on a circle of n places, seen twice: the kernel slides over the inputs, and each output
// is a sum of products; or both are taken to their spectra, and each frequency is one product. The
// circle's end is dragged: with too few places the end of the row reaches its beginning.

import { MOST_INPUTS, modulo, parse, range, trace_kernel, under } from "./kernel_trace.js";

const MOST_PLACES = 2 * MOST_INPUTS, MOST_LETTERS = 60;
const VIEWS = ["slide", "product"];

// Rows of cells, or of clocks, above the plot of the outputs: all by their middles. `most` is a cell's
// greatest width.
const WIDE = {
  wide: true, width: 960, left: 116, across: 800, most: 80, cell: 46, size: 21, rows: [66, 132, 190],
  clocks: [44, 122, 200], radius: 33, plot: [268, 412], height: 446,
};
const TALL = {
  wide: false, width: 390, left: 20, across: 340, most: 40, cell: 34, size: 16, rows: [72, 138, 180],
  clocks: [58, 132, 206], radius: 18, plot: [292, 412], height: 442,
};
const there = (node, is) => set(node, { display: is ? null : "none" });

// ---- words -------------------------------------------------------------------------------------------
const whole = (number) => String(number).replace("-", "−");
const factor = (number) => (number < 0 ? `(${whole(number)})` : whole(number));
const told = (number, digits = 2) => {
  const text = number.toFixed(digits);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "−");
};
const length = ([a, b]) => Math.hypot(a, b);
const angle = (arrow) => (length(arrow) < 1e-9 ? 0 : Math.atan2(arrow[1], arrow[0]));
const degrees = (turn) => told((180 * turn) / Math.PI, 0);
const several = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;

// ---- the piece ---------------------------------------------------------------------------------------
class Kernel {
  constructor(stage) {
    this.stage = stage;
    const layer = (name) => stage.drawing.appendChild(svg("g", { class: name }));
    const many = (most, name, lit, make) => {
      const group = layer(name);
      return range(most).map((k) => group.appendChild(stage.lights(make(), { [lit]: k })));
    };
    const cell = () => svg("g", { class: "cell" }, svg("rect", { rx: 6 }), svg("text"));
    this.ring = layer("ring").appendChild(svg("path"));
    this.inputs = many(MOST_PLACES, "inputs", "place", cell);
    this.taps = many(MOST_INPUTS, "taps", "tap", cell);
    this.products = many(MOST_INPUTS, "products", "tap", () => svg("text"));
    const clock = () => svg("g", { class: "clock" }, svg("circle"), svg("path"));
    this.clocks = many(MOST_INPUTS + 1, "clocks", "frequency", () => svg("g", {}, clock(), clock(), clock(), svg("text")));
    this.bars = many(MOST_PLACES, "bars", "output", () =>
      svg("g", { class: "bar" }, svg("rect"), svg("path"), svg("text"), svg("text", { class: "number" })));
    this.floor = layer("floor").appendChild(svg("path"));
    this.names = range(5).map(() => layer("names").appendChild(svg("text")));
    this.grip = stage.drawing.appendChild(svg("g", { class: "grip" }, svg("rect"), svg("text")));
    const value = () => stage.state.n, change = (n) => stage.go({ n });
    stage.handle(this.grip, "places on the circle n", { value, change, at: (x) => this.placesAt(x) });
    const [more, fewer] = [1, -1].map((by) => () => change(stage.state.n + by));
    const last = () => this.given.length - 1; // output
    const other = () => stage.go(stage.state.view === "slide" ? { view: "product", step: Infinity } : { view: "slide", step: last() });
    Object.assign(stage.keys, { t: other, "+": more, "-": fewer, "shift+ArrowUp": more, "shift+ArrowDown": fewer });
    this.view = stage.button("slide or product (T)", "", other);
    this.field = stage.field("your own inputs * kernel", MOST_LETTERS, (text) => {
      const { inputs, kernel } = parse(text); // on a circle that is large enough
      stage.go({ text, n: inputs.length + kernel.length - 1, step: inputs.length - 1 });
    });
  }

  lay(wide, { text, n }) {
    const frame = wide ? WIDE : TALL, { inputs, kernel } = parse(text);
    const w = Math.min(frame.most, frame.across / (inputs.length + kernel.length)), half = Math.floor(n / 2) + 1;
    Object.assign(this, { frame, given: inputs, weights: kernel, trace: trace_kernel(inputs, kernel, n) });
    const { outputs, truth, partial } = this.trace, all = [0, ...outputs, ...truth, ...partial.flat()];
    const [low, high] = [Math.min(...all), Math.max(...all)], [top, foot] = frame.plot;
    this.w = w;
    this.x = (place) => frame.left + (place + 0.5) * w;
    this.y = (number) => foot - ((foot - top) * (number - low)) / (high - low || 1);
    this.column = (f) => frame.left + ((f + 0.5) * frame.across) / Math.max(half, 4);
    return [frame.width, frame.height];
  }

  mark(state) {
    const { frame, trace } = this, { n, view, step } = state, slides = view === "slide";
    for (const group of [this.inputs, this.taps, this.products, [this.ring, this.grip]])
      for (const node of group) there(node, slides);
    this.clocks.forEach((node, f) => there(node, !slides && f < trace.product.length));
    if (slides) this.markRows(state);
    else this.markClocks(state);
    this.markBars(state);
    this.markNames(slides);
    this.view.textContent = slides ? "to the product" : "to the slide";
    if (this.field.value !== state.text) this.field.value = state.text;
    const drawn = slides ? `A kernel over a circle of ${n} places, at output ${step}` : `Spectra of a circle of ${n} places`;
    set(this.stage.drawing, { "data-view": view, "aria-label": drawn });
  }

  markNames(slides) {
    const { frame } = this, { wide, plot } = frame, places = slides ? frame.rows : frame.clocks;
    const rows = slides ? ["inputs", "kernel", "products"] : ["kernel", "inputs", "product"];
    const above = slides ? [16, places[1] - 28, null] : places.map((y) => y - 32);
    const spots = wide ? [...places, plot[1] - 16, plot[1] - 60] : [...above, plot[0] - 28, plot[0] - 28];
    [...rows, "outputs", "— should be"].forEach((name, row) => {
      const node = there(this.names[row], spots[row] !== null && (row < 4 || this.outlined));
      node.textContent = name;
      set(node, { "text-anchor": wide ? "end" : "start" });
      put(node, { x: wide ? frame.left - 16 : row < 4 ? 2 : 120, y: spots[row] });
    });
  }

  // A cell of a row of numbers around its middle.
  cell(node, text, size = this.frame.size) {
    const wide = this.w - 4, { cell } = this.frame;
    set(node.firstChild, { x: -wide / 2, y: -cell / 2, width: wide, height: cell });
    node.lastChild.textContent = text;
    node.lastChild.style.fontSize = `${size}px`;
  }

  markRows({ n, step }) {
    const { frame, given, weights, w } = this, [top, middle, low] = frame.rows, count = given.length;
    this.inputs.forEach((node, place) => {
      there(node, place < n);
      this.cell(set(node, { "data-kind": place < count ? "seen" : "zero" }), whole(given[place] ?? 0));
      put(node, { x: this.x(place), y: top });
    });
    this.taps.forEach((node, tap) => {
      const place = under(tap, step, n), meets = place < count, round = meets && place > step;
      there(node, tap < weights.length);
      there(this.products[tap], tap < weights.length && meets);
      if (tap >= weights.length) return;
      this.cell(set(node, { "data-kind": round ? "wrong" : meets ? "now" : "idle" }), whole(weights[tap]));
      set(this.products[tap], { "data-kind": round ? "wrong" : "now" });
      this.products[tap].textContent = meets ? whole(weights[tap] * given[place]) : "";
      this.products[tap].style.fontSize = `${Math.min(frame.size, 0.6 * w)}px`;
      put(this.products[tap], { x: this.x(place), y: low });
    });
    const [left, right, high] = [frame.left, frame.left + n * w, frame.cell / 2 + 6];
    set(this.ring, { d: `M${right + 2} ${top}q12 0 12 -14V${top - high}q0 -8 -10 -8H${left - 4}q-8 0 -8 8V${top - 14}q0 14 8 14` });
    put(this.grip, { x: Math.min(right + 2, frame.width - 40), y: frame.wide ? top - high - 8 : 20 });
    set(this.grip, { "aria-valuenow": n, "aria-valuemin": count, "aria-valuemax": count + weights.length });
    this.grip.lastChild.textContent = `n = ${n}`;
  }

  // Lengths are parts of each row's greatest, so that lengths of a column multiply in the drawing too.
  markClocks({ step }) {
    const { frame, trace } = this, rows = [trace.kernel, trace.inputs];
    this.longest = rows.map((row) => Math.max(...row.map(length)) || 1);
    this.clocks.forEach((node, f) => {
      if (f >= trace.product.length) return;
      set(node, { "data-now": f === step, "data-later": f > step });
      frame.clocks.forEach((y, row) => {
        put(node.children[row], { x: this.column(f), y });
        set(node.children[row].firstChild, { r: frame.radius });
        if (row < 2) this.hand(node.children[row], length(rows[row][f]) / this.longest[row], angle(rows[row][f]));
      });
      node.lastChild.textContent = f;
      put(node.lastChild, { x: this.column(f), y: frame.clocks[2] + frame.radius + 14 });
    });
  }

  hand(node, share, turn) {
    const long = share * this.frame.radius;
    set(node.lastChild, { d: `M0 0L${long * Math.cos(turn)} ${-long * Math.sin(turn)}` });
  }

  markBars({ n, view, step }) {
    const { given, trace, frame } = this, slides = view === "slide", done = slides || step === trace.product.length - 1;
    this.outlined = !done || trace.wrong.length > 0;
    this.bars.forEach((node, t) => {
      there(node, t < n);
      if (t >= n) return;
      const ours = t < given.length, later = slides && t > step;
      const kind = !ours ? "tail" : !done ? "forming" : trace.wrong.includes(t) ? "wrong" : "seen";
      set(node, { "data-kind": kind, "data-later": later, "data-now": slides && t === step });
      const [, outline, number, name] = node.children, w = this.w / 2 - 4;
      const differs = ours && (kind === "wrong" || !done);
      set(there(outline, differs), { d: `M${-w} ${this.y(trace.truth[t])}h${2 * w}` });
      number.textContent = done && ours && !later && (frame.wide || t === step || !slides) ? whole(trace.outputs[t]) : "";
      name.textContent = ours || frame.wide ? t : "";
      put(name, { x: 0, y: frame.plot[1] + 20 });
      put(node, { x: this.x(t), y: 0 });
    });
    set(this.floor, { d: `M${frame.left} ${this.y(0)}H${frame.left + n * this.w}` });
  }

  // Only a step takes its time: what is typed, dragged or chosen is there at once.
  paint(before, now, t) {
    const same = ["text", "n", "view"].every((name) => before[name] === now[name]);
    const from = same ? before.step : now.step, { n, view, step } = now, { trace } = this;
    const heights = view === "slide" ? [trace.outputs, trace.outputs] : [trace.partial[from], trace.partial[step]];
    for (const [place, node] of this.bars.slice(0, n).entries()) {
      const y = this.y(mix(heights[0][place], heights[1][place], t)), [rect, , number] = node.children;
      set(rect, { x: -this.w / 2 + 4, width: this.w - 8, y: Math.min(y, this.y(0)), height: Math.abs(y - this.y(0)) });
      put(number, { x: 0, y: Math.min(y, this.y(0), this.y(trace.truth[place])) - 12 });
    }
    if (view === "slide") this.slideTo(mix(from, step, t), n);
    else trace.product.forEach((_, f) => this.turnHand(f, f === step && from !== step ? t : 1));
  }

  // A tap that leaves on one side comes in on the other.
  slideTo(at, n) {
    this.weights.forEach((_, tap) => {
      const place = modulo(at - tap + 0.5, n) - 0.5;
      put(this.taps[tap], { x: this.x(place), y: this.frame.rows[1] });
      this.taps[tap].style.opacity = clamp(2 * Math.min(place + 0.5, n - 0.5 - place), 0, 1);
    });
  }

  // The product's hand starts as the kernel's, and is turned and stretched by that of the inputs.
  turnHand(f, t) {
    const { kernel, inputs } = this.trace, share = length(kernel[f]) / this.longest[0];
    const by = mix(1, length(inputs[f]) / this.longest[1], t);
    this.hand(this.clocks[f].children[2], share * by, angle(kernel[f]) + t * angle(inputs[f]));
  }

  placesAt(x) {
    return clamp(Math.round((x - 2 - this.frame.left) / this.w), this.given.length, this.given.length + this.weights.length);
  }

  // The taps that meet an input for an output, in order: [tap, place].
  meets(t, n) {
    return range(this.weights.length).map((tap) => [tap, under(tap, t, n)]).filter(([, place]) => place < this.given.length);
  }

  // With a tap or an input its partner, with an output and a frequency themselves.
  shine({ n, step }, lit) {
    const tap = lit?.tap ?? (lit?.place === undefined ? undefined : modulo(step - lit.place, n));
    const place = tap === undefined ? undefined : under(tap, step, n);
    set(this.stage.drawing, { "data-lit": lit !== null });
    for (const [nodes, which] of [[this.inputs, place], [this.taps, tap], [this.products, tap], [this.bars, lit?.output], [this.clocks, lit?.frequency]])
      nodes.forEach((node, k) => set(node, { "data-lit": k === which }));
  }

  say({ text, n, view, step }, lit) {
    const { inputs, kernel } = parse(text);
    Object.assign(this, { given: inputs, weights: kernel, trace: trace_kernel(inputs, kernel, n) });
    if (lit?.tap !== undefined || lit?.place !== undefined) return this.sayTap(lit.tap ?? modulo(step - lit.place, n), step, n);
    if (view === "slide" || lit?.output !== undefined) return this.sayOutput(lit?.output ?? step, n);
    return this.sayFrequency(lit?.frequency ?? step, n);
  }

  sayTap(tap, t, n) {
    const place = under(tap, t, n), weight = whole(this.weights[tap] ?? 0), count = this.given.length;
    if (tap >= this.weights.length) return `No tap stands at place ${place} while output ${t} is made.`;
    if (place >= count) return `Tap ${tap}, ${weight}, stands over a zero: nothing happens.`;
    const round = place > t ? `, which comes after output ${t}: it came round the end` : "";
    return `Tap ${tap}, ${weight}, meets input ${place}, ${whole(this.given[place])}${round}.`;
  }

  sayOutput(t, n) {
    const { outputs, truth } = this.trace, pairs = this.meets(t, n), count = this.given.length;
    const terms = pairs.map(([tap, place]) => `${factor(this.weights[tap])}·${factor(this.given[place])}`).join(" + ");
    const sum = `${terms || "nothing"} = ${whole(outputs[t])}`;
    if (t >= count) return `Place ${t} is behind the last input, and isn't read: ${sum}.`;
    const round = pairs.filter(([, place]) => place > t).length;
    if (!round) return `Output ${t}: ${sum}.`;
    const should = outputs[t] === truth[t] ? `it should be ${whole(truth[t])}, and is by chance` : `it should be ${whole(truth[t])}`;
    return `Output ${t}: ${sum}. ${several(round, "tap")} came round the end: ${should}.`;
  }

  sayFrequency(f, n) {
    const { kernel, inputs, product, partial, outputs, wrong } = this.trace;
    const lengths = `${told(length(kernel[f]))} × ${told(length(inputs[f]))} = ${told(length(product[f]))}`;
    const [a, b] = [angle(kernel[f]), angle(inputs[f])];
    const column = `Frequency ${f}: lengths ${lengths}, angles ${degrees(a)}° + ${degrees(b)}° = ${degrees(a + b)}°.`;
    const off = Math.max(...range(n).map((t) => Math.abs(partial[f][t] - outputs[t])));
    if (f < product.length - 1) return `${column} The waves up to it miss the outputs by up to ${told(off, 1)}.`;
    const end = wrong.length ? `${wrong.length} of them wrong` : "all of them right";
    return `${column} All waves together are the outputs, ${end}.`;
  }
}

const kernel = {
  name: "kernel",
  rest: { text: "3 0 1 2 1 2 * 8 4 2 1", n: 6, view: "slide", step: 2 },
  last: ({ n, view }) => (view === "slide" ? n - 1 : Math.floor(n / 2)),
  settle: ({ text, n, view, step }) => {
    const { inputs, kernel: taps } = parse(text), count = inputs.length;
    const places = Math.round(clamp(n, count, count + taps.length));
    const seen = VIEWS.includes(view) ? view : "slide";
    return { text, n: places, view: seen, step: clamp(step, 0, kernel.last({ n: places, view: seen })) };
  },
  build: (stage) => new Kernel(stage),
};
export default { render: (context) => void new Stage(kernel, context) };
