// Euler's rule on a growth, a decay and a spring: its polygon walks beside the truth, and the step is
// dragged along a ruler that says what becomes of it.

const MOST_POINTS = 251, MARGIN = 1e-9;

// Beside the equation, what the figure opens on and shows: the step, the range upwards, and marks there.
const PROBLEMS = {
  growth: {
    law: "b′ = 2b", A: [[2]], start: [5], duration: 1, notches: 20, most: 0.4,
    rest: 0.25, up: [0, 40], marks: [0, 10, 20, 30, 40], along: [0, 0.5, 1], name: "b",
  },
  decay: {
    law: "y′ = −10y", A: [[-10]], start: [1], duration: 1.5, notches: 100, most: 0.3,
    rest: 0.22, up: [-3.2, 3.2], marks: [-2, -1, 0, 1, 2], along: [0, 0.5, 1, 1.5], name: "y",
  },
  spring: {
    law: "x′ = v, v′ = −x", A: [[0, 1], [-1, 0]], start: [1, 0], duration: 12.5, notches: 20, most: 1,
    rest: 0.2, up: [-2.4, 2.4], marks: [-2, -1, 0, 1, 2], along: [0, 5, 10], name: "place x",
  },
};
const NAMES = Object.keys(PROBLEMS), METHODS = ["explicit", "implicit"];

// A wide and a narrow place: the plot's box, and the ruler below it.
const WIDE = { width: 960, height: 490, box: [70, 34, 870, 326], ruler: [70, 436, 870], mark: 17 };
const TALL = { width: 390, height: 456, box: [44, 32, 334, 296], ruler: [24, 402, 342], mark: 16 };

// ---- truth, under the names it has in mixlab.chapters.sequence_models.traces --------------------------
const times = (A, x) => A.map((row) => row.reduce((sum, a, n) => sum + a * x[n], 0));

function stepped(A, x, h, method) {
  if (method === "explicit") return times(A, x).map((speed, n) => x[n] + h * speed);
  if (x.length === 1) return [x[0] / (1 - h * A[0][0])];
  const [[a, b], [c, d]] = A.map((row, n) => row.map((one, m) => Number(n === m) - h * one));
  const whole = a * d - b * c; // of I − hA, whose inverse it needs
  return [(d * x[0] - b * x[1]) / whole, (a * x[1] - c * x[0]) / whole];
}

function exactly({ A, start }, t) {
  if (start.length === 1) return [start[0] * Math.exp(A[0][0] * t)];
  return [Math.cos(t), -Math.sin(t)];
}

export function trace_euler(problem, h, method) {
  const posed = PROBLEMS[problem], states = [posed.start];
  const n = Math.floor(posed.duration / h + MARGIN);
  for (let k = 0; k < n; k++) states.push(stepped(posed.A, states[k], h, method));
  const moments = states.map((_, k) => k * h);
  const exact = moments.map((t) => exactly(posed, t));
  return { times: moments, states, exact, fate: fate(problem, h, method) };
}

export function fate(problem, h, method) {
  const explicit = method === "explicit", { notches } = PROBLEMS[problem];
  if (problem === "growth") return explicit ? "falls behind" : "runs ahead";
  if (problem === "spring") return explicit ? "spirals outwards" : "spirals inwards";
  const whole = Math.round(h * notches); // so that borders are met exactly
  if (!explicit || 10 * whole <= notches) return "holds";
  if (5 * whole === notches) return "swings";
  return 5 * whole < notches ? "rings" : "blows up";
}

// The ruler's stretches, each of one fate.
export function regions(problem, method) {
  const { most } = PROBLEMS[problem];
  const edges = problem === "decay" && method === "explicit" ? [0, 0.1, 0.2, most] : [0, most];
  return edges.slice(1).map((to, n) => {
    const from = edges[n];
    return { from, to, fate: fate(problem, (from + to) / 2, method) };
  });
}

// ---- words -------------------------------------------------------------------------------------------
function told(number, digits = 2) {
  const text = number.toFixed(digits);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "−");
}
const BECOMES = {
  holds: "it dies out without ringing",
  rings: "it rings, and dies out",
  swings: "it swings forever",
  "blows up": "it rings, and blows up",
  "falls behind": "it grows, and falls behind",
  "runs ahead": "it grows, and runs ahead",
  "spirals outwards": "it spirals outwards",
  "spirals inwards": "it spirals inwards",
};
const far = (state) => Math.hypot(...state);
const steps = (n) => `${n} step${n === 1 ? "" : "s"}`;

// ---- a plot: the truth, and Euler's points, in a box that cuts off what leaves it --------------------
class Plot {
  constructor(stage) {
    this.node = stage.drawing.appendChild(svg("g", { class: "plot" }));
    this.grid = this.node.appendChild(svg("g", { class: "grid" }));
    this.window = this.node.appendChild(svg("svg", { class: "window" }));
    const path = (name) => this.window.appendChild(svg("path", { class: name }));
    [this.truth, this.gap, this.polygon] = ["truth", "gap", "polygon"].map(path);
    this.points = Array.from({ length: MOST_POINTS }, (_, point) =>
      this.window.appendChild(stage.lights(svg("circle", { class: "point" }), { point })));
    this.there = this.window.appendChild(svg("circle", { class: "there" }));
  }

  // `axes` are of the form { range, marks, name, of }, of: (time, state) → number; along, then upwards.
  lay([left, top, wide, high], axes, size) {
    set(this.window, { x: left, y: top, width: wide, height: high, viewBox: `${left} ${top} ${wide} ${high}` });
    const [along, up] = axes;
    const share = (value, [low, most]) => (value - low) / (most - low);
    this.axes = axes;
    this.x = (value) => left + wide * share(value, along.range);
    this.y = (value) => top + high * (1 - share(value, up.range));
    const lines = [
      ...along.marks.map((value) => `M${this.x(value)} ${top}v${high}`),
      ...up.marks.map((value) => `M${left} ${this.y(value)}h${wide}`)];
    const words = (text, place, more = {}) => {
      const node = svg("text", { style: `font-size: ${size}px`, ...more }, text);
      put(node, place);
      return node;
    };
    this.grid.replaceChildren(
      svg("path", { d: lines.join("") }),
      ...along.marks.map((value) => words(told(value, value % 1 ? 1 : 0), { x: this.x(value), y: top + high + 20 })),
      ...up.marks.map((value) => words(told(value, 0), { x: left - 8, y: this.y(value) }, { class: "beside" })),
      words(along.name, { x: left + wide - 8, y: top + high - 14 }, { class: "beside" }),
      words(up.name, { x: this.x(Math.max(0, along.range[0])) + 8, y: top + 12 }, { class: "after" }));
  }

  place(t, state) {
    const [x, y] = this.axes.map(({ of }) => of(t, state));
    return { x: this.x(x), y: this.y(y) };
  }

  // Euler's points up to `step`, which may lie between two of them.
  paint({ times: moments, states, exact }, step, radius) {
    const whole = Math.floor(step), part = step - whole;
    const places = states.slice(0, whole + 1).map((state, k) => this.place(moments[k], state));
    this.points.forEach((node, k) => {
      set(node, { display: k <= whole ? null : "none", "data-now": k === whole });
      if (k <= whole) set(node, { cx: places[k].x, cy: places[k].y, r: radius });
    });
    let here = places[whole];
    if (part) {
      const next = this.place(moments[whole + 1], states[whole + 1]);
      places.push((here = { x: mix(here.x, next.x, part), y: mix(here.y, next.y, part) }));
    }
    set(this.polygon, { d: `M${places.map(({ x, y }) => `${x} ${y}`).join("L")}` });
    const truth = this.place(moments[whole], exact[whole]);
    set(this.there, { cx: truth.x, cy: truth.y, r: 7, display: part ? "none" : null });
    set(this.gap, { d: part ? "" : `M${here.x} ${here.y}L${truth.x} ${truth.y}` });
  }
}

// ---- the piece ---------------------------------------------------------------------------------------
class Euler {
  constructor(stage) {
    this.stage = stage;
    this.plots = [new Plot(stage), new Plot(stage)];
    const layer = (name) => stage.drawing.appendChild(svg("g", { class: name }));
    this.names = ["Euler", "truth"].map((name) => layer(name).appendChild(svg("text", {}, name)));
    const ruler = layer("ruler");
    this.regions = [0, 1, 2].map((region) =>
      ruler.appendChild(stage.lights(svg("g", { class: "region" }, svg("rect"), svg("text")), { region })));
    this.grip = layer("grips").appendChild(svg("g", { class: "grip" }, svg("path"), svg("rect"), svg("text")));
    const notches = () => PROBLEMS[stage.state.problem].notches;
    const value = () => Math.round(stage.state.h * notches());
    const change = (notch) => stage.go({ h: notch / notches(), step: Infinity });
    stage.handle(this.grip, "step h", { value, change, at: (x) => this.notchAt(x) });
    const next = () => {
      const problem = NAMES[(NAMES.indexOf(stage.state.problem) + 1) % NAMES.length];
      stage.go({ problem, h: PROBLEMS[problem].rest, step: Infinity });
    };
    const other = () => stage.go({ method: METHODS[1 - METHODS.indexOf(stage.state.method)], step: Infinity });
    const [longer, shorter] = [1, -1].map((by) => () => change(value() + by));
    Object.assign(stage.keys, { r: next, e: other, "shift+ArrowUp": longer, "shift+ArrowDown": shorter });
    this.law = stage.button("growth, decay or spring (R)", "", next);
    this.method = stage.button("explicit or implicit (E)", "", other);
  }

  lay(wide, { problem, h }) {
    const frame = wide ? WIDE : TALL, posed = PROBLEMS[problem], [left, top, across, high] = frame.box;
    this.frame = frame;
    const time = { range: [0, posed.duration], marks: posed.along, name: "time t", of: (t) => t };
    const first = { range: posed.up, marks: posed.marks, name: posed.name, of: (_, [x]) => x };
    const speed = { ...first, name: "speed v", of: (_, [, v]) => v };
    const spring = problem === "spring", side = Math.min(high, across);
    const [plane, beside] = this.plots;
    if (!spring) plane.lay(frame.box, [time, first], frame.mark);
    else if (!wide) plane.lay([left + (across - side) / 2, top, side, side], [first, speed], frame.mark);
    else {
      plane.lay([left, top, side, side], [first, speed], frame.mark);
      beside.lay([left + side + 64, top, across - side - 64, side], [time, first], frame.mark);
    }
    this.names.forEach((node, n) => put(node, { x: left + across - 90 + 60 * n, y: 16 }));
    set(beside.node, { display: spring && wide ? null : "none" });
    const [from, y, long] = frame.ruler, { most } = posed;
    this.at = (step) => from + (long * step) / most;
    put(this.grip, { x: clamp(this.at(h), from + 40, from + long - 40), y: y - 26 });
    set(this.grip.firstChild, { d: `M${this.at(h) - clamp(this.at(h), from + 40, from + long - 40)} 13v34` });
    return [frame.width, frame.height];
  }

  mark(state) {
    const { problem, h, method } = state, posed = PROBLEMS[problem];
    const [, y] = this.frame.ruler, found = regions(problem, method);
    this.trace = trace_euler(problem, h, method);
    const now = this.trace.fate === "swings" ? "rings" : this.trace.fate;
    this.regions.forEach((node, n) => {
      const region = found[n];
      set(node, { display: region ? null : "none", "data-fate": region?.fate, "data-now": region?.fate === now });
      if (!region) return;
      const [left, right] = [region.from, region.to].map(this.at);
      set(node.firstChild, { x: left + 1, y, width: right - left - 2, height: 16 });
      node.lastChild.textContent = region.fate;
      put(node.lastChild, { x: (left + right) / 2, y: y + 38 });
    });
    this.grip.lastChild.textContent = `h = ${told(h)}`;
    set(this.grip, { "aria-valuenow": h, "aria-valuemin": 1 / posed.notches, "aria-valuemax": posed.most });
    set(this.stage.drawing, { "data-fate": this.trace.fate, "aria-label": `Euler's steps on ${posed.law}` });
    this.law.textContent = posed.law;
    this.method.textContent = method;
    for (const plot of this.shown(problem)) {
      const moments = Array.from({ length: 241 }, (_, n) => (posed.duration * n) / 240);
      const curve = moments.map((t) => plot.place(t, exactly(posed, t)));
      set(plot.truth, { d: `M${curve.map(({ x, y }) => `${x} ${y}`).join("L")}` });
    }
  }

  shown(problem) {
    return problem === "spring" && this.frame === WIDE ? this.plots : this.plots.slice(0, 1);
  }

  paint(before, now, t) {
    // Only a step takes its time: what is dragged or chosen is there at once.
    const same = ["problem", "h", "method"].every((name) => before[name] === now[name]);
    const step = same ? mix(before.step, now.step, t) : now.step;
    const n = this.trace.states.length;
    for (const plot of this.shown(now.problem)) plot.paint(this.trace, step, n < 40 ? 7 : n < 90 ? 4.5 : 2.5);
  }

  notchAt(x) {
    const { notches, most } = PROBLEMS[this.stage.state.problem], [left, , wide] = this.frame.ruler;
    return clamp(Math.round((((x - left) / wide) * most) * notches), 1, Math.round(most * notches));
  }

  // With a point the same point in the other plot; with a stretch of the ruler nothing else.
  shine(_, lit) {
    const on = lit?.point !== undefined;
    set(this.stage.drawing, { "data-lit": on });
    for (const { points } of this.plots) points.forEach((node, k) => set(node, { "data-lit": on && k === lit.point }));
    this.regions.forEach((node, n) => set(node, { "data-lit": lit?.region === n }));
  }

  say(state, lit) {
    const { problem, h, method, step } = state, spring = problem === "spring";
    if (lit?.region !== undefined) {
      const { from, to, fate: name } = regions(problem, method)[lit.region];
      return `With steps from ${told(from)} to ${told(to)} ${BECOMES[name]}.`;
    }
    const { times: moments, states, exact, fate: end } = this.trace ?? trace_euler(problem, h, method);
    const k = lit?.point ?? step;
    const size = (row) => told(spring ? far(row[k]) : row[k][0]);
    const where = spring ? `Euler is ${size(states)} from rest, the truth ${size(exact)}` :
      `Euler says ${size(states)}, the truth ${size(exact)}`;
    const after = `After ${steps(k)}, at t = ${told(moments[k])}, ${where}.`;
    if (lit) return after;
    const [next] = stepped(PROBLEMS[problem].A, [1, 0].slice(0, 1 + spring), h, method);
    const factor = spring ? (method === "explicit" ? 1 : -1) : next;
    const does = spring ? `moves it ${told(Math.hypot(1, h) ** factor, 3)} times as far out` : `multiplies by ${told(next)}`;
    return `Each step of ${told(h)} ${does}: ${BECOMES[end]}. ${after}`;
  }
}

const euler = {
  name: "euler",
  rest: { problem: "decay", method: "explicit", h: 0.22, step: Infinity },
  last: ({ problem, h }) => Math.floor(PROBLEMS[problem].duration / h + MARGIN),
  settle: ({ problem, method, h, step }) => {
    const { notches, most } = PROBLEMS[problem];
    const near = clamp(Math.round(h * notches), 1, Math.round(most * notches)) / notches;
    return { problem, method, h: near, step: clamp(step, 0, euler.last({ problem, h: near })) };
  },
  build: (stage) => new Euler(stage),
};
export default { render: (context) => void new Stage(euler, context) };
