// One model cut by layers, by tensors or by experts: each device shows what it holds of the model, all
// at the same scale, and a token travels. Under another cut parts fly to the devices that hold them
// then, whole or as slices. Numbers are Mixtral 8x7B's, of fewer layers.

const CUTS = ["layers", "tensors", "experts"], MOST_DEVICES = 8, MOST_LAYERS = 8, BYTES = 2, HOME = 0;
const MIXTRAL = { dim: 4096, n_heads: 32, n_kv_heads: 8, head_dim: 128, hidden_dim: 14336, vocab_size: 32000, n_experts: 8 };
const WIDE = { tall: false, width: 960, columns: 8, top: 74, gap: 16, most: 210, rows: 208, row: 27, head: 30, foot: 56, tracks: [170, 560], track: 250 };
const TALL = { tall: true, width: 390, columns: 2, top: 64, gap: 14, most: 180, rows: 74, row: 12, head: 24, foot: 46, tracks: [56, 250], track: 84 };

const range = (from, to) => Array.from({ length: Math.max(0, to - from) }, (_, n) => from + n);
const many = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;

// ---- truth, under the names it has in mixlab.parallel ------------------------------------------------
const begins = (count, n_ranks, rank) => rank * Math.floor(count / n_ranks) + Math.min(rank, count % n_ranks);
const shareOf = (count, n_ranks, rank) => begins(count, n_ranks, rank + 1) - begins(count, n_ranks, rank);
export function spans(count, n_ranks, ceiling = false) {
  const each = Math.ceil(count / n_ranks);
  return range(0, n_ranks).map((rank) => ceiling
    ? range(rank * each, Math.min(count, (rank + 1) * each))
    : range(begins(count, n_ranks, rank), begins(count, n_ranks, rank + 1)));
}

// Parameters of each rank, and the numbers that it keeps of a token.
export function plan({ cut, devices, layers, ceiling }) {
  const { dim, n_heads, n_kv_heads, head_dim, hidden_dim, vocab_size, n_experts } = MIXTRAL;
  const head = 2 * dim * head_dim * (n_heads / n_kv_heads + 1), channel = 3 * dim * n_experts;
  const rest = dim * n_experts + 2 * dim, kept = 2 * head_dim, embedding = vocab_size * dim, output = dim + embedding;
  const block = n_kv_heads * head + hidden_dim * channel + rest, whole = embedding + output;
  if (cut === "layers") {
    return spans(layers, devices, ceiling).map((own, rank) => ({
      parameters: own.length * block + embedding * (rank === 0) + output * (rank === devices - 1),
      cached: own.length * n_kv_heads * kept,
    }));
  }
  if (cut === "tensors") {
    return spans(n_kv_heads, devices).map((heads, rank) => ({
      parameters: whole + layers * (heads.length * head + shareOf(hidden_dim, devices, rank) * channel + rest),
      cached: layers * heads.length * kept,
    }));
  }
  const expert = 3 * dim * hidden_dim, shared = whole + layers * (n_kv_heads * head + rest);
  return spans(n_experts, devices).map((held) => ({ parameters: shared + layers * held.length * expert, cached: layers * n_kv_heads * kept }));
}

// Bytes that all devices together have sent for the token, after each step.
export function journey(state) {
  const { cut, devices, layers, chosen } = state, hidden = MIXTRAL.dim * BYTES;
  if (cut === "layers") return range(0, devices).map((borders) => borders * hidden);
  if (cut === "tensors") return range(0, layers + 1).map((done) => done * 2 * 2 * (devices - 1) * hidden);
  const away = (done) => chosen.slice(0, done).flat().filter((expert) => ownerOf(expert, state) !== HOME).length;
  return range(0, layers + 1).map((done) => 2 * away(done) * hidden);
}

const ownerOf = (expert, { devices }) => spans(MIXTRAL.n_experts, devices).findIndex((held) => held.includes(expert));

// Which stretch of an embedding, output, attention or expert a device holds, from 0 to 1, or null.
export function stretch({ kind, layer, expert }, device, { cut, devices, layers, ceiling }) {
  const whole = [0, 1], only = (is) => (is ? whole : null);
  if (cut === "layers") {
    if (kind === "embedding") return only(device === 0);
    if (kind === "output") return only(device === devices - 1);
    return only(spans(layers, devices, ceiling)[device].includes(layer));
  }
  if (kind === "embedding" || kind === "output") return whole;
  if (cut === "experts") return kind === "attention" ? whole : only(ownerOf(expert, { devices }) === device);
  const all = kind === "attention" ? MIXTRAL.n_kv_heads : MIXTRAL.hidden_dim;
  return [begins(all, devices, device) / all, begins(all, devices, device + 1) / all];
}

// ---- place --------------------------------------------------------------------------------------------
function boxAt(device, { frame, size }) {
  const { gap, columns, top, width } = frame, line = Math.floor(device / columns);
  const inLine = Math.min(columns, size.devices), left = (width - inLine * size.w - (inLine - 1) * gap) / 2;
  return { x: left + (device % columns) * (size.w + gap), y: top + line * (size.h + gap) };
}

const rowOf = ({ kind, layer }, layers) => (kind === "embedding" ? 0 : kind === "output" ? layers + 1 : layer + 1);

// Where a device's copy of a part is; what it doesn't hold waits, unseen, where the first holder is.
export function spot(part, device, state, place) {
  const own = stretch(part, device, state);
  const at = own ? device : range(0, state.devices).find((one) => stretch(part, one, state)) ?? 0;
  const [from, to] = own ?? stretch(part, at, state) ?? [0, 1], { frame, size } = place, box = boxAt(at, place);
  const inner = size.w - 14, cell = (inner * 0.66) / MIXTRAL.n_experts;
  const [x, w] = part.kind === "expert" ? [inner * 0.34 + part.expert * cell, cell] : part.kind === "attention" ? [0, inner * 0.31] : [0, inner];
  const left = box.x + 7 + x, wide = w - (part.kind === "expert" ? 1.5 : 0);
  return {
    x: left + from * wide, y: box.y + frame.head + rowOf(part, state.layers) * size.row,
    w: (to - from) * wide, h: size.row - 2, shown: own ? 1 : 0,
  };
}

// Where the token's copies are: one, or one on each device; and then its two visits to experts.
export function tokens(state, place) {
  const { cut, devices, layers, ceiling, step, chosen } = state, { frame, size } = place;
  const at = (device, row, side) => {
    const box = boxAt(device, place);
    return { x: box.x + 7 + (size.w - 14) * side, y: box.y + frame.head + (row + 0.5) * size.row, shown: 1, device };
  };
  const here = range(0, MOST_DEVICES).map((device) => {
    if (cut === "layers") {
      const own = spans(layers, devices, ceiling)[step], last = step === devices - 1;
      return { ...at(step, last ? layers + 1 : own.length ? own.at(-1) + 1 : layers / 2 + 0.5, 0.5), shown: Number(device === 0) };
    }
    const shown = cut === "tensors" ? device < devices : device === HOME;
    return { ...at(shown ? device : HOME, step, cut === "tensors" ? 0.15 : 0.1), shown: Number(shown) };
  });
  const visits = range(0, 2).map((n) => {
    const expert = chosen[step - 1]?.[n];
    if (cut !== "experts" || expert === undefined) return { ...here[0], shown: 0 };
    return at(ownerOf(expert, state), step, 0.34 + (0.66 * (expert + 0.45)) / MIXTRAL.n_experts);
  });
  return [...here, ...visits];
}

const whole = (n) => n.toLocaleString("en-US");
const bytes = (n) => (n < 2 ** 20 ? `${whole(n / 1024)} KiB` : `${whole(Math.round((10 * n) / 2 ** 20) / 10)} MiB`);
const gib = (parameters) => `${((BYTES * parameters) / 2 ** 30).toFixed(2)} GiB`;
const listed = (numbers) => (numbers.length < 2 ? numbers.join("") : `${numbers.slice(0, -1).join(", ")} and ${numbers.at(-1)}`);

// ---- the piece ----------------------------------------------------------------------------------------
class Ranks {
  constructor(stage) {
    this.stage = stage;
    const layer = (name) => stage.drawing.appendChild(svg("g", { class: name }));
    const all = (most, group, make) => range(0, most).map((n) => group.appendChild(make(n)));
    this.wires = ["open", "used"].map((kind) => layer("wires").appendChild(svg("path", { "data-kind": kind })));
    this.boxes = all(MOST_DEVICES, layer("boxes"), (device) => {
      const node = svg("g", { class: "device", role: "img" }, svg("rect"), ...range(0, 4).map(() => svg("text")));
      return stage.lights(focusable(node), { device });
    });
    const layers = range(0, MOST_LAYERS), experts = range(0, MIXTRAL.n_experts);
    this.parts = [
      { kind: "embedding" }, { kind: "output" }, ...layers.map((n) => ({ kind: "attention", layer: n })),
      ...layers.flatMap((n) => experts.map((expert) => ({ kind: "expert", layer: n, expert }))),
    ];
    const group = layer("parts");
    this.copies = range(0, MOST_DEVICES).flatMap((device) => this.parts.map((part) => {
      const node = svg("rect", { "data-kind": part.kind, "data-expert": part.expert ?? null, "data-layer": part.layer ?? null, "data-device": device, rx: 2 });
      return { part, device, node: group.appendChild(node) };
    }));
    this.tokens = all(MOST_DEVICES + 2, layer("tokens"), () => svg("circle", { r: 7 }));
    this.bill = layer("bill").appendChild(svg("text"));
    this.grips = [["devices", 2, MOST_DEVICES], ["layers", 1, MOST_LAYERS]].map(([name, least, most], n) => {
      const node = stage.drawing.appendChild(svg("g", { class: "setting" }, svg("path"), svg("g", { class: "grip" }, svg("rect"), svg("text"))));
      const at = (x) => clamp(Math.round(mix(least, most, (x - this.frame.tracks[n]) / this.frame.track)), least, most);
      stage.handle(node.lastChild, name, { value: () => stage.state[name], at, change: (to) => stage.go({ [name]: to, step: Infinity }) });
      return { node, name, least, most };
    });
    const to = (change) => () => stage.go({ step: Infinity, ...change });
    const by = (n) => () => to({ devices: stage.state.devices + n })();
    const next = () => to({ cut: CUTS[(CUTS.indexOf(stage.state.cut) + 1) % CUTS.length] })();
    const other = () => to({ ceiling: !stage.state.ceiling })();
    Object.assign(stage.keys, { m: next, e: other, "shift+ArrowUp": by(1), "shift+ArrowDown": by(-1) });
    const button = (title, text, act) => {
      const node = stage.bar.appendChild(focusable(html("button", { title }, text)));
      node.addEventListener("click", act);
      return node;
    };
    this.buttons = CUTS.map((cut) => button("cut (M: the next one)", `by ${cut}`, to({ cut })));
    this.slicing = button("how layers are sliced (E)", "", other);
  }

  lay(wide, { devices, layers }) {
    const frame = (this.frame = wide ? WIDE : TALL), inLine = Math.min(devices, frame.columns);
    const row = Math.min(frame.row, frame.rows / (layers + 2));
    const w = Math.min(frame.most, (frame.width - 16 - (inLine - 1) * frame.gap) / inLine);
    this.size = { devices, w, row, h: frame.head + (layers + 2) * row + frame.foot };
    const lines = Math.ceil(devices / frame.columns);
    this.below = frame.top + lines * (this.size.h + frame.gap) + 22;
    return [frame.width, this.below + 24];
  }

  mark(state) {
    const { frame, size } = this, shares = plan(state), held = this.held(state);
    this.boxes.forEach((node, device) => {
      const { x, y } = boxAt(device, this), [box, name, empty, weights, cache] = node.children, share = shares[device];
      set(node, { display: share ? null : "none", "data-empty": Boolean(share) && !held[device] });
      if (!share) return;
      set(node, { "data-parameters": share.parameters, "data-cached": share.cached, "aria-label": this.holds(state, device) });
      set(box, { x, y, width: size.w, height: size.h, rx: 10 });
      const across = { x: x + size.w / 2 }, small = size.w < 120;
      name.textContent = small ? `${device}` : `device ${device}`;
      put(name, { ...across, y: y + frame.head / 2 });
      empty.textContent = held[device] ? "" : "no layer";
      put(empty, { ...across, y: y + frame.head + (size.row * (state.layers + 2)) / 2 });
      weights.textContent = gib(share.parameters);
      put(weights, { ...across, y: y + size.h - frame.foot * 0.68 });
      cache.textContent = `cache ${bytes(share.cached * BYTES)}${small ? "" : " a token"}`;
      put(cache, { ...across, y: y + size.h - frame.foot * 0.27 });
    });
    const sent = journey(state), now = sent[state.step];
    this.bill.textContent = `${frame.tall ? "" : "on the wire: "}${bytes(now)} of ${bytes(sent.at(-1))} a token`;
    set(this.bill, { "data-sent": now, "data-all": sent.at(-1) });
    put(this.bill, { x: frame.width / 2, y: 20 });
    this.markWires(state);
    this.markControls(state);
    set(this.stage.drawing, { "aria-label": `a model of ${many(state.layers, "layer")}, cut by ${state.cut} over ${state.devices} devices` });
  }

  held = ({ cut, layers, devices, ceiling }) => spans(layers, devices, ceiling).map((own) => cut !== "layers" || own.length);

  markControls(state) {
    this.grips.forEach(({ node, name, least, most }, n) => {
      const { tracks, track } = this.frame, [line, grip] = node.children, value = state[name];
      set(line, { d: `M${tracks[n]} ${this.below}h${track}` });
      set(grip, { "aria-valuenow": value, "aria-valuemin": least, "aria-valuemax": most });
      grip.lastChild.textContent = `${name} = ${value}`;
      put(grip, { x: tracks[n] + (track * (value - least)) / (most - least), y: this.below });
    });
    this.buttons.forEach((button, n) => set(button, { "aria-pressed": String(CUTS[n] === state.cut) }));
    this.slicing.textContent = state.ceiling ? "⌈layers / devices⌉" : "evenly";
    set(this.slicing, { hidden: state.cut !== "layers" });
  }

  // Between neighbours below the boxes, in arcs above them where a message passes others by.
  markWires(state) {
    const { cut, devices, step, chosen } = state, { w, h } = this.size, box = (n) => boxAt(n, this);
    const line = (a, b) => `M${box(a).x + w / 2} ${box(a).y + h / 2}L${box(b).x + w / 2} ${box(b).y + h / 2}`;
    const arc = (a, b) => {
      const [from, to] = [box(a), box(b)], up = Math.min(from.y, to.y) - 30;
      return `M${from.x + w / 2} ${from.y}Q${(from.x + to.x + w) / 2} ${up} ${to.x + w / 2} ${to.y}`;
    };
    const open = range(1, devices).map((n) => line(n - 1, n));
    const visits = (chosen[step - 1] ?? []).map((one) => ownerOf(one, state)).filter((one) => one !== HOME);
    const used = { layers: open.slice(0, step), tensors: step ? [...open, arc(devices - 1, 0)] : [], experts: visits.map((one) => arc(HOME, one)) };
    set(this.wires[0], { d: cut === "experts" ? "" : open.join("") });
    set(this.wires[1], { d: used[cut].join("") });
  }

  paint(before, now, t) {
    const same = before.layers === now.layers && before.devices === now.devices;
    const draw = (part, device, state) => {
      const inside = device < state.devices && (part.layer ?? 0) < state.layers;
      const at = spot(part, Math.min(device, state.devices - 1), state, this);
      return inside ? at : { ...at, shown: 0 };
    };
    const moved = during(t, 0, 0.8), between = (a, b) => mix(a, b, moved);
    for (const { part, device, node } of this.copies) {
      const b = draw(part, device, now), a = same && t < 1 ? draw(part, device, before) : b, shown = between(a.shown, b.shown);
      set(node, { display: shown ? null : "none" });
      if (shown) set(node, { x: between(a.x, b.x), y: between(a.y, b.y), width: between(a.w, b.w), height: b.h, opacity: shown });
    }
    const [was, is] = [same ? before : now, now].map((state) => tokens(state, this));
    this.tokens.forEach((node, n) => {
      const a = was[n], b = is[n];
      put(set(node, { "data-device": b.device }), { x: between(a.x, b.x), y: between(a.y, b.y) });
      node.style.opacity = between(a.shown, b.shown);
    });
  }

  shine(state, lit) {
    set(this.stage.drawing, { "data-lit": lit !== null });
    this.boxes.forEach((node, device) => set(node, { "data-lit": lit?.device === device }));
    for (const { node, device } of this.copies) set(node, { "data-lit": lit?.device === device });
  }

  holds(state, device) {
    const { cut, devices, layers, ceiling } = state, { parameters, cached } = plan(state)[device];
    const own = spans(layers, devices, ceiling)[device], held = spans(MIXTRAL.n_experts, devices)[device];
    const what = {
      layers: own.length ? `layer${own.length > 1 ? "s" : ""} ${listed(own)} whole` : "no layer, and hands on what it gets",
      tensors: `${many(spans(MIXTRAL.n_kv_heads, devices)[device].length, "key/value head")} and a slice of every expert, of every layer`,
      experts: `all of attention, and expert${held.length > 1 ? "s" : ""} ${listed(held)} of every layer`,
    }[cut];
    const whose = cut === "experts" ? " of its own texts" : "";
    return `Device ${device} holds ${what}: ${gib(parameters)}, and ${bytes(cached * BYTES)} of keys and values a token${whose}.`;
  }

  say(state, lit) {
    const { cut, layers, devices, step, chosen } = state, sent = bytes(journey(state)[step]);
    if (lit) return this.holds(state, lit.device);
    const idle = this.held(state).flatMap((own, device) => (own ? [] : [device]));
    const nobody = idle.length ? ` Device${idle.length > 1 ? "s" : ""} ${listed(idle)} hold${idle.length > 1 ? "" : "s"} no layer.` : "";
    if (cut === "layers") return `By layers: the token is on device ${step}, ${many(step, "border")} behind it, ${sent} sent.${nobody}`;
    if (!step) return `Cut by ${cut} over ${devices} devices: the token has been embedded, and nothing has been sent.`;
    const done = `After ${many(step, "layer")} of ${layers}`;
    if (cut === "tensors") return `By tensors: all devices work on one token. ${done}, ${many(2 * step, "all-reduce")}, ${sent} sent.`;
    const where = chosen[step - 1].map((expert) => `${expert} (device ${ownerOf(expert, state)})`).join(" and ");
    return `By experts: the token's home is device ${HOME}; in this layer it visits experts ${where}. ${done}, ${sent} sent.`;
  }
}

const ranks = {
  name: "ranks",
  rest: {
    cut: "layers", devices: 4, layers: 6, ceiling: true, step: Infinity,
    chosen: [[1, 6], [3, 4], [7, 0], [2, 5], [4, 1], [6, 3], [0, 2], [5, 7]],
  },
  last: ({ cut, devices, layers }) => (cut === "layers" ? devices - 1 : layers),
  settle({ cut, devices, layers, ceiling, step, chosen }) {
    const state = { cut: CUTS.includes(cut) ? cut : CUTS[0], ceiling: Boolean(ceiling), chosen };
    Object.assign(state, { devices: clamp(devices, 2, MOST_DEVICES), layers: clamp(layers, 1, MOST_LAYERS) });
    return { ...state, step: clamp(step, 0, ranks.last(state)) };
  },
  build: (stage) => new Ranks(stage),
};
export default { render: (context) => void new Stage(ranks, context) };
