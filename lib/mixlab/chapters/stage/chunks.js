// Chunked pre-fill: words come down from the prompt and stand behind those of the ring, put in order;
// the mask over [ring | chunk] forms; then the chunk is written into its slots. An odd step reads a
// chunk, the even one after it writes it.

const EMPTY = -1, MOST_SLOTS = 6, MOST_SIZE = 6, MOST_WORDS = 16, MOST_LETTERS = 120;
const LETTERS = 24; // pixels

// A wide place has the ring on the left of the mask, keys along its top; a narrow one has the ring
// above, and keys along its side. `room` is a token's in a slot, `least` its smallest letters.
const WIDE = {
  tall: false, width: 960, top: 30, size: 25, line: 60, gap: 22, room: 114, least: 16,
  ring: { x: 110, y: 82, w: 170, h: 40, dx: 0, dy: 44 }, mask: { left: 350, right: 950, y: 82, h: 38 },
};
const TALL = {
  tall: true, width: 390, top: 24, size: 19, line: 50, gap: 11, room: 50, least: 13,
  ring: { x: 38, y: 74, w: 58, h: 38, dx: 63, dy: 0 }, mask: { left: 142, right: 388, y: 168, h: 29 },
};

const there = (node, is) => set(node, { display: is ? null : "none" });
const range = (from, to) => Array.from({ length: Math.max(0, to - from) }, (_, n) => from + n);

// ---- truth, under the name it has in mixlab.traces.rolling_cache -------------------------------------
export function trace_prefill(n_tokens, window, chunk_size) {
  const chunks = [];
  let held = Array(window).fill(EMPTY);
  for (let start = 0; start < n_tokens; start += chunk_size) {
    const positions = range(start, Math.min(start + chunk_size, n_tokens)), held_before = held;
    const unrotated = held.filter((p) => p !== EMPTY && p > start - window).sort((a, b) => a - b);
    const sees = positions.map((i) => range(0, n_tokens).map((j) => j <= i && i - j < window));
    held = [...held];
    for (const p of positions) held[p % window] = p;
    chunks.push({ positions, held_before, unrotated, sees, held });
  }
  return chunks;
}

// The chunk that a step is about, whether it is read or has been written, and what the ring holds.
export function moment({ window, size, step }, n_tokens) {
  const chunks = trace_prefill(n_tokens, window, size);
  const chunk = chunks[Math.ceil(step / 2) - 1] ?? null, reading = step % 2 === 1;
  const held = chunk ? (reading ? chunk.held_before : chunk.held) : Array(window).fill(EMPTY);
  const keys = chunk ? [...chunk.unrotated, ...chunk.positions] : [];
  const read = chunk ? chunk.positions.at(-1) + 1 : 0; // words that have come down
  return { chunks, chunk, reading, held, keys, read };
}

// later, now (in the chunk), seen (a key of the ring that somebody reads), idle, or gone.
function kindOf(token, { chunk, reading, held, read }) {
  if (token >= read) return "later";
  if (chunk.positions.includes(token) && (reading || held.includes(token))) return "now";
  if (!held.includes(token)) return "gone";
  return reading && !chunk.unrotated.includes(token) ? "idle" : "seen";
}

// ---- place: where a slot, a cell and a token are, in any state ---------------------------------------
const slotAt = (slot, { ring }) => ({ x: ring.x + slot * ring.dx, y: ring.y + slot * ring.dy });

// The middle of the cell of query `row` and key `column`; row -1 is where the keys' names stand.
function cellAt(row, column, { mask, tall, across }) {
  if (tall) return { x: row < 0 ? 66 : mask.left + (row + 0.5) * across, y: mask.y + column * mask.h };
  return { x: mask.left + (column + 0.5) * across, y: mask.y + (row + 1) * mask.h };
}

export function spot(token, now, { window }, frame) {
  const column = now.reading ? now.keys.indexOf(token) : -1;
  if (token >= now.read) return { ...frame.places[token], shown: 0 };
  if (column >= 0) return { ...cellAt(-1, column, frame), shown: 1 };
  const { x, y } = slotAt(token % window, frame), lies = now.held.includes(token);
  return lies ? { x, y, shown: 1 } : { x: x - 60 * !frame.tall, y: y + 30 * frame.tall, shown: 0 }; // pushed out
}

// A name that fits, its position and size: smaller letters first, then fewer of them.
function shortened(word, n, most, least) {
  const size = clamp((LETTERS * most) / tokenWidth(word, n, LETTERS), least, LETTERS);
  let name = word;
  for (let k = word.length; --k && tokenWidth(name, n, size) > most + 1; ) name = `${word.slice(0, k)}…`;
  return [name, n, size];
}

// ---- the piece ---------------------------------------------------------------------------------------
class Chunks {
  constructor(stage) {
    this.stage = stage;
    const layer = (name) => stage.drawing.appendChild(svg("g", { class: name }));
    const many = (most, group, make) => range(0, most).map((n) => group.appendChild(make(n)));
    const grid = layer("mask"), ring = layer("ring"), box = (rx) => svg("rect", { rx });
    this.cells = many(MOST_SIZE, grid, (row) =>
      stage.lights(svg("g", {}, ...range(0, MOST_SLOTS - 1 + MOST_SIZE).map(() => box(4))), { row }));
    this.asking = many(MOST_SIZE, grid, (row) => stage.lights(svg("text", { class: "asks" }), { row }));
    const sign = (name) => grid.appendChild(svg("text", { class: "sign" }, name));
    this.signs = ["ring, in order", "the chunk", "the ring"].map(sign);
    this.slots = many(MOST_SLOTS, ring, (slot) =>
      stage.lights(svg("g", { class: "slot" }, box(8), svg("text"), svg("text", { class: "ghost" })), { slot }));
    const bars = layer("bars"), bar = (kind) => bars.appendChild(svg("path", { "data-kind": kind }));
    this.bars = ["seen", "now", "later"].map(bar);
    // One node a token for life, and one for its word in the prompt, which stays where it is.
    this.words = many(MOST_WORDS, layer("text"), (token) => this.word(token));
    this.tokens = many(MOST_WORDS, layer("chips"), () => svg("g", { class: "chip" }, box(8), svg("text")));
    this.grips = { window: this.grip("window", "window W"), size: this.grip("size", "tokens a chunk") };
    const by = (name, change) => () => stage.go({ [name]: stage.state[name] + change });
    Object.assign(stage.keys, { "+": by("size", 1), "-": by("size", -1) });
    Object.assign(stage.keys, { "shift+ArrowUp": by("window", 1), "shift+ArrowDown": by("window", -1) });
    this.field = stage.field("your own prompt", MOST_LETTERS, (text) => stage.go({ text, step: Infinity }));
  }

  grip(name, title) {
    const { stage } = this, value = () => stage.state[name], change = (to) => stage.go({ [name]: to });
    const at = (x, y) => this[`${name}At`](x, y);
    const node = stage.drawing.appendChild(svg("g", { class: "grip" }, svg("rect"), svg("text")));
    stage.handle(node, title, { value, change, at });
    return node;
  }

  word(token) {
    const node = svg("g", { class: "word", role: "button" }, svg("rect"), svg("text"));
    const goThere = () => this.stage.go({ step: 2 * Math.floor(token / this.stage.state.size) + 1 });
    node.addEventListener("click", goThere);
    node.addEventListener("keydown", ({ key }) => (key === "Enter" || key === " ") && goThere());
    return this.stage.lights(focusable(node), { token });
  }

  lay(wide, { text, window, size }) {
    const frame = wide ? WIDE : TALL, { ring, mask, tall } = frame;
    this.names = words(text, MOST_WORDS);
    const places = flow(this.names.map((word, n) => tokenWidth(word, n, frame.size)), frame);
    const below = (places.at(-1)?.y ?? frame.top) + 8;
    const columns = window - 1 + size, lines = tall ? size : columns;
    const across = Math.min(tall ? 50 : 92, (mask.right - mask.left) / lines);
    const lower = (part) => ({ ...part, y: below + part.y });
    this.frame = { ...frame, places, across, ring: lower(ring), mask: lower(mask) };
    const foot = mask.y + (tall ? columns : size + 0.5) * mask.h;
    return [frame.width, below + Math.max(foot, ring.y + window * ring.dy + 18)];
  }

  mark(state) {
    const { names, frame } = this, now = moment(state, names.length);
    this.markTokens(now);
    this.markRing(now, state.window);
    this.markMask(now);
    this.markBars(now, state.size);
    this.markGrips(state);
    const drawn = `chunks of ${state.size}, and a ring of ${state.window} slots`;
    set(this.stage.drawing, { "data-reading": now.reading, "aria-label": drawn });
    if (this.field.value !== state.text) this.field.value = state.text;
    for (const nodes of [this.words, this.tokens]) nodes.forEach((node, n) => there(node, n < names.length));
  }

  markTokens(now) {
    const { tall, ring, places, size, across } = this.frame;
    this.names.forEach((word, n) => {
      const kind = kindOf(n, now), column = now.reading && now.keys.includes(n), wide = places[n].wide;
      const node = set(this.words[n], { "data-kind": kind, "aria-label": `${word}, position ${n}` });
      set(node.firstChild, { x: -wide / 2 - 5, width: wide + 10, y: -size, height: size * 1.5 });
      label(node.lastChild, word, n, size);
      put(node, places[n]);
      const room = column ? (tall ? 116 : across - 10) : this.frame.room;
      const token = set(this.tokens[n], { "data-kind": kind }), high = tall ? 25 : 30;
      label(token.lastChild, ...shortened(word, n, room, this.frame.least));
      set(token.firstChild, { x: -room / 2 - 2, width: room + 4, y: -high / 2, height: high });
    });
  }

  // The keys that a chunk reads are lifted to its mask; their slots go on holding them.
  markRing({ held, keys, reading, chunk }, window) {
    const { ring, tall } = this.frame;
    this.slots.forEach((node, slot) => {
      const token = held[slot] ?? EMPTY, [box, number, ghost] = node.children;
      const kind = token === EMPTY ? "free" : !reading && chunk.positions.includes(token) ? "now" : "seen";
      set(there(node, slot < window), { "data-held": token === EMPTY ? null : token, "data-kind": kind });
      put(node, slotAt(slot, this.frame));
      set(box, { x: -ring.w / 2, y: -ring.h / 2, width: ring.w, height: ring.h });
      put(number, tall ? { x: 0, y: ring.h / 2 + 12 } : { x: -ring.w / 2 - 12, y: 0 });
      number.textContent = slot;
      const lifted = reading && keys.includes(token), { room, least } = this.frame;
      if (there(ghost, lifted) && lifted) label(ghost, ...shortened(this.names[token], token, room, least));
    });
    put(this.signs[2], { x: tall ? 38 : ring.x, y: ring.y - (tall ? 30 : 34) });
  }

  markMask({ chunk, keys }) {
    const { frame } = this, { mask, tall, across } = frame, [w, h] = [across - 5, mask.h - 5];
    const first = chunk?.unrotated.length ?? 0;
    this.cells.forEach((node, row) => {
      const query = chunk?.positions[row], name = this.asking[row];
      for (const one of [node, name]) there(one, query !== undefined);
      if (query === undefined) return;
      [...node.children].forEach((cell, column) => {
        const { x, y } = cellAt(row, column, frame), seen = chunk.sees[row][keys[column]];
        const kind = !seen ? "hidden" : column < first ? "seen" : "now";
        set(there(cell, column < keys.length), { x: x - w / 2, y: y - h / 2, width: w, height: h, "data-kind": kind });
      });
      if (tall) name.textContent = query;
      else label(name, this.names[query], query, 19);
      put(name, tall ? cellAt(row, -0.95, frame) : { x: mask.left - 14, y: cellAt(row, 0, frame).y });
    });
    const between = (from, to) => (cellAt(-1, from, frame).x + cellAt(-1, to - 1, frame).x) / 2;
    put(there(this.signs[0], first && !tall), { x: between(0, first), y: mask.y - 34 });
    put(there(this.signs[1], chunk && !tall), { x: between(first, keys.length), y: mask.y - 34 });
  }

  markGrips({ window, size }) {
    const { places, ring, tall, size: letters } = this.frame, last = slotAt(window - 1, this.frame);
    const end = places[Math.min(size, places.length) - 1];
    put(this.grips.window, tall ? { x: Math.min(last.x + 4, 340), y: ring.y - 32 } : { x: last.x, y: last.y + 34 });
    if (end) put(this.grips.size, { x: end.x + end.wide / 2 - 2, y: end.y + letters * 0.85 });
    there(this.grips.size, end);
    for (const [grip, name, now, most] of [["window", "W", window, MOST_SLOTS], ["size", "n", size, MOST_SIZE]]) {
      set(this.grips[grip], { "aria-valuenow": now, "aria-valuemin": 1, "aria-valuemax": most });
      this.grips[grip].lastChild.textContent = `${name} = ${now}`;
    }
  }

  // A line under each chunk: those read, the one being read, and those to come.
  markBars({ chunks, chunk }, size) {
    const { places, size: letters } = this.frame, at = chunks.indexOf(chunk), paths = ["", "", ""];
    places.forEach(({ x, y, wide }, n) => {
      const number = Math.floor(n / size), goesOn = (n + 1) % size && places[n + 1]?.y === y;
      const right = goesOn ? places[n + 1].x - places[n + 1].wide / 2 : x + wide / 2;
      paths[number < at ? 0 : number === at ? 1 : 2] += `M${x - wide / 2} ${y + letters * 0.55}H${right}`;
    });
    this.bars.forEach((node, n) => set(node, { d: paths[n] }));
  }

  paint(before, now, t) {
    const [then, here] = [before, now].map((state) => moment(state, this.names.length));
    this.names.forEach((_, token) => {
      const a = spot(token, then, before, this.frame), b = spot(token, here, now, this.frame);
      put(this.tokens[token], { x: mix(a.x, b.x, during(t, 0, 0.75)), y: mix(a.y, b.y, during(t, 0.1, 0.85)) });
      this.tokens[token].style.opacity = mix(a.shown, b.shown, a.shown ? during(t, 0.5, 1) : during(t, 0, 0.2));
    });
  }

  // W, if the ring ended at a point; and n, if the first chunk did.
  windowAt(x, y) {
    const { ring, tall } = this.frame;
    return Math.round(tall ? (x - ring.x) / ring.dx : (y - 34 - ring.y) / ring.dy) + 1;
  }

  sizeAt(x, y) {
    const ends = this.frame.places.slice(0, MOST_SIZE).map((at) => [at.x + at.wide / 2, at.y + 20]);
    const far = ends.map((end) => Math.hypot(end[0] - x, 3 * (end[1] - y)));
    return far.indexOf(Math.min(...far)) + 1;
  }

  tokenOf(state, lit) {
    return lit.row === undefined ? lit.token : moment(state, this.names.length).chunk?.positions[lit.row];
  }

  // With a query what it sees, with a slot every token that it is meant for.
  shine(state, lit) {
    const token = lit && this.tokenOf(state, lit), { chunk } = moment(state, this.names.length);
    const { window } = state, sees = (n) => n <= token && n > token - window;
    const near = (n) => (token === undefined ? n % window === lit.slot : sees(n));
    set(this.stage.drawing, { "data-lit": lit !== null });
    const shining = (nodes, when) => nodes.forEach((node, n) => set(node, { "data-lit": lit && when(n, node) }));
    for (const nodes of [this.words, this.tokens]) shining(nodes, near);
    shining(this.slots, (slot, { dataset }) => slot === lit.slot || near(Number(dataset.held ?? NaN)));
    for (const nodes of [this.cells, this.asking]) shining(nodes, (row) => chunk?.positions[row] === token);
  }

  say(state, lit) {
    const { window, step } = state, now = moment(state, this.names.length), { chunks, chunk, held, keys } = now;
    const name = (n) => this.names[n] + lowered(n), list = (positions) => positions.map(name).join(" ");
    const token = lit && this.tokenOf(state, lit);
    if (lit && token !== undefined) {
      const seen = range(Math.max(0, token - window + 1), token + 1);
      const slot = `slot ${token} mod ${window} = ${token % window}`;
      return `${name(token)} sees ${list(seen)}; its key is written to ${slot}.`;
    }
    if (lit) {
      const holds = held[lit.slot] === EMPTY ? "is empty" : `holds ${name(held[lit.slot])}`;
      const meant = [0, 1, 2].map((n) => lit.slot + n * window).join(", ");
      return `Slot ${lit.slot} takes positions ${meant}, …; now it ${holds}.`;
    }
    if (!chunk) return `${chunks.length} chunks to read; the ring has ${window} slots, and nothing in them yet.`;
    const which = `Chunk ${Math.ceil(step / 2)} of ${chunks.length}`;
    if (now.reading) {
      const useful = chunk.sees.flat().filter(Boolean).length, all = keys.length * chunk.positions.length;
      const from = chunk.unrotated.length ? `${list(chunk.unrotated)} from the ring, then itself` : "itself alone";
      return `${which} reads ${from}: ${useful} of ${all} scores are of use.`;
    }
    const kept = chunk.positions.filter((p) => held.includes(p));
    const over = chunk.held_before.filter((p) => p !== EMPTY && !held.includes(p)).sort((a, b) => a - b);
    const onto = over.length ? `, over ${list(over)}` : "";
    const slots = `slot${kept.length > 1 ? "s" : ""} ${kept.map((p) => p % window).join(", ")}`;
    return `${which} is written: ${list(kept)} to ${slots}${onto}.`;
  }
}

const chunks = {
  name: "chunks",
  rest: { text: "Can you tell me who is the richest man in history", window: 4, size: 3, step: 5 },
  last: ({ text, size }) => 2 * Math.ceil(words(text, MOST_WORDS).length / clamp(size, 1, MOST_SIZE)),
  settle: ({ text, window, size, step }) => ({
    text, window: clamp(window, 1, MOST_SLOTS),
    size: clamp(size, 1, MOST_SIZE), step: clamp(step, 0, chunks.last({ text, size })),
  }),
  build: (stage) => new Chunks(stage),
};
export default { render: (context) => void new Stage(chunks, context) };
