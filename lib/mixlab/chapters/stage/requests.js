// A batch of prompts, read in chunks and continued: above, every prompt's tokens; below, the mask of one
// pass, query by key. A key flies from its prompt into its column and stays while a ring holds it.

const MOST_PROMPTS = 5, MOST_WORDS = 18, MOST_LETTERS = 160, NEW_WORDS = 4, MOST_KEYS = 8, PADDING = -1;
const STAGES = { packed: "End to end", "first chunk": "First chunk", "later chunk": "Later chunk", decode: "Decoding" };

const WIDE = {
  width: 960, top: 22, line: 32, left: 110, pitch: 74, high: 24, grid: 96, cells: [680, 244], most: 40,
  middle: 520, foot: 74, tracks: [60, 740], track: 160, name: 19,
};
const TALL = {
  width: 390, top: 20, line: 30, left: 88, pitch: 24, high: 19, grid: 92, cells: [286, 300], most: 30,
  middle: 240, foot: 108, tracks: [22, 216], track: 150, name: 12,
};

// ---- truth, under the names it has in mixlab.chapters.packed_prompts.traces ----------------------------
const range = (from, to) => Array.from({ length: Math.max(0, to - from) }, (_, n) => from + n);

// Every mask that the prompts meet: read in chunks, then `n_decode` new tokens a prompt.
export function trace_request(lengths, window, chunk_size, n_decode) {
  const seen = lengths.map(() => 0), passes = [], prompts = range(0, lengths.length);
  const add = (stage, mask_name, blocks, sees) => {
    const [query_prompt, key_prompt] = ["queries", "keys"].map((kind) =>
      blocks.flatMap((block) => block[kind].map(() => block.prompt)));
    const [query_position, key_position] = ["queries", "keys"].map((kind) => blocks.flatMap((block) => block[kind]));
    const mask = query_prompt.map((prompt, q) =>
      key_prompt.map((owner, k) => prompt === owner && sees(query_position[q], key_position[k])));
    passes.push({ stage, mask_name, query_prompt, query_position, key_prompt, key_position, mask });
  };
  while (prompts.some((prompt) => seen[prompt] < lengths[prompt])) {
    const active = prompts.filter((prompt) => seen[prompt] < lengths[prompt]);
    const first = active.every((prompt) => !seen[prompt]);
    const blocks = active.map((prompt) => {
      const end = Math.min(seen[prompt] + chunk_size, lengths[prompt]);
      const oldest = Math.max(0, seen[prompt] - window + 1); // that the ring holds and a query sees
      return { prompt, queries: range(seen[prompt], end), keys: range(oldest, end) };
    });
    const local = first ? "LocalAttention" : "LocalAttentionFromBottomRight";
    const sees = (query, key) => key <= query && query - key < window;
    add(first ? "first chunk" : "later chunk", `BlockDiagonalCausal${local}Mask`, blocks, sees);
    for (const { prompt, queries } of blocks) seen[prompt] = queries.at(-1) + 1;
  }
  for (const _ of range(0, n_decode)) {
    const blocks = prompts.map((prompt) => {
      const last = seen[prompt]++;
      const keys = range(0, window).map((slot) => {
        const position = last - ((((last - slot) % window) + window) % window); // the newest in this slot
        return position < 0 ? PADDING : position;
      });
      return { prompt, queries: [last], keys };
    });
    add("decode", "BlockDiagonalCausalWithOffsetPaddedKeysMask", blocks, (_, key) => key !== PADDING);
  }
  return passes;
}

// Prompts stand between slashes; the last ones lose what is too much for all together.
export function promptsOf(text) {
  const typed = text.split("/").map((part) => words(part, MOST_WORDS)).filter((prompt) => prompt.length);
  let left = MOST_WORDS;
  const kept = typed.slice(0, MOST_PROMPTS).map((prompt) => {
    const some = prompt.slice(0, left);
    left -= some.length;
    return some;
  });
  return kept.filter((prompt) => prompt.length);
}

const passesOf = ({ text, window, chunk }) =>
  trace_request(promptsOf(text).map((prompt) => prompt.length), window, chunk, NEW_WORDS);

// Before the first pass the keys lie end to end, and nobody asks.
function packed(prompts) {
  const key_prompt = prompts.flatMap((prompt, b) => prompt.map(() => b));
  const key_position = prompts.flatMap((prompt) => [...prompt.keys()]);
  return { stage: "packed", mask_name: "", query_prompt: [], query_position: [], key_prompt, key_position, mask: [] };
}

// ---- place --------------------------------------------------------------------------------------------
// The cells of a pass: how large they are, and where the first one is.
function gridOf(frame, { mask, key_prompt }) {
  const cell = Math.min(frame.most, frame.cells[0] / key_prompt.length, frame.cells[1] / mask.length);
  return { cell, x: frame.middle - (cell * key_prompt.length) / 2, y: frame.bottom + frame.grid };
}
const tapeAt = (frame, prompt, position) =>
  ({ x: frame.left + (position + 0.5) * frame.pitch, y: frame.top + prompt * frame.line });

// Where a token's key is: with its prompt until it is read, over its column while it can be seen, and
// back with its prompt once it is overwritten.
export function spot({ prompt, position }, pass, frame) {
  const column = pass.key_position.findIndex((at, k) => at === position && pass.key_prompt[k] === prompt);
  if (column < 0) return { ...tapeAt(frame, prompt, position), shown: 0, size: frame.high };
  const { cell, x, y } = gridOf(frame, pass);
  return { x: x + (column + 0.5) * cell, y: y - 15, shown: 1, size: Math.min(28, cell - 2) };
}

// ---- the piece ----------------------------------------------------------------------------------------
class Requests {
  constructor(stage) {
    this.stage = stage;
    const layer = (name) => stage.drawing.appendChild(svg("g", { class: name }));
    const many = (most, group, make) => Array.from({ length: most }, (_, n) => group.appendChild(make(n)));
    const chip = (name) => () => svg("g", { class: name }, svg("rect"), svg("text"));
    const tokens = MOST_WORDS + MOST_PROMPTS * NEW_WORDS, tapes = layer("tapes");
    this.names = many(MOST_PROMPTS, tapes, () => svg("text", { class: "who" }));
    this.waste = tapes.appendChild(svg("path", { class: "waste" }));
    this.tape = many(tokens, tapes, chip("token"));
    this.heading = layer("heads").appendChild(svg("text", { class: "heading" }));
    this.mask = stage.drawing.appendChild(svg("text", { class: "mask" }));
    this.cells = layer("cells");
    this.hidden = this.cells.appendChild(svg("path", { class: "hidden" }));
    this.seen = many(MOST_PROMPTS, this.cells, (prompt) => svg("path", { "data-prompt": prompt }));
    this.rows = many(MOST_WORDS, layer("rows"), (row) =>
      stage.lights(focusable(svg("g", { class: "row", role: "img" }, svg("rect"), svg("text"))), { row }));
    this.origins = many(2 * MOST_PROMPTS, layer("origins"), () => svg("g", {}, svg("path"), svg("text")));
    this.keys = many(tokens, layer("keys"), chip("key")); // one node for each token's key, for life
    this.empty = layer("empty").appendChild(svg("path"));
    this.grips = ["window", "chunk"].map((name, n) => {
      const node = stage.drawing.appendChild(svg("g", { class: "setting" }, svg("path"), svg("g", { class: "grip" }, svg("rect"), svg("text"))));
      const value = () => stage.state[name], change = (to) => stage.go({ [name]: to });
      const at = (x) => clamp(Math.round(((x - this.frame.tracks[n]) / this.frame.track) * MOST_KEYS), 1, MOST_KEYS);
      stage.handle(node.lastChild, `${name} size`, { value, change, at });
      return node;
    });
    const [wider, narrower] = [1, -1].map((by) => () => stage.go({ window: stage.state.window + by }));
    Object.assign(stage.keys, { "shift+ArrowUp": wider, "shift+ArrowDown": narrower });
    this.field = stage.field("your own prompts, with / between them", MOST_LETTERS, (text) => stage.go({ text, step: 1 }));
  }

  lay(wide, state) {
    const frame = wide ? WIDE : TALL, prompts = promptsOf(state.text);
    const bottom = frame.top + frame.line * Math.max(1, prompts.length);
    this.tokens = prompts.flatMap((prompt, b) => range(0, prompt.length + NEW_WORDS).map((position) =>
      ({ prompt: b, position, word: prompt[position] ?? `new ${position - prompt.length + 1}` })));
    Object.assign(this, { prompts, passes: [packed(prompts), ...passesOf(state)] });
    const most = Math.max(1, ...prompts.map((prompt) => prompt.length + NEW_WORDS));
    const pitch = Math.min(frame.pitch, (frame.width - frame.left - 8) / most);
    this.frame = { ...frame, bottom, pitch, chip: [pitch - 4, Math.min(frame.high, pitch - 3)] };
    return [frame.width, bottom + frame.grid + frame.cells[1] + frame.foot];
  }

  passOf = ({ step }) => this.passes[step];
  wordOf = (prompt, position) => {
    const { word } = this.tokens.find((token) => token.prompt === prompt && token.position === position);
    return `${word.replace(" ", "\u00a0")}${lowered(position)}`;
  };

  mark(state) {
    this.markTapes(state);
    this.markMask(state);
    [state.window, state.chunk].forEach((value, n) => {
      const { tracks, track } = this.frame, y = this.frame.bottom + this.frame.grid + this.frame.cells[1] + 52;
      const [line, grip] = this.grips[n].children;
      set(line, { d: `M${tracks[n]} ${y + this.frame.foot - 74}h${track}` });
      set(grip, { "aria-valuenow": value, "aria-valuemin": 1, "aria-valuemax": MOST_KEYS });
      grip.lastChild.textContent = `${n ? "chunk" : "W"} = ${value}`;
      put(grip, { x: tracks[n] + (track * value) / MOST_KEYS, y: y + this.frame.foot - 74 });
    });
    set(this.stage.drawing, { "aria-label": `${this.prompts.length} prompts, pass ${state.step}` });
    if (this.field.value !== state.text) this.field.value = state.text;
  }

  markTapes({ step, window }) {
    const { frame, prompts, passes } = this, pass = passes[step], [wide, high] = frame.chip;
    const inPass = (kind, { prompt, position }, one) =>
      one[`${kind}_position`].some((at, n) => at === position && one[`${kind}_prompt`][n] === prompt);
    this.tape.forEach((node, n) => {
      const token = this.tokens[n];
      for (const chip of [node, this.keys[n]]) set(chip, { display: token ? null : "none" });
      if (!token) return;
      const read = passes.slice(0, step + 1).some((one) => inPass("query", token, one));
      set(node, { display: read || token.position < prompts[token.prompt].length ? null : "none" });
      const kind = inPass("query", token, pass) ? "now" : !read ? "later" : inPass("key", token, pass) ? "seen" : "gone";
      const { size } = spot(token, pass, frame), fits = wide > 40 && 9.5 * token.word.length < wide;
      for (const [chip, width, height, text] of [
        [node, wide, high, fits ? token.word : token.position],
        [this.keys[n], size, size, token.position],
      ]) {
        set(chip, { "data-prompt": token.prompt, "data-kind": kind, "data-token": `${token.prompt} ${token.position}` });
        set(chip.firstChild, { x: -width / 2, y: -height / 2, width, height });
        chip.lastChild.textContent = text;
        chip.lastChild.style.fontSize = `${Math.min(18.5, 0.78 * height)}px`;
      }
      put(node, tapeAt(frame, token.prompt, token.position));
    });
    const longest = Math.max(0, ...prompts.map((prompt) => prompt.length));
    const pads = prompts.flatMap((prompt, b) => (step ? [] : range(prompt.length, longest).map((at) => tapeAt(frame, b, at))));
    set(this.waste, { d: pads.map(({ x, y }) => `M${x - wide / 2} ${y - high / 2}h${wide}v${high}h${-wide}z`).join("") });
    this.names.forEach((node, b) => {
      node.textContent = prompts[b] ? `prompt ${b}` : "";
      put(node, { x: frame.left - 6, y: frame.top + b * frame.line });
    });
  }

  markMask(state) {
    const { frame } = this, pass = this.passOf(state);
    this.heading.textContent = STAGES[pass.stage];
    put(this.heading, { x: frame.width / 2, y: frame.bottom + 12 });
    this.mask.textContent = pass.mask_name;
    this.mask.style.fontSize = `${frame.name}px`;
    const { mask, query_prompt, key_prompt, key_position } = pass, { cell, x, y } = gridOf(frame, pass);
    put(this.mask, { x: frame.width / 2, y: y + mask.length * cell + 24 });
    const square = (row, column) => `M${x + column * cell + 1} ${y + row * cell + 1}h${cell - 2}v${cell - 2}h${2 - cell}z`;
    const cells = (is) => mask.flatMap((row, q) => row.flatMap((sees, k) => (is(sees, q) ? [square(q, k)] : []))).join("");
    set(this.hidden, { d: cells((sees) => !sees) });
    this.seen.forEach((node, prompt) => set(node, { d: cells((sees, q) => sees && query_prompt[q] === prompt) }));
    this.rows.forEach((node, row) => {
      set(node, { display: row < mask.length ? null : "none" });
      if (row >= mask.length) return;
      const name = this.wordOf(query_prompt[row], pass.query_position[row]);
      set(node, { "aria-label": name, "data-prompt": query_prompt[row] });
      set(node.firstChild, { x: x - 100, y: y + row * cell, width: 100 + cell * key_prompt.length, height: cell });
      node.lastChild.textContent = frame.width > 500 || name.length < 9 ? name : `${name.slice(0, 6)}…${name.slice(-1)}`;
      node.lastChild.style.fontSize = `${Math.min(18.5, Math.max(9, cell))}px`;
      put(node.lastChild, { x: x - 8, y: y + (row + 0.5) * cell });
    });
    const free = key_position.flatMap((at, k) => (at === PADDING ? [`M${x + k * cell + 5} ${y - 15}h${cell - 10}`] : []));
    set(this.empty, { d: free.join("") });
    const stretches = this.stretches(pass);
    this.origins.forEach((node, n) => {
      set(node, { display: stretches[n] ? null : "none" });
      if (!stretches[n]) return;
      const { from, to, held } = stretches[n];
      set(node, { "data-held": held });
      set(node.firstChild, { d: `M${x + from * cell + 2} ${y - 34}H${x + (to + 1) * cell - 2}` });
      node.lastChild.textContent = held ? "ring" : "own";
      put(node.lastChild, { x: x + ((from + to + 1) / 2) * cell, y: y - 48 });
    });
  }

  // Neighbouring columns of one prompt that come from the same place.
  stretches(pass) {
    const found = [];
    if (!pass.mask.length) return found;
    pass.key_position.forEach((position, k) => {
      const prompt = pass.key_prompt[k];
      const own = pass.stage !== "decode" && pass.query_position.some((at, q) => at === position && pass.query_prompt[q] === prompt);
      const last = found.at(-1);
      if (last && last.prompt === prompt && last.held === !own) last.to = k;
      else found.push({ prompt, held: !own, from: k, to: k });
    });
    return found;
  }

  paint(before, now, t) {
    const { frame } = this, same = before.text === now.text;
    const [was, is] = [same ? before : now, now].map((state) => this.passOf(state));
    this.tokens.forEach((token, n) => {
      const [a, b] = [was, is].map((pass) => spot(token, pass, frame));
      const part = during(t, 0, 0.7);
      put(this.keys[n], { x: mix(a.x, b.x, part), y: mix(a.y, b.y, part) });
      this.keys[n].style.opacity = mix(a.shown, b.shown, during(t, a.shown ? 0.5 : 0, a.shown ? 0.8 : 0.1));
    });
    this.cells.style.opacity = was === is ? 1 : during(t, 0.6, 1);
  }

  shine(state, lit) {
    const pass = this.passOf(state);
    set(this.stage.drawing, { "data-lit": lit !== null });
    this.rows.forEach((node, row) => set(node, { "data-lit": lit?.row === row }));
    this.tokens.forEach((token, n) => {
      const near = lit && pass.key_position.some((at, k) =>
        at === token.position && pass.key_prompt[k] === token.prompt && pass.mask[lit.row]?.[k]);
      for (const node of [this.tape[n], this.keys[n]]) set(node, { "data-lit": Boolean(near) });
    });
  }

  say(state, lit) {
    const { prompts } = this, pass = this.passOf(state);
    const lengths = prompts.map((prompt) => prompt.length), slots = lengths.length * Math.max(0, ...lengths);
    const total = lengths.reduce((sum, n) => sum + n, 0);
    if (!total) return "Type some prompts, with / between them.";
    const plural = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;
    if (!pass.mask.length) return `${plural(total, "token")} end to end; as rows of one rectangle ${plural(slots, "slot")}, ${slots - total} of them padding.`;
    const names = (q) => pass.mask[q].flatMap((sees, k) => (sees ? [[pass.key_position[k], k]] : []))
      .sort(([a], [b]) => a - b).map(([position, k]) => this.wordOf(pass.key_prompt[k], position)).join(" ");
    if (lit) return `${this.wordOf(pass.query_prompt[lit.row], pass.query_position[lit.row])} sees ${names(lit.row)}.`;
    const held = this.stretches(pass).reduce((sum, one) => sum + one.held * (one.to - one.from + 1), 0);
    const keys = pass.key_position.length, free = pass.key_position.filter((at) => at === PADDING).length;
    const ask = `${pass.mask.length} ${pass.mask.length === 1 ? "query" : "queries"} over ${plural(keys, "key")}`;
    const from = pass.stage === "decode" ? `the rings' slots in their own order, ${free ? `${free} of them empty` : "all in use"}` : `${held} of them from the rings`;
    return `Pass ${state.step} of ${this.passes.length - 1}, ${STAGES[pass.stage].toLowerCase()}: ${ask}, ${from}.`;
  }
}

const requests = {
  name: "requests",
  rest: { text: "My cat chases every mouse / The dog next door sleeps all day / Hello", window: 3, chunk: 4, step: 2 },
  last: (state) => (promptsOf(state.text).length ? passesOf(state).length : 0),
  settle({ text, window, chunk, step }) {
    const state = { text, window: clamp(window, 1, MOST_KEYS), chunk: clamp(chunk, 1, MOST_KEYS) };
    return { ...state, step: clamp(step, 0, requests.last(state)) };
  },
  build: (stage) => new Requests(stage),
};
export default { render: (context) => void new Stage(requests, context) };
