// The window's mask as a grid of words: query i sees key j when 0 <= i - j < W. With more than one
// layer the words bear a stack: a query reaches further with every layer, and a far word comes to it.

const MOST_WORDS = 14, MOST_LAYERS = 6, MOST_LETTERS = 140, LONG_WORD = /^(.{8})..+$/;
const ASIDE = 46; // pixels from the middle of W's grip to the edge that it moves
const SHEETS = "M4 7l8-4 8 4-8 4zM4 12l8 4 8-4M9 20h6", MORE_SHEETS = `${SHEETS}M12 17v6`;
const TILT = -50, [ALONG, UP] = [Math.cos, Math.sin].map((part) => part((Math.PI * TILT) / 180));

// A wide and a narrow drawing: sides, letters, and how far apart cells, states and layers may be.
const WIDE = { width: 960, height: 470, sides: [96, 104], letters: [23, 18], apart: [62, 96, 128] };
const TALL = { width: 390, height: 430, sides: [78, 34], letters: [18, 16], apart: [46, 52, 96] };

// ---- truth, under the names it has in mixlab ---------------------------------------------------------
// As mixlab.transformer.window.
export const visible = (query, key, window) => 0 <= query - key && query - key < window;
export const first_visible = (query, window) => Math.max(0, query - window + 1);
export const n_visible_pairs = (seq, window) =>
  upTo(seq).reduce((pairs, query) => pairs + Math.min(query + 1, window), 0);

// As mixlab.chapters.receptive_field.traces: the input tokens that each token depends on after each
// layer, the states that one token's last state depends on, and who hands a key on to a query.
export function reach(windows, seq) {
  const known = [table(seq, (i, j) => i === j)];
  for (const window of windows) {
    const below = known.at(-1);
    known.push(table(seq, (i, j) => below.some((row, k) => visible(i, k, window) && row[j])));
  }
  return known;
}
const alike = (window, n_layers, query) => reach(Array(n_layers).fill(window), query + 1);
export const cone = (window, n_layers, query) =>
  alike(window, n_layers, query).map((known) => known[query]).reverse();
export const relay = (window, n_layers, key, query) =>
  alike(window, n_layers, query).map((known) => known.findLastIndex((row) => row[key]));

const upTo = (n) => [...Array(n).keys()];
const table = (seq, cell) => upTo(seq).map((i) => upTo(seq).map((j) => cell(i, j)));
const count = (row) => row.filter(Boolean).length;
// The farthest word that all layers together bring to the query.
const farthest = ({ window, layers, query }) => cone(window, layers, query)[0].indexOf(true);

// ---- place: where a word, a cell of the grid and a state of the stack are -----------------------------
function placesOf(base, names, layers) {
  const { width, height, sides: [left, right], letters: [size, least], apart: [cell, across, up] } = base;
  const seq = Math.max(names.length, 1), room = width - left - right;
  const long = (letters) => Math.max(0, ...names.map((word, n) => tokenWidth(word, n, letters)));
  // Level words where they fit; else smaller ones that slant, and take `high` pixels.
  const fit = (most, tall) => {
    const part = Math.min(most, room / seq, tall / seq), high = -UP * long(least);
    if (long(size) < part - 8) return { part, letters: size, high: 0 };
    return { part: Math.min(most, room / seq, (tall - high) / seq), letters: least, high };
  };
  const [grid, stack] = [fit(cell, height - 88), fit(across, Infinity)];
  Object.assign(grid, { left: left + (room - grid.part * seq) / 2, top: height - 48 - grid.part * seq });
  Object.assign(stack, { left: left + (room - stack.part * (seq - 1)) / 2, foot: height - 48 - stack.high });
  return { width, height, least, seq, grid, stack, gap: Math.min(up, (stack.foot - 66) / layers) };
}
const cellAt = ({ grid: g }, i, j) => ({ x: g.left + g.part * (j + 0.5), y: g.top + g.part * (i + 0.5) });
const stateAt = ({ stack: s, gap }, layer, n) => ({ x: s.left + s.part * n, y: s.foot - gap * layer });
const between = (a, b, t) => ({ x: mix(a.x, b.x, t), y: mix(a.y, b.y, t) });
const line = (points) => (points.length ? `M${points.map(({ x, y }) => `${x} ${y}`).join("L")}` : "");
const named = (kind) => svg("g", { class: kind }, svg("rect"), svg("text"));
const show = (node, shown) => set(node, { display: shown ? null : "none" });
const fade = (node, part) => (show(node, part).style.opacity = part);

// Where the middle of a word is: over its column of the grid, or under the stack that it bears.
export function spot(token, wide, { layers }, places) {
  const { high } = layers > 1 ? places.stack : places.grid;
  const [way, gap] = layers > 1 ? [-1, 16] : [1, 10]; // from the column's end to the word's middle
  const end = layers > 1 ? stateAt(places, 0, token) : cellAt(places, -0.5, token);
  const far = way * (wide / 2 + gap);
  if (!high) return { x: end.x, y: end.y - way * (gap + 9), turn: 0 };
  return { x: end.x + far * ALONG, y: end.y + far * UP, turn: TILT };
}

// ---- the piece ---------------------------------------------------------------------------------------
class WindowMask {
  constructor(stage) {
    this.stage = stage;
    const layer = (name) => stage.drawing.appendChild(svg("g", { class: name }));
    const many = (most, group, make) => upTo(most).map((n) => group.appendChild(make(n)));
    const texts = (most, group, name) => many(most, group, () => svg("text", { class: name }));
    const square = (group, make) =>
      upTo(MOST_WORDS).map((n) => many(MOST_WORDS, group, (k) => stage.lights(...make(n, k))));
    [this.mask, this.stack] = [layer("mask"), layer("stack")];
    this.cells = square(this.mask, (query, key) => [svg("rect", { class: "cell" }), { query, key }]);
    this.queries = many(MOST_WORDS, this.mask, (query) => this.word({ query }));
    this.head = this.mask.appendChild(svg("text", { class: "head" }, "query ↓ key →"));
    this.frame = this.mask.appendChild(svg("rect", { class: "frame" }));
    this.distances = texts(MOST_WORDS, this.mask, "distance");
    [this.net, this.reads, this.way] = ["net", "reads", "way"].map((name) =>
      this.stack.appendChild(svg("path", { class: name })));
    this.states = square(this.stack, (layer, token) =>
      [svg("circle", { class: "state" }), layer ? { layer, token } : { key: token }]);
    [this.levels, this.sums] = ["level", "sum"].map((name) => texts(MOST_LAYERS + 1, this.stack, name));
    this.words = many(MOST_WORDS, layer("text"), (key) => this.word({ key }));
    this.pill = named("pill");
    this.grip = stage.drawing.appendChild(svg("g", { class: "grip" }, svg("path"), svg("path"), this.pill));
    [this.asker, this.traveller] = ["asker", "traveller"].map((name) => this.stack.appendChild(named(name)));
    const value = () => stage.state.window, change = (window) => stage.go({ window });
    stage.handle(this.grip, "window W", { value, change, at: (x, y) => this.windowAt(x, y) });
    const [wider, narrower] = [1, -1].map((by) => () => change(value() + by));
    const [more, fewer] = [1, -1].map((by) => () => this.ask(stage.state.query, stage.state.layers + by));
    Object.assign(stage.keys, { "shift+ArrowUp": wider, "shift+ArrowDown": narrower, "+": more, "-": fewer });
    stage.button("take a layer away (-)", SHEETS, fewer);
    stage.button("add a layer (+)", MORE_SHEETS, more);
    const typed = (text) => stage.go({ text, query: Infinity, step: Infinity });
    this.field = stage.field("your own text", MOST_LETTERS, typed);
  }

  word(lit) {
    const node = focusable(set(named("word"), { role: "button" }));
    const ask = () => this.ask(lit.query ?? lit.key, this.stage.state.layers);
    node.addEventListener("click", ask);
    node.addEventListener("keydown", ({ key }) => (key === "Enter" || key === " ") && ask());
    return this.stage.lights(node, lit);
  }

  // With one layer, time is the query that acts; with more, the layers that have worked.
  ask(query, layers) {
    this.stage.go({ query, layers, step: layers > 1 ? layers : query });
  }

  lay(wide, { text, layers }) {
    this.names = words(text, MOST_WORDS).map((word) => word.replace(LONG_WORD, "$1…"));
    this.places = placesOf(wide ? WIDE : TALL, this.names, Math.max(layers, 2));
    return [this.places.width, this.places.height];
  }

  write(node, n, size) {
    const wide = tokenWidth(this.names[n], n, size);
    label(node.lastChild, this.names[n], n, size);
    set(node.firstChild, { x: -wide / 2 - 7, width: wide + 14 });
    return wide;
  }

  mark(state) {
    const { window, layers, query, step } = state, { names, places } = this, { grid, least } = places;
    const high = layers > 1, looks = cone(window, step, query);
    const sees = (n) => (high ? looks[0][n] : visible(query, n, window));
    const kind = (n) => (n === query ? "now" : n > query ? "later" : sees(n) ? "seen" : "gone");
    for (const nodes of [this.words, this.queries]) nodes.forEach((node, n) => show(node, n < names.length));
    this.wide = names.map((word, n) => {
      const asker = this.queries[n], wide = this.write(asker, n, Math.min(grid.letters, least + 2));
      set(asker, { "data-kind": n === query ? "now" : "later", "aria-label": `query ${word}, ${n}` });
      put(asker, { x: grid.left - wide / 2 - 12, y: cellAt(places, n, 0).y });
      set(this.words[n], { "data-kind": kind(n), "aria-label": `key ${word}, ${n}` });
      return this.write(this.words[n], n, (high ? places.stack : grid).letters);
    });
    this.cells.forEach((row, i) => row.forEach((node, j) => {
      const { x, y } = cellAt(places, i - 0.5, j - 0.5), side = grid.part - 2.5;
      const fate = i < j ? "later" : !visible(i, j, window) ? "gone" : i === j ? "self" : "seen";
      set(show(node, Math.max(i, j) < names.length), { x, y, width: side, height: side });
      set(node, { "data-kind": fate, "data-row": i === query });
    }));
    this.distances.forEach((node, key) => {
      node.textContent = query - key;
      show(set(node, { "data-kind": kind(key) }), key <= query && key < names.length && grid.part >= 28);
    });
    put(this.head, { x: grid.left - 12, y: grid.top - 19 });
    this.states.forEach((row, layer) => row.forEach((node, token) => {
      const lit = looks[layer]?.[token], { x, y } = stateAt(places, layer, token);
      set(show(node, layer <= layers && token < names.length), { cx: x, cy: y, r: lit ? 9 : 5 });
      set(node, { "data-kind": layer > step ? "later" : !lit ? "gone" : layer === step ? "now" : "seen" });
      node.style.setProperty("--wait", `${0.4 * (1 - layer / Math.max(step, 1))}s`);
    }));
    this.levels.forEach((node, layer) => {
      node.textContent = layer > layers ? "" : layer ? `layer ${layer}` : "text";
      this.sums[layer].textContent = layer < step ? count(looks[layer]) : "";
      put(node, stateAt(places, layer, -20 / places.stack.part));
      put(this.sums[layer], stateAt(places, layer, places.seq - 1 + 20 / places.stack.part));
    });
    set(this.net, { d: this.wires(layers, () => true, window, () => 1) });
    if (names.length) this.write(this.asker, query, least);
    set(this.grip, { "aria-valuenow": window, "aria-valuemin": 1, "aria-valuemax": MOST_WORDS });
    this.pill.lastChild.textContent = `W = ${window}`;
    set(this.stage.drawing, { "aria-label": high ? `a stack of ${layers} layers` : "the window's mask" });
    if (this.field.value !== state.text) this.field.value = state.text;
  }

  // From each state of a layer to those that it reads, as far as these lines have grown.
  wires(n_layers, lit, window, grown) {
    const tokens = upTo(this.names.length), at = (layer, token) => stateAt(this.places, layer, token);
    return upTo(n_layers).flatMap((layer) => tokens.flatMap((i) => tokens.map((j) => {
      if (!visible(i, j, window) || !lit(layer + 1, i) || !lit(layer, j)) return "";
      return line([at(layer + 1, i), between(at(layer + 1, i), at(layer, j), grown(layer))]);
    }))).join("");
  }

  paint(before, now, t) {
    const { places, names, asker } = this, { grid } = places, { window, layers, query, step } = now;
    const high = mix(...[before, now].map((state) => Number(state.layers > 1)), during(t, 0, 0.6));
    fade(this.mask, 1 - high);
    fade(this.stack, names.length ? high : 0);
    names.forEach((_, n) => {
      const [a, b] = [before, now].map((state) => spot(n, this.wide[n], state, places));
      const { x, y } = between(a, b, during(t, 0, 0.7)), turn = mix(a.turn, b.turn, during(t, 0, 0.7));
      this.words[n].style.transform = `translate(${x}px, ${y}px) rotate(${turn}deg)`;
    });
    const [row, wide] = ["query", "window"].map((name) => mix(before[name], now[name], during(t, 0, 0.6)));
    const sees = Math.min(wide, row + 1), { x, y } = cellAt(places, row - 0.5, row - sees + 0.5);
    set(this.frame, { x, y, width: sees * grid.part, height: grid.part });
    this.distances.forEach((node, key) => put(node, cellAt(places, row, key)));
    this.paintEdge(now, wide);
    if (layers === 1 || !names.length) return;
    // The query looks down through the layers; then the far word comes up one more.
    const looks = cone(window, step, query), still = before.step === step && before.query === query;
    const since = (layer) => 0.4 * (1 - layer / step);
    const grown = (layer) => (still ? 1 : during(t, since(layer + 1), since(layer) + 0.05));
    set(this.reads, { d: this.wires(step, (layer, token) => looks[layer][token], window, grown) });
    put(asker, stateAt(places, step, query));
    const same = before.layers > 1 && before.query === query && farthest(before) === farthest(now);
    this.travel(now, farthest(now), mix(same ? Math.min(before.step, layers) : 0, step, during(t, 0.4, 1)));
  }

  // A key's way to the query, as far as it has come when `time` layers have worked, and its word there.
  travel({ window, layers, query }, key, time) {
    const way = relay(window, layers, Math.min(key, query), query).map((n, m) => stateAt(this.places, m, n));
    const [done, next] = [Math.floor(time), Math.ceil(time)], at = between(way[done], way[next], time - done);
    set(this.way, { d: line(key < query ? [...way.slice(0, done + 1), at] : []) });
    this.write(show(set(this.traveller, { "data-key": key }), key < query), key, this.places.least);
    put(this.traveller, { x: at.x, y: at.y - 31 });
  }

  // W's grip hangs at the lower end of the band's edge, or beside the widest step that the query takes.
  paintEdge({ layers, query, step, window }, wide) {
    const { places } = this, { seq } = places, top = Math.max(step, 1);
    const corner = (i, key) => cellAt(places, i - 0.5, clamp(key, 0, seq) - 0.5);
    const stair = (i) => [corner(i, i - wide), corner(i, i - wide + 1), corner(i + 1, i - wide + 1)];
    const hidden = upTo(seq).filter((i) => layers === 1 && i > wide - 1);
    this.grip.querySelectorAll("path").forEach((edge) => set(edge, { d: line(hidden.flatMap(stair)) }));
    const reads = stateAt(places, top - 1, first_visible(query, window)), foot = corner(seq, seq - wide);
    const beside = between(stateAt(places, top, query), reads, 0.5);
    put(this.pill, layers > 1 ? { x: beside.x - ASIDE, y: beside.y - 4 } : { x: foot.x, y: foot.y + 20 });
  }

  // W, if its edge ran through a point.
  windowAt(x, y) {
    const { places } = this, { grid, stack } = places, { layers, query } = this.stage.state;
    if (layers > 1) return 1 + Math.round((2 * (stateAt(places, 0, query).x - ASIDE - x)) / stack.part);
    const row = clamp(Math.floor((y - grid.top) / grid.part), 0, places.seq - 1);
    return row + 1 - Math.round((x - grid.left) / grid.part);
  }

  // With a query its row, with a key its column or its way, with a state all that it knows.
  shine(state, lit) {
    const { window, layers, query, step } = state, high = layers > 1, { query: asks, key, layer } = lit ?? {};
    const knows = layer && cone(window, layer, lit.token);
    const way = high && key <= query ? relay(window, step, key, query) : [];
    const sees = (i, j) => !(asks >= 0 && key >= 0) && visible(i, j, window); // not with a single cell
    const cell = (i, j) => (i === asks ? j === key || sees(i, j) : j === key && sees(i, j));
    const word = (n) => n === key || (knows ? knows[0][n] : !high && sees(asks, n));
    const shining = (test) => (node, n) => set(node, { "data-lit": lit && test(n) });
    set(this.stage.drawing, { "data-lit": lit !== null });
    this.words.forEach(shining(word));
    this.queries.forEach(shining((n) => n === asks || sees(n, key)));
    this.cells.forEach((row, i) => row.forEach(shining((j) => cell(i, j))));
    this.states.forEach((row, m) => row.forEach(shining((n) => (knows ? knows[m]?.[n] : way[m] === n))));
    if (high && this.names.length) this.travel(state, key ?? farthest(state), step);
  }

  say(state, lit) {
    const { window, layers, step, query: now } = state, all = upTo(this.names.length);
    if (!all.length) return "Type a sentence: each word is a query and a key.";
    const name = (n) => this.names[n] + lowered(n), list = (tokens) => tokens.map(name).join(" ");
    if (layers === 1) {
      const { key, query = key >= 0 ? -1 : now } = lit ?? {};
      if (query < 0) return `${name(key)} is seen by ${list(all.filter((n) => visible(n, key, window)))}.`;
      const seen = all.filter((n) => visible(query, n, window));
      const far = `${query} − ${key} = ${String(query - key).replace("-", "−")}`;
      const [sees, is] = seen.includes(key) ? ["sees", "is"] : ["doesn't see", "isn't"];
      if (key >= 0) return `${name(query)} ${sees} ${name(key)}: ${far} ${is} among 0 … ${window - 1}.`;
      const [shown, pairs] = [window, Infinity].map((wide) => n_visible_pairs(all.length, wide));
      const total = `In all, W = ${window} shows ${shown} of ${pairs} scores.`;
      return `${name(query)} sees ${seen.length}: ${list(seen)}. ${total}`;
    }
    const { layer = step, token = now, key = farthest(state) } = lit ?? {};
    if (key > now) return `${name(key)} comes after ${name(now)}, and never reaches it.`;
    const after = layer ? `After layer ${layer}` : "Before layer 1";
    const way = [...new Set(relay(window, step, key, now))], route = way.map(name).join(" → ");
    if (lit?.key >= 0) return `${after}: ${route}${way.at(-1) === now ? "" : `, and not yet ${name(now)}`}.`;
    const known = cone(window, layer, token)[0], n = count(known), whole = layer * (window - 1) + 1;
    const sum = whole === n ? `: ${n} = ${layer}·(${window} − 1) + 1 words` : ", where the text begins";
    const travelled = lit || way.length < 2 ? "" : ` The way: ${route}.`;
    return `${after} ${name(token)} reaches back to ${name(known.indexOf(true))}${sum}.${travelled}`;
  }
}

const window = {
  name: "window",
  rest: { text: "The cat sat on the mat", window: 3, layers: 1, query: Infinity, step: Infinity },
  last: ({ text, layers }) => (layers > 1 ? layers : Math.max(0, words(text, MOST_WORDS).length - 1)),
  settle({ text, window: wide, layers: high, query, step }) {
    const layers = clamp(high, 1, MOST_LAYERS), now = clamp(step, 0, this.last({ text, layers }));
    const asks = layers > 1 ? clamp(query, 0, this.last({ text, layers: 1 })) : now;
    return { text, window: clamp(wide, 1, MOST_WORDS), layers, query: asks, step: now };
  },
  build: (stage) => new WindowMask(stage),
};
export default { render: (context) => void new Stage(window, context) };
