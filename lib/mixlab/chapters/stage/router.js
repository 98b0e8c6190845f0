// What the routers of the small Mixtral decide: a token lies in the lane of each expert that it chose,
// and flies to others from layer to layer. k is dragged, experts are switched off, and it costs so much.
import { gather, model, read, shown_piece, twins } from "./small_mixtral.js";
const MOST_TOKENS = 40, MOST_LETTERS = 200, MOST_EXPERTS = 8, REMEMBERED = 8;
const PAD = 6, SPACE = 7, DOT = 26, TIGHT = 0.6; // pixels; and how narrow a chip may be to show letters

const WIDE = {
  width: 960, top: 24, size: 20, line: 38, gap: 2, lane: 39, rows: 1, chip: 31, letters: 20,
  left: 66, right: 912, dots: { x: 16, y: 58 }, price: { x: 330, y: 58, width: 616, guess: 34 }, foot: 74,
};
const TALL = {
  width: 390, top: 24, size: 20, line: 36, gap: 2, lane: 46, rows: 2, chip: 20, letters: 16,
  left: 50, right: 356, dots: { x: 14, y: 58 }, price: { x: 5, y: 128, width: 380, guess: 156 }, foot: 166,
};

// ---- place -------------------------------------------------------------------------------------------
// Where the chip of each token and choice lies: side by side in its lane, all narrowed until the
// fullest lane holds its own.
function lay(runs, widths, frame) {
  for (let squeeze = 1; ; squeeze *= 0.95) {
    const chips = new Map();
    const fits = runs.every((run, expert) => {
      let row = 0, x = frame.left;
      const placed = run.map(({ token, rank }) => {
        const wide = widths[token] * squeeze;
        if (x + wide > frame.right && ++row) x = frame.left;
        x += wide + 3;
        return { chip: chipOf(token, rank), x: x - 3 - wide / 2, row };
      });
      for (const { chip, x, row: own } of placed) {
        const y = frame.lanes + frame.lane * (expert + 0.5) + (own - row / 2) * (frame.chip + 2);
        chips.set(chip, { x, y, shown: 1, squeeze, expert });
      }
      return row < frame.rows;
    });
    if (fits) return chips;
  }
}
const chipOf = (token, rank) => token * MOST_EXPERTS + rank;
const tokenOf = (chip) => Math.floor(chip / MOST_EXPERTS);

function colour(node, expert) {
  node.style.setProperty("--expert", `var(--expert-${expert})`);
  node.style.setProperty("--ink", `var(--expert-${expert}-ink)`);
  return node;
}

// ---- the piece ---------------------------------------------------------------------------------------
const isOff = ({ step, removed }, expert) => removed[step]?.includes(expert) ?? false;
const usual = ({ text }) => ({ text, k: model().config.num_experts_per_tok, removed: {} });

class Router {
  constructor(stage) {
    this.stage = stage;
    this.known = new Map(); // what was computed last: a move asks for both of its ends, again and again
    const layer = (name) => stage.drawing.appendChild(svg("g", { class: name }));
    const many = (most, group, make) => Array.from({ length: most }, (_, n) => group.appendChild(make(n)));
    this.lanes = many(MOST_EXPERTS, layer("lanes"), (expert) => this.lane(expert));
    this.words = many(MOST_TOKENS, layer("text"), (token) => this.word(token));
    const part = (name) => svg("rect", { class: name });
    const chip = () => svg("g", { class: "chip" }, part("body"), part("gate"), svg("text"));
    this.chips = many(MOST_TOKENS * MOST_EXPERTS, layer("chips"), chip); // a node for life, each
    const foot = layer("foot");
    this.sums = many(2, foot, () => svg("text", { class: "sum" }));
    this.heads = ["layer", "end", "end"].map((name) => foot.appendChild(svg("text", { class: name })));
    this.rails = ["rail", "cost", "more", "usual"].map((name) => foot.appendChild(part(name)));
    this.dots = foot.appendChild(svg("g", { class: "dots" }, svg("rect")));
    many(MOST_EXPERTS, this.dots, (n) => svg("circle", { r: 9, cx: DOT * n }));
    const value = () => stage.state.k, change = (k) => stage.go({ k });
    const at = (x) => clamp(Math.round((x - this.frame.dots.x) / DOT) + 1, 1, MOST_EXPERTS);
    stage.handle(this.dots, "k, experts a token", { value, change, at });
    const [more, fewer] = [1, -1].map((by) => () => change(value() + by));
    Object.assign(stage.keys, { "shift+ArrowUp": more, "shift+ArrowDown": fewer });
    this.lanes.forEach((_, expert) => (stage.keys[expert] = () => this.toggle(expert)));
    this.field = stage.field("your own text", MOST_LETTERS, (text) => stage.go({ text }));
  }

  lane(expert) {
    const knob = svg("g", { class: "switch" }, svg("rect"), svg("text", {}, `E${expert}`), svg("path"));
    focusable(knob, { role: "switch", "aria-label": `expert ${expert}` });
    knob.addEventListener("click", () => this.toggle(expert));
    knob.addEventListener("keydown", ({ key }) => (key === "Enter" || key === " ") && this.toggle(expert));
    this.stage.lights(knob, { expert });
    const parts = [svg("rect", { class: "band" }), knob, svg("text", { class: "load" })];
    return colour(svg("g", { class: "lane" }, ...parts), expert);
  }

  word(token) {
    const node = svg("g", { class: "word", role: "img" }, svg("rect"), svg("text"));
    return this.stage.lights(focusable(node), { token });
  }

  // Switches an expert of the layer shown off, or on again.
  toggle(expert) {
    const { state } = this.stage, { step, removed } = state, gone = removed[step] ?? [];
    const now = isOff(state, expert) ? gone.filter((e) => e !== expert) : [...gone, expert];
    this.stage.go({ removed: { ...removed, [step]: now } });
  }

  remember(asked, make) {
    const key = JSON.stringify(asked), made = this.known.get(key) ?? make();
    this.known.delete(key); // what was asked for last stands last
    this.known.set(key, made);
    if (this.known.size > REMEMBERED) this.known.delete(this.known.keys().next().value);
    return made;
  }

  decided({ text, k, removed }) {
    return this.remember([text, k, removed], () => read(model(), { text, k, removed }, MOST_TOKENS));
  }

  // Everything's place in a state.
  plan(state) {
    const { text, step, k, removed } = state;
    return this.remember([this.wide, text, step, k, removed], () => {
      const { pieces, chosen } = this.decided(state), frame = this.wide ? WIDE : TALL;
      const shown = pieces.map(shown_piece), names = shown.map((piece) => piece.trim() || piece);
      const leads = shown.map((piece) => (piece.startsWith(" ") ? SPACE : 0));
      const [inText, inLane] = [frame.size, frame.letters].map((size) =>
        names.map((name) => tokenWidth(name, "", size) + 2 * PAD));
      const words = flow(inText.map((wide, n) => wide + leads[n]), frame).map(({ x, y, wide }, n) =>
        ({ x: x + leads[n] / 2, y, wide: wide - leads[n] }));
      const lanes = (words.at(-1)?.y ?? frame.top) + 48, foot = lanes + frame.lane * MOST_EXPERTS;
      const chips = lay(gather(chosen[step], MOST_EXPERTS), inLane, { ...frame, lanes });
      return { frame: { ...frame, lanes, bottom: foot }, names, words, widths: inLane, chips };
    });
  }

  lay(wide, state) {
    this.wide = wide;
    this.frame = this.plan(state).frame;
    return [this.frame.width, this.frame.bottom + this.frame.foot];
  }

  mark(state) {
    const { k, step } = state, { names } = this.plan(state);
    const there = (node, token) => set(node, { display: token < names.length ? null : "none" });
    this.words.forEach(there);
    this.chips.forEach((node, number) => there(node, tokenOf(number)));
    this.markText(state);
    this.markChips(state);
    this.markLanes(state);
    this.markFoot(state);
    set(this.dots, { "aria-valuenow": k, "aria-valuemin": 1, "aria-valuemax": MOST_EXPERTS });
    set(this.stage.drawing, { "aria-label": `layer ${step} and its experts` });
    if (this.field.value !== state.text) this.field.value = state.text;
  }

  // The text itself, each token in the colour of its first expert.
  markText(state) {
    const { names, words } = this.plan(state), chosen = this.decided(state).chosen[state.step];
    names.forEach((name, token) => {
      const node = this.words[token], [rect, letters] = node.children, { wide } = words[token];
      put(set(node, { "aria-label": `${name}, position ${token}` }), words[token]);
      colour(node, chosen[token][0]);
      set(rect, { x: -wide / 2, width: wide });
      letters.textContent = name;
      letters.style.fontSize = `${this.frame.size}px`;
    });
  }

  // The chips, each with its gate as the share of its width that is underlined.
  markChips(state) {
    const { names, widths, chips } = this.plan(state), { chip: high, letters: size } = this.frame;
    const gates = this.decided(state).gates[state.step];
    this.chips.forEach((node, number) => {
      const token = tokenOf(number), place = chips.get(number), wide = widths[token];
      const [body, gate, letters] = node.children;
      set(node, { "data-expert": place?.expert ?? null });
      letters.textContent = place ? names[token] : "";
      if (!place) return;
      colour(node, place.expert);
      set(body, { x: -wide / 2, y: -high / 2, width: wide, height: high, rx: 5 });
      const width = wide * gates[token][number % MOST_EXPERTS];
      set(gate, { x: -wide / 2, y: high / 2 - 5, width, height: 5, rx: 2 });
      set(letters, { y: -1.5 }).style.fontSize = `${size}px`;
    });
    const squeeze = chips.values().next().value?.squeeze ?? 1;
    set(this.stage.drawing, { "data-tight": squeeze < TIGHT });
  }

  markLanes(state) {
    const { left, width, lane: high, lanes } = this.frame, middle = high / 2;
    const runs = gather(this.decided(state).chosen[state.step], MOST_EXPERTS);
    this.lanes.forEach((node, expert) => {
      const [band, knob, load] = node.children, off = isOff(state, expert);
      const [rect, name, strike] = set(knob, { "aria-checked": String(!off) }).children;
      put(set(node, { "data-off": off }), { x: 0, y: lanes + high * expert });
      set(band, { x: left - 6, y: 2, width: width - left + 2, height: high - 4, rx: 6 });
      set(rect, { x: 4, y: middle - 14, width: left - 16, height: 28, rx: 6 });
      set(name, { x: left / 2 - 4, y: middle });
      set(strike, { d: `M8 ${middle}h${left - 24}` });
      set(load, { x: width - 12, y: middle }).textContent = off ? "off" : runs[expert].length;
    });
  }

  // Names of what is seen, k, and what the text costs.
  markFoot(state) {
    const { mean } = this.decided(state), more = mean - this.decided(usual(state)).mean;
    const sign = Math.abs(more) < 0.005 ? "" : more > 0 ? ", +" : ", −";
    const cost = `${mean.toFixed(2)} nats a token${sign}${sign && Math.abs(more).toFixed(2)}`;
    const sums = [`k = ${state.k} experts a token`, cost];
    const heads = [`layer ${state.step}`, "tokens", `${blind().toFixed(2)}: a blind guess`];
    [...this.sums, ...this.heads].forEach((node, n) => (node.textContent = [...sums, ...heads][n]));
    [...this.dots.children].slice(1).forEach((dot, n) => set(dot, { "data-on": n < state.k }));
  }

  paint(before, now, t) {
    const [a, b] = [before, now].map((state) => this.plan(state)), count = b.names.length;
    this.chips.slice(0, count * MOST_EXPERTS).forEach((node, number) => {
      const token = tokenOf(number), home = { ...b.words[token], shown: 0, squeeze: 1 };
      const [from, to] = [a, b].map(({ chips }) => chips.get(number) ?? home);
      const start = (0.35 * token) / count, part = during(t, start, start + 0.65); // one after another
      const [x, y, squeeze] = ["x", "y", "squeeze"].map((name) => mix(from[name], to[name], part));
      node.style.transform = `translate(${x}px, ${y}px) scale(${squeeze}, 1)`;
      const seen = from.shown ? during(t, 0.5, 1) : during(t, start, start + 0.15);
      node.style.opacity = mix(from.shown, to.shown, seen);
    });
    const [was, is, norm] = [before, now, usual(now)].map((state) => this.decided(state).mean);
    this.paintFoot(mix(was, is, during(t, 0.3, 1)), norm);
  }

  paintFoot(cost, norm) {
    const { price, dots, bottom, lanes, width } = this.frame, scale = price.width / blind();
    const bars = [[0, blind()], [0, Math.min(cost, norm)], [norm, cost], [norm, norm]];
    this.rails.forEach((node, n) => {
      const [from, to] = bars[n], mark = n === 3 ? 3 : 0; // the last marks what is usual
      const long = Math.max(0, (to - from) * scale) + mark, y = bottom + price.y - 7 - mark;
      set(node, { x: price.x + from * scale, y, width: long, height: 14 + 2 * mark });
    });
    put(this.dots, { x: dots.x, y: bottom + dots.y });
    this.sums.forEach((node, n) =>
      put(node, { x: n ? price.x : dots.x - 9, y: bottom + (n ? price : dots).y - 24 }));
    const ends = [[4, lanes - 9], [width - 4, lanes - 9], [price.x + price.width, bottom + price.guess]];
    this.heads.forEach((node, n) => put(node, { x: ends[n][0], y: ends[n][1] }));
  }

  // With a token its twins, with an expert those that it runs.
  shine(state, lit) {
    const layer = this.decided(state).chosen[state.step];
    const run = () => gather(layer, MOST_EXPERTS)[lit.expert].map(({ token }) => token);
    const near = lit && (lit.token === undefined ? run() : twins(layer, lit.token));
    set(this.stage.drawing, { "data-lit": lit !== null });
    const shining = (n) => lit && near.includes(n) && (n !== lit.token || "now");
    this.words.forEach((node, n) => set(node, { "data-lit": shining(n) }));
    this.chips.forEach((node, number) => {
      const there = lit?.expert === undefined || node.dataset.expert === String(lit.expert);
      set(node, { "data-lit": there && shining(tokenOf(number)) });
    });
  }

  say(state, lit) {
    const { step, k } = state, { names } = this.plan(state);
    const { chosen, gates, costs } = this.decided(state), layer = chosen[step];
    if (!names.length) return "Type a text, and its tokens go to their experts.";
    const name = (n) => names[n] + lowered(n);
    const list = (tokens) => tokens.slice(0, 12).map(name).join(" ") + (tokens.length > 12 ? " …" : "");
    if (lit?.token !== undefined) {
      const { token } = lit, others = twins(layer, token).filter((other) => other !== token);
      const weighed = layer[token].map((e, rank) => `${e} (${gates[step][token][rank].toFixed(2)})`);
      const goes = `${k > 1 ? "experts" : "expert"} ${weighed.join(", ")}`;
      const some = `${others.length > 1 ? "do" : "does"} ${list(others)}`;
      const like = others.length ? some : "no other token does";
      return `${name(token)} goes to ${goes}, as ${like}. It costs ${costs[token].toFixed(2)} nats.`;
    }
    const runs = gather(layer, MOST_EXPERTS).map((run) => run.map(({ token }) => token));
    if (!lit) return this.sayAll(state, runs.map((run) => run.length));
    const expert = `xpert ${lit.expert} of layer ${step}`, run = runs[lit.expert];
    if (isOff(state, lit.expert)) return `E${expert} is off: its tokens go to their next best.`;
    if (!run.length) return `Nobody chose e${expert}: it does not run.`;
    return `E${expert} runs once, on ${run.length} of ${names.length} tokens: ${list(run)}.`;
  }

  sayAll(state, loads) {
    const { step, k, removed } = state, { mean, cut, costs } = this.decided(state);
    const most = Math.max(...loads), more = mean - this.decided(usual(state)).mean;
    const tokens = cut ? `of the first ${MOST_TOKENS} tokens` : "token";
    const changed = k !== usual(state).k || Object.keys(removed).length;
    const apart = `${Math.abs(more).toFixed(2)} ${more < 0 ? "less" : "more"}`;
    const against = changed ? `, ${apart} than with k = ${usual(state).k} and all experts` : "";
    return `Layer ${step} sends each ${tokens} to ${k} of ${MOST_EXPERTS} experts; expert ` +
      `${loads.indexOf(most)} has most, ${most} of ${costs.length}. ` +
      `The text costs ${mean.toFixed(2)} nats a token${against}.`;
  }
}

const router = {
  name: "router",
  rest: { text: "The cat sat on the mat", step: 5, k: 2, removed: {} },
  last: () => model().config.num_hidden_layers - 1,
  settle({ text, step, k, removed }) {
    const fewer = (gone) => gone.slice(0, MOST_EXPERTS - 1).sort();
    const kept = Object.entries(removed).map(([layer, gone]) => [layer, fewer(gone)]);
    const left = MOST_EXPERTS - Math.max(0, ...kept.map(([, gone]) => gone.length));
    const some = Object.fromEntries(kept.filter(([, gone]) => gone.length));
    return { text, step: clamp(step, 0, router.last()), k: clamp(k, 1, left), removed: some };
  },
  build: (stage) => new Router(stage),
};
export default { render: (context) => void new Stage(router, context) };
