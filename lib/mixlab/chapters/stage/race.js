// A race of four ways to scan: each as the processors that are busy, round by round. What is filled is
// its work, which no processor changes; what is long takes its time. Under them, who wins where.

import { schedule, trace_scan } from "./scan_trace.js";

const NAMES = { sequential: "loop", blelloch: "Blelloch", chunked: "chunks", hillis_steele: "Hillis–Steele" };
const ORDER = Object.keys(NAMES);
const MOST_TOKENS = 1024, MOST_SPANS = 12;
const FEWER = "M5 12h14", MORE = "M5 12h14M12 5v14";

const WIDE = {
  width: 960, top: 8, left: 150, bar: 560, high: 60, pitch: 80, axis: 84, beside: true,
  name: { x: 136, y: 30 }, words: [{ x: 724, y: 18 }, { x: 724, y: 44 }], last: { x: 724, y: 0 },
};
const TALL = {
  width: 390, top: 34, left: 14, bar: 362, high: 44, pitch: 88, axis: 76, beside: false,
  name: { x: 14, y: -14 }, words: [{ x: 376, y: -14 }, { x: 0, y: 0 }], last: { x: 376, y: -52 },
};

// ---- truth, under the names it has in mixlab.chapters.parallel_scan.traces ------------------------------
// The ways to scan in the order of NAMES, each with its trace and how any number of processors carry it out.
export function racers(tokens, chunk_size) {
  return ORDER.map((method) => {
    const trace = trace_scan(method, tokens, method === "chunked" ? chunk_size : null), known = new Map();
    const busy = (processors) => {
      if (!known.has(processors)) known.set(processors, schedule(trace, processors));
      return known.get(processors);
    };
    return { method, trace, busy };
  });
}

// The way with the fewest rounds; of several such, the one with the least work.
export function winner(all, processors) {
  const cost = ({ busy, trace }) => busy(processors).length * 1e6 + trace.work;
  return all.reduce((best, one, n) => (cost(one) < cost(all[best]) ? n : best), 0);
}

// Who wins from which number of processors on: looked for at powers of two, then in between.
export function borders(all, most) {
  const found = [[1, winner(all, 1)]];
  const between = (low, high) => {
    const [first, last] = [low, high].map((processors) => winner(all, processors));
    if (first === last) return;
    if (high - low === 1) return void found.push([high, last]);
    const middle = (low + high) >> 1;
    between(low, middle);
    between(middle, high);
  };
  for (let low = 1; low < most; low *= 2) between(low, Math.min(2 * low, most));
  return found;
}

// ---- place --------------------------------------------------------------------------------------------
const processorsOf = ({ tokens, step }) => clamp(Math.round(2 ** step), 1, tokens);
const along = ({ left, bar }, processors, tokens) => left + (bar * Math.log2(processors)) / Math.log2(tokens);

// The outline of what is busy until a round, `scale` pixels a round, `high` for all processors.
function outline(busy, processors, { scale, high, until }) {
  let path = `M0 ${high}`;
  for (let round = 0; round < Math.min(busy.length, until); round++)
    if (busy[round] !== busy[round - 1]) path += `H${round * scale}V${high * (1 - busy[round] / processors)}`;
  return `${path}H${Math.min(busy.length, until) * scale}V${high}Z`;
}

const count = (n) => n.toLocaleString("en");
const plural = (n, what) => `${count(n)} ${what}${n === 1 ? "" : "s"}`;

// ---- the piece ----------------------------------------------------------------------------------------
class Race {
  constructor(stage) {
    this.stage = stage;
    this.lanes = ORDER.map((_, lane) => {
      const parts = { idle: svg("rect"), busy: svg("path"), name: svg("text", { class: "name" }) };
      parts.words = ["rounds", "cost"].map((name) => svg("text", { class: name }));
      const node = svg("g", { class: "lane", role: "img" }, parts.idle, parts.busy, parts.name, ...parts.words);
      stage.drawing.append(stage.lights(focusable(node), { lane }));
      return { node, ...parts };
    });
    this.spans = Array.from({ length: MOST_SPANS }, () =>
      stage.drawing.appendChild(svg("g", { class: "span" }, svg("path"), svg("text"), svg("text"))));
    this.grip = stage.drawing.appendChild(svg("g", { class: "grip" }, svg("rect"), svg("text")));
    const value = () => processorsOf(stage.state);
    const change = (processors) => stage.go({ step: Math.log2(Math.max(1, processors)) });
    stage.handle(this.grip, "processors P", { value, change, at: (x) => this.processorsAt(x) });
    const [longer, shorter] = [2, 0.5].map((by) => () => stage.go({ chunk: stage.state.chunk * by }));
    stage.button("shorter chunks (shift and down)", FEWER, shorter);
    stage.button("longer chunks (shift and up)", MORE, longer);
    Object.assign(stage.keys, { "shift+ArrowUp": longer, "shift+ArrowDown": shorter });
  }

  processorsAt(x) {
    const { left, bar } = this.frame;
    return Math.round(this.stage.state.tokens ** clamp((x - left) / bar, 0, 1));
  }

  lay(wide, { tokens, chunk }) {
    this.frame = wide ? WIDE : TALL;
    const key = `${tokens} ${chunk}`;
    if (this.key !== key) {
      const all = racers(tokens, chunk);
      Object.assign(this, { key, racers: all, borders: borders(all, tokens) });
    }
    return [this.frame.width, this.frame.top + ORDER.length * this.frame.pitch + this.frame.axis];
  }

  mark(state) {
    const { frame } = this, processors = processorsOf(state), wins = winner(this.racers, processors);
    this.lanes.forEach(({ node, name, words }, n) => {
      const { trace, busy } = this.racers[n], rounds = busy(processors).length;
      const used = Math.round((100 * trace.work) / (rounds * processors));
      set(node, { "data-wins": n === wins, "data-rounds": rounds, "data-work": trace.work });
      set(node, { "aria-label": this.nameOf(n, state) });
      node.style.transform = `translate(0, ${frame.top + n * frame.pitch}px)`;
      name.textContent = this.nameOf(n, state);
      put(name, frame.name);
      const beyond = rounds > this.longest(processors) ? "→ " : ""; // the lane's end
      words[0].textContent = beyond + plural(rounds, "round") + (n === wins ? ": wins" : "");
      words[1].textContent = `${plural(trace.work, "join")}, ${used < 1 ? "under 1" : used}% busy`;
      set(words[1], { display: frame.beside ? null : "none" });
      words.forEach((text, line) => put(text, frame.words[line]));
    });
    this.markAxis(state, wins);
    const range = { "aria-valuenow": processors, "aria-valuemin": 1, "aria-valuemax": state.tokens };
    set(this.grip, range).lastChild.textContent = `P = ${count(processors)}`;
    set(this.stage.drawing, { "aria-label": `${count(processors)} processors, ${count(state.tokens)} tokens` });
  }

  // Who wins where: a stretch of the axis for each winner, with the number at which it begins.
  markAxis({ tokens, chunk, step }, wins) {
    const { frame } = this, y = frame.top + ORDER.length * frame.pitch + frame.axis - 40;
    const last = this.borders.length - 1;
    this.spans.forEach((node, n) => {
      set(node, { display: n <= last ? null : "none" });
      if (n > last) return;
      const [from, who] = this.borders[n], [path, name, border] = node.children;
      const [left, right] = [from, this.borders[n + 1]?.[0] ?? tokens].map((at) => along(frame, at, tokens));
      set(node, { "data-from": from, "data-wins": who === wins, "data-last": n === last });
      set(path, { d: `M${left + 2} ${y}H${Math.max(left + 3, right - 2)}` });
      name.textContent = this.nameOf(who, { chunk });
      border.textContent = count(from);
      put(name, n === last ? { x: frame.last.x, y: y + frame.last.y } : { x: (left + right) / 2, y: y - 24 });
      put(border, { x: left, y: y + 28 });
    });
    put(this.grip, { x: along(frame, processorsOf({ tokens, step }), tokens), y });
  }

  // One step more is a race from the start; any other change is there at once.
  paint(before, now, t) {
    const { frame } = this, processors = processorsOf(now);
    const rounds = this.racers.map(({ busy }) => busy(processors).length);
    const longest = this.longest(processors);
    const until = Math.abs(now.step - before.step) === 1 ? Math.ceil(longest * t) : longest;
    const scale = frame.bar / longest, high = frame.high;
    this.lanes.forEach(({ idle, busy }, n) => {
      set(idle, { x: frame.left, width: Math.min(rounds[n], longest) * scale, height: high });
      set(busy, { d: outline(this.racers[n].busy(processors), processors, { scale, high, until }) });
      put(busy, { x: frame.left, y: 0 });
    });
  }

  shine(_, lit) {
    set(this.stage.drawing, { "data-lit": lit !== null });
    this.lanes.forEach(({ node }, n) => set(node, { "data-lit": lit?.lane === n }));
  }

  // A lane's length in rounds. The loop may run off it.
  longest(processors) {
    return Math.max(...this.racers.slice(1).map(({ busy }) => busy(processors).length));
  }

  nameOf(n, { chunk }) {
    return ORDER[n] === "chunked" ? `chunks of ${chunk}` : NAMES[ORDER[n]];
  }

  say(state, lit) {
    const { tokens } = state, processors = processorsOf(state);
    const rounds = this.racers.map(({ busy }) => busy(processors).length);
    if (lit) {
      const { trace, busy } = this.racers[lit.lane], chain = busy(trace.work).length;
      const cost = `${plural(trace.work, "join")}, ${count(chain)} of them one after the other at best`;
      return `${this.nameOf(lit.lane, state)}: ${cost}; with ${plural(processors, "processor")} ${plural(rounds[lit.lane], "round")}.`;
    }
    const wins = winner(this.racers, processors), order = [...rounds.keys()].filter((n) => n !== wins);
    const others = order.sort((a, b) => rounds[a] - rounds[b]).map((n) => `${this.nameOf(n, state)} ${count(rounds[n])}`);
    const level = rounds[order[0]] === rounds[wins] ? " and the least work" : "";
    const won = `${this.nameOf(wins, state)} wins with ${plural(rounds[wins], "round")}${level}`;
    return `${count(tokens)} tokens, ${plural(processors, "processor")}: ${won}; ${others.join(", ")}.`;
  }
}

const race = {
  name: "race",
  rest: { tokens: MOST_TOKENS, chunk: 64, step: Math.log2(545) },
  last: ({ tokens }) => Math.log2(tokens),
  settle({ tokens, chunk, step }) {
    const all = clamp(tokens, 2, MOST_TOKENS);
    return { tokens: all, chunk: clamp(Math.round(chunk), 1, all), step: clamp(step, 0, Math.log2(all)) };
  },
  build: (stage) => new Race(stage),
};
export default { render: (context) => void new Stage(race, context) };
