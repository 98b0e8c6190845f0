// The ring of a rolling cache: token p flies into slot p mod W and pushes out the one that lay there.
// Cut before the oldest, the ring unrolls into a strip that reads in order.

const EMPTY = -1, MOST_SLOTS = 12, MOST_WORDS = 24, MOST_LETTERS = 200;
const LETTERS = 26, LEAST_LETTERS = 16, CORNER = 5, GRIP = 39; // pixels: sizes, and half W's grip
const SCISSORS = "M8 8 20 20M8 16 20 4M9 6.5a3 3 0 1 1-6 0a3 3 0 1 1 6 0M9 17.5a3 3 0 1 1-6 0a3 3 0 1 1 6 0";

// A wide and a narrow place. Where there are two numbers, the closed ring's and the flat strip's.
const WIDE = {
  width: 960, top: 30, size: 27, line: 58, gap: 24, radius: 120, reach: 210, length: 900,
  tilt: 0, thick: [96, 116], pushed: [75, 84], number: 32, token: -10, ends: -84,
};
const TALL = {
  width: 390, top: 26, size: 21, line: 52, gap: 13, radius: 108, reach: 192, length: 350,
  tilt: Math.PI / 2, thick: [88, 108], pushed: [68, 100], number: -86, token: 0, ends: -156,
};

// ---- truth, under the names it has in mixlab ---------------------------------------------------------
// As mixlab.traces.rolling_cache: tokens written one at a time, and what each finds.
export function trace_decode(n_tokens, window) {
  const held = Array(window).fill(EMPTY);
  return Array.from({ length: n_tokens }, (_, position) => {
    const slot = position % window;
    const evicted = held[slot];
    held[slot] = position;
    const seen_slots = [...held.keys()].filter((k) => held[k] !== EMPTY);
    const seen = seen_slots.map((k) => held[k]).sort((a, b) => a - b);
    return { position, slot, evicted, held: [...held], seen_slots, seen };
  });
}

// As mixlab.transformer.rolling_layer: the slots in use, oldest first.
export function unrotate(slots, length) {
  const oldest = oldestSlot(slots.length, length);
  return [...slots.slice(oldest), ...slots.slice(0, oldest)].slice(0, length);
}
const oldestSlot = (window, length) => (length > window ? length % window : 0);

// ---- place: where a slot and a token are, in any state -----------------------------------------------
// The strip as numbers, so that any two blend. A span is a slot's share of the strip: clockwise from
// the top while the ring is closed, from the strip's middle once it is cut; `turn` is that middle's
// place on the ring. Slots that the window lacks have shrunk to nothing at the end.
export function shapeOf({ window, step, cut }, frame) {
  const first = cut ? oldestSlot(window, step) : 0;
  const spans = Array.from({ length: MOST_SLOTS }, (_, slot) => {
    const place = slot < window ? (slot - first + window) % window : window;
    return [place, Math.min(place + 1, window)].map((edge) => edge / window - (cut ? 0.5 : 0));
  });
  const turn = cut ? first / window - 0.5 : 0;
  return { frame, spans, turn, open: Number(cut), lifts: spans.map(() => 0) };
}

function blend(before, now, t) {
  const { open } = before;
  if (open !== now.open && t < 1) return { ...(open ? before : now), open: mix(open, now.open, t) };
  const part = during(t, 0.1, 0.9);
  const spans = now.spans.map((span, k) => span.map((edge, n) => mix(before.spans[k][n], edge, part)));
  // On a flat strip the oldest slot leaps over the others to become the newest.
  const leaps = now.spans.map(([from], k) => now.open && Math.abs(from - before.spans[k][0]) > 0.5);
  return { ...now, spans, lifts: leaps.map((leap) => leap && 120 * Math.sin(Math.PI * part)) };
}

const flatness = ({ open }) => during(open, 0.3, 1); // a cut ring first turns, then it unbends
const sized = (shape, name) => mix(...shape.frame[name], flatness(shape));
const lengthOf = (shape) => mix(2 * Math.PI * shape.frame.radius, shape.frame.length, flatness(shape));

// Outwards from the middle line; in a narrow slot the token has the outer part, which is wider.
const tokenOut = (window, shape) => mix(window > 6 ? 12 : -14, shape.frame.token, flatness(shape));
const numberOut = (window, shape) => mix(window > 6 ? -32 : 20, shape.frame.number, flatness(shape));

// The point at part `u` of the strip, `out` pixels outwards from its middle line.
export function bent(u, out, shape) {
  const { turn, open, frame } = shape;
  const flat = flatness(shape);
  const bend = Math.max(1 - flat, 1e-4); // of the whole strip, in turns: 1 is a ring
  const radius = lengthOf(shape) / (2 * Math.PI * bend);
  const angle = 2 * Math.PI * (u * bend + (1 - during(open, 0, 0.35)) * turn);
  const x = (radius + out) * Math.sin(angle);
  const y = radius - (radius + out) * Math.cos(angle) - frame.radius * (1 - flat);
  const [cos, sin] = [Math.cos(frame.tilt * flat), Math.sin(frame.tilt * flat)];
  return { x: frame.width / 2 + x * cos - y * sin, y: frame.middle + x * sin + y * cos };
}

const inSlot = (slot, out, shape) => bent(mix(...shape.spans[slot], 0.5), out + shape.lifts[slot], shape);

// Where a token is: in the text until it is written, then in its slot, then pushed out of it.
export function spot(token, { step, window }, shape) {
  const age = step - 1 - token; // 0: written last
  if (age < 0) return { ...shape.frame.places[token], shown: 0 };
  const out = age < window ? tokenOut(window, shape) : sized(shape, "pushed") + (age > window ? 30 : 0);
  return { ...inSlot(token % window, out, shape), shown: Number(age <= window) };
}

// A slot's outline: along its outer edge and back along the inner one, a little apart from the next.
function outline(slot, shape) {
  const [from, to] = shape.spans[slot];
  if (to - from < 0.01) return "";
  const half = sized(shape, "thick") / 2 - CORNER;
  const edge = (out) => {
    const apart = (CORNER + 1.5) / (lengthOf(shape) + 2 * Math.PI * out * (1 - flatness(shape)));
    const along = Array.from({ length: 49 }, (_, n) => mix(from + apart, to - apart, n / 48));
    return along.map((u) => bent(u, out + shape.lifts[slot], shape));
  };
  return `M${[...edge(half), ...edge(-half).reverse()].map(({ x, y }) => `${x} ${y}`).join("L")}Z`;
}

// How wide a token's name may be in its slot: a level line through it, from side to side.
function room(slot, { window, cut }, frame) {
  if (cut) return frame.tilt ? frame.thick[1] - 12 : frame.length / window - 18;
  const turn = (2 * Math.PI) / window, angle = turn * (slot + 0.5);
  const across = turn * (frame.radius + tokenOut(window, { frame, open: 0 }));
  const deep = frame.thick[0] - (window > 6 ? 26 : 0); // a narrow slot's number stands inwards
  return Math.min(across / Math.abs(Math.cos(angle)), deep / Math.abs(Math.sin(angle))) - 14;
}

// A name that fits, its position and size: smaller letters first, then fewer of them.
function fitted(word, n, most) {
  const size = clamp((LETTERS * most) / tokenWidth(word, n, LETTERS), LEAST_LETTERS, LETTERS);
  let name = word;
  for (let k = word.length; --k && tokenWidth(name, n, size) > most + 1; ) name = `${word.slice(0, k)}…`;
  return [name, n, size];
}

// A token's name in a word or a chip, and the line that strikes it out once it is gone.
function write(node, word, n, size) {
  const width = tokenWidth(word, n, size);
  label(node.querySelector("text"), word, n, size);
  set(node.querySelector("path"), { d: `M${-width / 2} 0h${width}` });
  set(node.firstChild, { x: -width / 2 - 6, width: width + 12 });
}

// ---- the piece ---------------------------------------------------------------------------------------
class Ring {
  constructor(stage) {
    this.stage = stage;
    const layer = (name) => stage.drawing.appendChild(svg("g", { class: name }));
    const many = (most, group, make) => Array.from({ length: most }, (_, n) => group.appendChild(make(n)));
    this.slots = many(MOST_SLOTS, layer("slots"), (slot) =>
      stage.lights(svg("g", { class: "slot" }, svg("path"), svg("text")), { slot }));
    const signs = layer("signs"), bar = layer("window");
    // One node a token for life, and one for its word in the text, which stays where it is.
    this.words = many(MOST_WORDS, layer("text"), (token) => this.word(token));
    this.tokens = many(MOST_WORDS, layer("chips"), () =>
      svg("g", { class: "chip" }, svg("rect"), svg("text"), svg("path")));
    this.sum = [0, 1].map(() => svg("text", { class: "sum" }));
    this.ends = ["oldest", "newest"].map((name) => svg("text", { class: "end" }, name));
    this.scissors = svg("g", { class: "scissors" }, svg("path"), svg("path", { d: SCISSORS }));
    signs.append(...this.sum, ...this.ends, this.scissors);
    this.bar = bar.appendChild(svg("path"));
    this.grip = bar.appendChild(svg("g", { class: "grip" }, svg("rect"), svg("text")));
    const value = () => stage.state.window, change = (window) => stage.go({ window });
    stage.handle(this.grip, "window W", { value, change, at: (x, y) => this.windowAt(x, y) });
    const [wider, narrower] = [1, -1].map((by) => () => change(value() + by));
    const cut = () => stage.go({ cut: !stage.state.cut });
    Object.assign(stage.keys, { x: cut, "shift+ArrowUp": wider, "shift+ArrowDown": narrower });
    this.scissors.addEventListener("click", cut);
    this.cut = stage.button("cut the ring, or close it (X)", SCISSORS, cut);
    this.field = stage.field("your own text", MOST_LETTERS, (text) => stage.go({ text, step: Infinity }));
  }

  word(token) {
    const node = svg("g", { class: "word", role: "button" }, svg("rect"), svg("text"), svg("path"));
    const goThere = () => this.stage.go({ step: token + 1 });
    node.addEventListener("click", goThere);
    node.addEventListener("keydown", ({ key }) => (key === "Enter" || key === " ") && goThere());
    return this.stage.lights(focusable(node), { token });
  }

  lay(wide, { text }) {
    const frame = wide ? WIDE : TALL;
    this.names = words(text, MOST_WORDS);
    const places = flow(this.names.map((word, n) => tokenWidth(word, n, frame.size)), frame);
    const middle = (places.at(-1)?.y ?? frame.top) + frame.line - 40 + frame.reach;
    this.frame = { ...frame, places, middle };
    return [frame.width, middle + frame.reach];
  }

  mark(state) {
    const { names, frame } = this, { window, step, cut } = state;
    const now = trace_decode(step, window).at(-1);
    const there = (node, n) => set(node, { display: n < names.length ? null : "none" });
    for (const nodes of [this.words, this.tokens]) nodes.forEach(there);
    names.forEach((word, n) => {
      const kind = n >= step ? "later" : n === step - 1 ? "now" : now.seen.includes(n) ? "seen" : "gone";
      const [text, token] = [this.words[n], this.tokens[n]];
      put(set(text, { "data-kind": kind, "aria-label": `${word}, position ${n}` }), frame.places[n]);
      write(text, word, n, frame.size);
      write(set(token, { "data-kind": kind }), ...fitted(word, n, room(n % window, state, frame)));
    });
    this.slots.forEach((node, slot) => {
      const holds = slot < window && now ? now.held[slot] : EMPTY;
      const kind = holds === EMPTY ? "free" : holds === step - 1 ? "now" : "seen";
      set(node, { "data-held": holds === EMPTY ? null : holds, "data-kind": kind });
      node.lastChild.textContent = slot >= window ? "" : window <= 6 || cut ? `slot ${slot}` : slot;
    });
    this.sum[0].textContent = now ? `${now.position} mod ${window}` : "empty";
    this.sum[1].textContent = now ? `= slot ${now.slot}` : "";
    set(this.grip, { "aria-valuenow": window, "aria-valuemin": 1, "aria-valuemax": MOST_SLOTS });
    this.grip.lastChild.textContent = `W = ${window}`;
    set(this.cut, { "aria-pressed": String(cut) });
    set(this.stage.drawing, { "data-cut": cut, "aria-label": `a ring of ${window} slots` });
    if (this.field.value !== state.text) this.field.value = state.text;
  }

  paint(before, now, t) {
    const { frame } = this;
    const shape = blend(shapeOf(before, frame), shapeOf(now, frame), t);
    this.slots.forEach((node, slot) => {
      set(node.firstChild, { d: outline(slot, shape) });
      put(node.lastChild, inSlot(slot, numberOut(now.window, shape), shape));
    });
    this.names.forEach((_, token) => {
      const node = this.tokens[token];
      const [a, b] = [before, now].map((state) => spot(token, state, shape));
      const [was, is] = [before, now].map(({ step, window }) => step - 1 - token >= window);
      // What is pushed out goes when the new one arrives, and not before; others fly in a curve.
      const [across, down] = was !== is ? [during(t, 0.6, 1)] : [during(t, 0, 0.7), during(t, 0.1, 0.8)];
      put(node, { x: mix(a.x, b.x, across), y: mix(a.y, b.y, down ?? across) });
      node.style.opacity = mix(a.shown, b.shown, a.shown ? during(t, 0.6, 1) : during(t, 0, 0.15));
    });
    const [old, young] = [before, now].map(({ step, window }) => [Math.max(0, step - window), step]);
    this.paintWindow(...young.map((edge, n) => mix(old[n], edge, during(t, 0.1, 0.7))));
    this.sum.forEach((node, n) => put(node, { x: frame.width / 2, y: frame.middle + 32 * n - 16 }));
    this.ends.forEach((node, n) => put(node, bent(n ? 0.45 : -0.45, frame.ends, shape)));
    const seam = oldestSlot(now.window, now.step) / now.window, outer = frame.radius + frame.thick[0] / 2;
    this.scissors.style.transform = `translate(${frame.width / 2}px, ${frame.middle}px) rotate(${seam}turn)`;
    set(this.scissors.firstChild, { d: `M0 ${-outer - 6}v${frame.thick[0] + 12}` });
    put(this.scissors.lastChild, { x: -12, y: -outer - 31 });
  }

  // The bar under the words from `from` to `to`, which may lie within a word; W's grip is its left end.
  paintWindow(from, to) {
    const { places, size, width } = this.frame;
    const bars = places.flatMap(({ x, y, wide }, n) => {
      const [left, right] = [from, to].map((edge) => x + (clamp(edge - n, 0, 1) - 0.5) * wide);
      return left < right ? [{ y: y + size * 0.8, left, right }] : [];
    });
    const start = ({ y, left }, before) => (before?.y === y ? "" : `M${left} ${y}`); // of a line
    set(this.bar, { d: bars.map((bar, n) => `${start(bar, bars[n - 1])}H${bar.right}`).join("") });
    const { left, y } = bars[0] ?? { left: width / 2, y: -99 };
    put(this.grip, { x: Math.max(GRIP, left - GRIP), y });
  }

  // W, if the window began at the word that is nearest to a point.
  windowAt(x, y) {
    const { step } = this.stage.state;
    const grips = this.frame.places.slice(0, step).map((at) => ({ x: at.x - at.wide / 2 - GRIP, y: at.y }));
    const far = grips.map((grip) => Math.hypot(grip.x - x, 3 * (grip.y - y)));
    return step - far.indexOf(Math.min(...far));
  }

  // With a token what its query sees, with a slot every token that it is meant for.
  shine({ window }, lit) {
    const sees = (n) => n <= lit.token && n > lit.token - window;
    const near = (n) => (lit.token === undefined ? n % window === lit.slot : sees(n));
    set(this.stage.drawing, { "data-lit": lit !== null });
    const shining = (node, n) => set(node, { "data-lit": lit && near(n) });
    for (const nodes of [this.words, this.tokens]) nodes.forEach(shining);
    this.slots.forEach((node, slot) =>
      set(node, { "data-lit": lit && (slot === lit.slot || near(Number(node.dataset.held))) }));
  }

  say({ window, step, cut }, lit) {
    const name = (n) => this.names[n] + lowered(n);
    const list = (positions) => positions.map(name).join(" ");
    const steps = trace_decode(this.names.length, window);
    const now = steps[step - 1];
    if (lit?.token !== undefined) {
      const { slot, seen } = steps[lit.token];
      const next = lit.token + window;
      const gone = next < step ? `is gone: ${name(next)} took` : "lies in";
      const key = lit.token < step ? gone : "will go to";
      return `${name(lit.token)} sees ${list(seen)}; its key ${key} slot ${slot}.`;
    }
    if (lit) {
      const held = now?.held[lit.slot] ?? EMPTY;
      const meant = [0, 1, 2].map((n) => lit.slot + n * window).join(", ");
      const holds = held === EMPTY ? "is empty" : `holds ${name(held)}`;
      return `Slot ${lit.slot} takes positions ${meant}, …; now it ${holds}.`;
    }
    if (!now) return `The ring has ${window} slots, and nothing in them yet.`;
    if (cut) {
      const [slots, held] = [[...now.held.keys()], now.held].map((all) => unrotate(all, step));
      return `Cut before the oldest, slots ${slots.join(", ")} read in order: ${list(held)}.`;
    }
    const over = now.evicted === EMPTY ? "which was empty" : `over ${name(now.evicted)}`;
    const where = `slot ${now.position} mod ${window} = ${now.slot}`;
    return `${name(now.position)} goes to ${where}, ${over}. Its query sees ${list(now.seen)}.`;
  }
}

const ring = {
  name: "ring",
  rest: { text: "The cat sat on the mat", window: 4, step: Infinity, cut: false },
  last: ({ text }) => words(text, MOST_WORDS).length,
  settle: ({ text, window, step, cut }) =>
    ({ text, window: clamp(window, 1, MOST_SLOTS), step: clamp(step, 0, ring.last({ text })), cut }),
  build: (stage) => new Ring(stage),
};
export default { render: (context) => void new Stage(ring, context) };
