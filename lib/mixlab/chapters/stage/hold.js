// A spring that a sine pushes, stepped by a recurrence: the input it holds as a staircase, its states
// beside the truth, its eigenvalue in the unit circle. The step is dragged, rule and sample chosen.

const DURATION = 12, NOTCHES = 10, MOST = 20, MARGIN = 1e-9, FIRST_GROWING = 0.5;
const MOST_POINTS = DURATION * NOTCHES + 1;
const SPRING = [[0, 1], [-1, -0.5]], PUSH = [0, 1];
const RULES = { euler: "Euler", backward_euler: "backward Euler", bilinear: "bilinear", zoh: "zero-order hold", mamba: "Mamba" };
const SAMPLES = { before: 0, now: 1, both: 0.5 }; // the share of the sample at the step's end
const GIVEN = { before: "old token", now: "new token", both: "both tokens" };
const ORDER = Object.keys(RULES), CHOICES = ["now", "before", "both"];

// A wide and a narrow place: the boxes of input and place, the ruler, the circle, the table's columns.
const WIDE = {
  width: 960, height: 440, input: [56, 28, 540, 104], place: [56, 172, 540, 232], ruler: [652, 398, 284],
  circle: [795, 112, 78], columns: [672, 744, 836, 916], rows: [270, 308, 340], size: 19,
};
const TALL = {
  width: 390, height: 526, input: [40, 22, 338, 70], place: [40, 116, 338, 150], ruler: [24, 338, 342],
  circle: [84, 440, 46], columns: [188, 240, 302, 356], rows: [398, 436, 468], size: 15,
};

// ---- truth, under the names it has in mixlab.chapters.state_space_models.traces -----------------------
const times = (A, x) => A.map((row) => row.reduce((sum, a, n) => sum + a * x[n], 0));
const matmul = (A, B) => A.map((row) => B[0].map((_, n) => row.reduce((sum, a, k) => sum + a * B[k][n], 0)));
const scaled = (A, by) => A.map((row) => row.map((a) => a * by));
const plus = (A, B) => A.map((row, n) => row.map((a, m) => a + B[n][m]));
const identity = (n) => Array.from({ length: n }, (_, row) => Array.from({ length: n }, (_, m) => Number(row === m)));

// The sum of A^k / k!, for a part of A so small that few terms do, squared back.
function exponential(A) {
  const size = Math.max(...A.flat().map(Math.abs)), halvings = Math.max(0, Math.ceil(Math.log2(size + MARGIN)) + 4);
  const part = scaled(A, 2 ** -halvings);
  let term = identity(A.length), sum = term;
  for (let k = 1; k < 12; k++) sum = plus(sum, (term = scaled(matmul(term, part), 1 / k)));
  for (let k = 0; k < halvings; k++) sum = matmul(sum, sum);
  return sum;
}

// What A and B become over a step.
function discretized(delta, rule) {
  const z = scaled(SPRING, delta), push = PUSH.map((b) => delta * b);
  if (rule === "euler") return [plus(identity(2), z), push];
  if (rule === "zoh") {
    const both = exponential([...z.map((row, n) => [...row, push[n]]), [0, 0, 0]]);
    return [both.slice(0, 2).map((row) => row.slice(0, 2)), both.slice(0, 2).map((row) => row[2])];
  }
  if (rule === "mamba") return [exponential(z), push];
  const late = rule === "bilinear" ? 0.5 : 1;
  const [[a, b], [c, d]] = plus(identity(2), scaled(z, -late)), whole = a * d - b * c;
  const inverse = [[d / whole, -b / whole], [-c / whole, a / whole]];
  return [matmul(inverse, plus(identity(2), scaled(z, 1 - late))), times(inverse, push)];
}

export function step_weights(delta, rule, sample) {
  const [bar, push] = discretized(delta, rule), share = SAMPLES[sample];
  const old = rule === "mamba" && sample === "both" ? times(bar, push) : push; // Mamba-3: it has decayed
  return [bar, old.map((b) => (1 - share) * b), push.map((b) => share * b)];
}

// The true states under sin t: the sine is two more numbers of a state that nothing pushes.
export function pushed(t) {
  const [[a, b], [c, d]] = SPRING, [e, f] = PUSH;
  const whole = [[a, b, e, 0], [c, d, f, 0], [0, 0, 0, 1], [0, 0, -1, 0]];
  return times(exponential(scaled(whole, t)), [0, 0, 0, 1]).slice(0, 2);
}

export function trace_hold(rule, sample, delta) {
  const n = Math.floor(DURATION / delta + MARGIN), weights = step_weights(delta, rule, sample);
  const moments = Array.from({ length: n + 1 }, (_, k) => k * delta), inputs = moments.map(Math.sin);
  const [bar, before, now] = weights, states = [[0, 0]];
  for (let k = 1; k <= n; k++) {
    const carried = times(bar, states[k - 1]);
    states.push(carried.map((h, m) => h + before[m] * inputs[k - 1] + now[m] * inputs[k]));
  }
  const half = (bar[0][0] + bar[1][1]) / 2, whole = bar[0][0] * bar[1][1] - bar[0][1] * bar[1][0];
  const turn = [half, Math.sqrt(Math.max(0, whole - half * half))];
  return { times: moments, inputs, states, exact: moments.map(pushed), weights, turn };
}
const CURVE = Array.from({ length: 241 }, (_, n) => (DURATION * n) / 240).map((t) => [t, pushed(t)[0]]);

// ---- words -------------------------------------------------------------------------------------------
function told(number, digits = 2) {
  const text = number.toFixed(digits);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "−");
}
const named = ({ rule, sample }) => (rule === "mamba" && sample === "both" ? "Mamba-3" : RULES[rule]);
const becomes = (size) => (size > 1 + MARGIN ? "it blows up" : size < 1 - MARGIN ? "the past dies out" : "the past swings on");

// ---- the piece ---------------------------------------------------------------------------------------
class Box {
  constructor(stage, name, range, marks) {
    Object.assign(this, { name, range, marks, node: stage.drawing.appendChild(svg("g", { class: `box ${name}` })) });
    this.grid = this.node.appendChild(svg("g", { class: "grid" }));
    this.window = this.node.appendChild(svg("svg", { class: "window" }));
  }

  add(tag, name) {
    return this.window.appendChild(svg(tag, { class: name }));
  }

  lay([left, top, wide, high], words, along, size) {
    const view = [left - 8, top, wide + 16, high]; // a little wider, for the dots at both ends
    set(this.window, { x: view[0], y: view[1], width: view[2], height: view[3], viewBox: view.join(" ") });
    this.x = (t) => left + (wide * t) / DURATION;
    this.y = (value) => top + (high * (this.range - value)) / (2 * this.range);
    const text = (words, x, y, kind) => {
      const node = svg("text", { class: kind }, words);
      put(node, { x, y });
      return node;
    };
    const lines = this.marks.map((value) => `M${left} ${this.y(value)}h${wide}`);
    const seconds = along ? [0, 2, 4, 6, 8, 10, 12] : [];
    this.grid.replaceChildren(
      svg("path", { d: lines.join("") }),
      ...this.marks.map((value) => text(told(value, 0), left - 12, this.y(value), "beside")),
      ...seconds.map((t) => text(String(t), this.x(t), top + high + 18, "below")),
      text(words, left + 4, top - 12, "after"));
    this.grid.style.fontSize = `${size}px`;
  }

  line(points) {
    return `M${points.map(([t, value]) => `${this.x(t).toFixed(2)} ${this.y(value).toFixed(2)}`).join("L")}`;
  }
}

class Hold {
  constructor(stage) {
    this.stage = stage;
    this.input = new Box(stage, "input", 1.25, [-1, 0, 1]);
    this.place = new Box(stage, "place", 3, [-2, 0, 2]);
    this.block = this.input.add("path", "block");
    [this.sine, this.stairs] = ["truth", "stairs"].map((name) => this.input.add("path", name));
    [this.curve, this.path] = ["truth", "path"].map((name) => this.place.add("path", name));
    const dots = (box, name) => Array.from({ length: MOST_POINTS }, (_, point) =>
      box.window.appendChild(stage.lights(svg("circle", { class: name }), { point })));
    this.tokens = dots(this.input, "token");
    this.points = dots(this.place, "point");
    const layer = (name) => stage.drawing.appendChild(svg("g", { class: name }));
    const circle = layer("circle");
    this.round = circle.appendChild(svg("circle", { class: "unit" }));
    this.axes = circle.appendChild(svg("path"));
    this.true = circle.appendChild(svg("circle", { class: "true" }));
    this.pair = [1, -1].map(() => circle.appendChild(svg("circle", { class: "eigenvalue" })));
    this.size = circle.appendChild(svg("text"));
    const table = layer("table");
    this.heads = ["Ā", "B̄, xₜ₋₁", "B̄, xₜ"].map((head) => table.appendChild(svg("text", { class: "head" }, head)));
    this.numbers = Array.from({ length: 8 }, () => table.appendChild(svg("text")));
    const ruler = layer("ruler");
    this.track = ["all", "grows"].map((name) => ruler.appendChild(svg("rect", { class: name })));
    this.grows = ruler.appendChild(svg("text", {}, "blows up"));
    this.grip = layer("grips").appendChild(svg("g", { class: "grip" }, svg("path"), svg("rect"), svg("text")));
    const value = () => Math.round(stage.state.delta * NOTCHES);
    const change = (notch) => this.again({ delta: notch / NOTCHES });
    stage.handle(this.grip, "step Δ", { value, change, at: (x) => this.notchAt(x) });
    const after = (list, name) => list[(list.indexOf(stage.state[name]) + 1) % list.length];
    const rule = () => this.again({ rule: after(ORDER, "rule") });
    const sample = () => this.again({ sample: after(CHOICES, "sample") });
    const [longer, shorter] = [1, -1].map((by) => () => change(value() + by));
    Object.assign(stage.keys, { r: rule, x: sample, "shift+ArrowUp": longer, "shift+ArrowDown": shorter });
    this.rule = stage.button("rule (R: the next one)", "", rule);
    this.sample = stage.button("which sample a step is given (X: the next one)", "", sample);
  }

  // Another recurrence rests on its last step.
  again(change) {
    this.stage.go({ ...change, step: Infinity });
  }

  lay(wide, { delta }) {
    const frame = (this.frame = wide ? WIDE : TALL), [from, y, long] = frame.ruler;
    this.input.lay(frame.input, "input x", false, frame.size);
    this.place.lay(frame.place, "place of the spring, over time t", true, frame.size);
    set(this.sine, { d: this.input.line(CURVE.map(([t]) => [t, Math.sin(t)])) });
    set(this.curve, { d: this.place.line(CURVE) });
    this.at = (step) => from + (long * step * NOTCHES) / MOST;
    const middle = clamp(this.at(delta), from + 44, from + long - 44);
    put(this.grip, { x: middle, y: y - 24 });
    set(this.grip.firstChild, { d: `M${this.at(delta) - middle} 13v28` });
    set(this.track[0], { x: from, y, width: long, height: 14 });
    const edge = this.at(FIRST_GROWING);
    set(this.track[1], { x: edge, y, width: from + long - edge, height: 14 });
    put(this.grows, { x: (edge + from + long) / 2, y: y + 26 });
    const [x, middleY, radius] = frame.circle;
    set(this.round, { cx: x, cy: middleY, r: radius });
    set(this.axes, { d: `M${x - 1.3 * radius} ${middleY}h${2.6 * radius}M${x} ${middleY - 1.3 * radius}v${2.6 * radius}` });
    put(this.size, { x, y: middleY + 1.3 * radius + 14 });
    const [a, b, c, d] = frame.columns;
    this.heads.forEach((node, n) => put(node, { x: [(a + b) / 2, c, d][n], y: frame.rows[0] }));
    [...this.heads, ...this.numbers].forEach((node) => (node.style.fontSize = `${frame.size}px`));
    return [frame.width, frame.height];
  }

  mark(state) {
    const { rule, sample, delta } = state, [x, y, radius] = this.frame.circle;
    const trace = (this.trace = trace_hold(rule, sample, delta));
    const size = Math.hypot(...trace.turn), near = Math.min(1, 1.5 / size); // what flies off waits at the edge
    const spot = (re, im) => ({ cx: x + radius * re, cy: y - radius * im, r: radius > 60 ? 7 : 5 });
    this.pair.forEach((node, n) => set(node, { ...spot(near * trace.turn[0], (n ? -near : near) * trace.turn[1]), "data-out": size > 1 + MARGIN }));
    const decay = Math.exp(-delta / 4), angle = delta * Math.sqrt(15 / 16);
    set(this.true, { ...spot(decay * Math.cos(angle), decay * Math.sin(angle)), r: radius > 60 ? 11 : 8 });
    this.size.textContent = `${this.frame === WIDE ? "eigenvalue of Ā: " : ""}size ${told(size, 3)}`;
    const [bar, before, now] = trace.weights, { columns, rows } = this.frame;
    [0, 1].forEach((row) => [...bar[row], before[row], now[row]].forEach((number, column) => {
      const node = this.numbers[4 * row + column];
      node.textContent = told(number);
      put(set(node, { "data-off": column > 1 && SAMPLES[sample] === 3 - column }), { x: columns[column], y: rows[1 + row] });
    }));
    this.heads.forEach((node, n) => set(node, { "data-off": n > 0 && SAMPLES[sample] === 2 - n }));
    [this.track[1], this.grows].forEach((node) => set(node, { display: rule === "euler" ? null : "none" }));
    this.grip.lastChild.textContent = `Δ = ${told(delta, 1)}`;
    set(this.grip, { "aria-valuenow": delta, "aria-valuemin": 1 / NOTCHES, "aria-valuemax": MOST / NOTCHES });
    set(this.stage.drawing, { "aria-label": `a pushed spring, stepped by ${named(state)}` });
    this.rule.textContent = named(state);
    this.sample.textContent = GIVEN[sample];
  }

  // The input that step k acts with, at its start and at its end.
  levels(k, { rule, sample }) {
    const [old, now] = [this.trace.inputs[k - 1], this.trace.inputs[k]], share = SAMPLES[sample];
    if (rule === "mamba" && sample === "both") return [old, now];
    return Array(2).fill((1 - share) * old + share * now);
  }

  paint(before, now, t) {
    // Only a step takes its time: what is dragged or chosen is there at once.
    const same = ["rule", "sample", "delta"].every((name) => before[name] === now[name]);
    const step = same ? mix(before.step, now.step, t) : now.step, whole = Math.floor(step), part = step - whole;
    const { times: moments, inputs, states } = this.trace, radius = states.length < 40 ? 6 : 3.5;
    const places = states.slice(0, whole + 1).map(([place], k) => [moments[k], place]);
    const end = moments[whole] + part * now.delta;
    if (part) places.push([end, mix(states[whole][0], states[whole + 1][0], part)]);
    set(this.path, { d: this.place.line(places) });
    const dot = (box, k, value, far) => ({ display: k <= far ? null : "none", "data-now": k === whole,
      ...(k <= far && { cx: box.x(moments[k]), cy: box.y(value), r: radius }) });
    this.points.forEach((node, k) => set(node, dot(this.place, k, states[k]?.[0], whole)));
    this.tokens.forEach((node, k) => set(node, dot(this.input, k, inputs[k], Math.ceil(step))));
    const stair = (k) => this.levels(k, now).map((level, n) => [Math.min(moments[k - 1 + n], end), level]);
    const last = Math.ceil(step), steps = Array.from({ length: last }, (_, k) => stair(k + 1));
    set(this.stairs, { d: steps.map((ends) => this.input.line(ends)).join("") });
    const [from, to] = steps.at(-1) ?? [[0, 0], [0, 0]];
    set(this.block, { d: `${this.input.line([[from[0], 0], from, to, [to[0], 0]])}Z` });
  }

  notchAt(x) {
    const [left, , wide] = this.frame.ruler;
    return clamp(Math.round(((x - left) / wide) * MOST), 1, MOST);
  }

  // A token and the state at its moment belong together.
  shine(_, lit) {
    set(this.stage.drawing, { "data-lit": lit !== null });
    for (const nodes of [this.tokens, this.points]) nodes.forEach((node, k) => set(node, { "data-lit": k === lit?.point }));
  }

  say(state, lit) {
    const { rule, sample, delta, step } = state, { times: moments, inputs, states, exact, turn } = this.trace ?? trace_hold(rule, sample, delta);
    const k = lit?.point ?? step, where = `the place is ${told(states[k][0])}, the truth ${told(exact[k][0])}`;
    const gets = { before: `x = ${told(inputs[k - 1] ?? 0)}`, now: `x = ${told(inputs[k])}`, both: `x = ${told(inputs[k - 1] ?? 0)} and ${told(inputs[k])}` };
    const after = k ? `Step ${k}, to t = ${told(moments[k], 1)}, is given ${gets[sample]}: ${where}.` : "At rest, before the first step.";
    if (lit) return after;
    const size = Math.hypot(...turn);
    return `${named(state)[0].toUpperCase()}${named(state).slice(1)}, Δ = ${told(delta, 1)}: an eigenvalue of size ${told(size, 3)}, ${becomes(size)}. ${after}`;
  }
}

const hold = {
  name: "hold",
  rest: { rule: "zoh", sample: "now", delta: 1, step: Infinity },
  last: ({ delta }) => Math.floor(DURATION / delta + MARGIN),
  settle: ({ rule, sample, delta, step }) => {
    const near = clamp(Math.round(delta * NOTCHES), 1, MOST) / NOTCHES;
    return { rule, sample, delta: near, step: clamp(step, 0, hold.last({ delta: near })) };
  },
  build: (stage) => new Hold(stage),
};
export default { render: (context) => void new Stage(hold, context) };
