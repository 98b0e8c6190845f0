// Two memories of three slots along one text: in one the text opens and shuts gates, in the other
// every token lasts equally long. A token's share of a slot keeps its colour while it shrinks.

const MOST_TOKENS = 20, SLOTS = 3, HUES = 5, OPEN = 20;
const NOTCHES = 20, LONGEST = 2; // of a unit of Δ, in dragging and by keys; the greatest Δ
const NOTHING = 1e-4; // a share too small to draw
const DOT = "·";

// A wide and a narrow place: each memory's left edge and the top of its slots.
const WIDE = {
  width: 960, height: 440, line: 42, column: 44, size: 28, memories: [[70, 150], [540, 150]],
  wide: 92, gap: 32, deep: 200,
};
const TALL = {
  width: 390, height: 596, line: 30, column: 19, size: 20, memories: [[35, 118], [35, 372]],
  wide: 84, gap: 34, deep: 130,
};

// ---- truth, under the names it has in mixlab.chapters.selection.slots --------------------------------
export function gates(text) {
  let seen = 0;
  return [...text].map((token) => {
    seen += Number(token !== DOT);
    return Array.from({ length: SLOTS }, (_, slot) => (token !== DOT && seen <= slot + 1 ? OPEN : 0));
  });
}

// What each token lasts for each slot, and whose share is in it then. Δ is null for gates.
export function trace_slots(text, delta) {
  const lengths = delta === null ? gates(text) : Array(text.length).fill(Array(SLOTS).fill(delta));
  let shares = Array.from({ length: SLOTS }, () => Array(text.length).fill(0));
  return lengths.map((lasts, t) => {
    shares = shares.map((row, slot) => {
      const z = -(slot + 1) * lasts[slot];
      return row.map((share, token) => Math.exp(z) * share - (token === t ? Math.expm1(z) : 0));
    });
    return { delta: lasts, shares };
  });
}

// ---- words -------------------------------------------------------------------------------------------
const percent = (share) => `${Math.round(100 * share)}%`;
const listed = (parts) => `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`;

// ---- the piece ---------------------------------------------------------------------------------------
class Copying {
  constructor(stage) {
    this.stage = stage;
    const layer = (name, ...parts) => stage.drawing.appendChild(svg("g", { class: name }, ...parts));
    const many = (most, group, make) => Array.from({ length: most }, (_, n) => group.appendChild(make(n)));
    this.tokens = many(MOST_TOKENS, layer("text"), (token) => this.token(token));
    this.memories = [0, 1].map(() => {
      const group = layer("memory"), name = group.appendChild(svg("text", { class: "name" }));
      const slots = many(SLOTS, group, () => {
        const node = svg("g", { class: "slot" }, svg("rect", { class: "room" }));
        const parts = many(MOST_TOKENS, node, (token) =>
          stage.lights(svg("g", { class: "part" }, svg("rect"), svg("text")), { token }));
        const [lid, under] = [svg("path", { class: "lid" }), svg("text", { class: "under" })];
        node.append(lid, under);
        return Object.assign(node, { parts, lid, under });
      });
      return { name, slots };
    });
    // What flies from the text into the slots: one chip for each.
    this.chips = many(2 * SLOTS, layer("chips"), () => svg("g", {}, svg("rect"), svg("text")));
    this.grip = layer("grips").appendChild(svg("g", { class: "grip" }, svg("path"), svg("rect"), svg("text")));
    const value = () => Math.round(NOTCHES * stage.state.delta);
    const change = (notch) => stage.go({ delta: notch / NOTCHES });
    stage.handle(this.grip, "Δ of every token of the even memory", { value, change, at: (x) => this.notchAt(x) });
    const [longer, shorter] = [1, -1].map((by) => () => change(value() + by));
    Object.assign(stage.keys, { "shift+ArrowUp": longer, "shift+ArrowDown": shorter });
    this.field = stage.field("your own letters and dots", MOST_TOKENS, (text) => stage.go({ text, step: Infinity }));
  }

  token(token) {
    const node = svg("g", { class: "token", role: "button" }, svg("rect", { class: "hit" }), svg("rect", { class: "back" }), svg("text"));
    const goThere = () => this.stage.go({ step: token + 1 });
    node.addEventListener("click", goThere);
    node.addEventListener("keydown", ({ key }) => (key === "Enter" || key === " ") && goThere());
    return this.stage.lights(focusable(node), { token });
  }

  lay(wide, { text, delta }) {
    const frame = wide ? WIDE : TALL, { width, line, size, memories, deep } = frame;
    const across = Math.min(frame.column, (width - 8) / Math.max(1, text.length));
    const left = (width - across * text.length) / 2;
    this.frame = { ...frame, across, middle: (n) => left + (n + 0.5) * across };
    const half = across / 2 - 1;
    this.tokens.slice(0, text.length).forEach((node, n) => {
      const [hit, back, word] = node.children, x = this.frame.middle(n);
      set(hit, { x: x - half, y: line - 28, width: 2 * half, height: 56 });
      set(back, { x: x - Math.min(half, 17), y: line - 19, width: 2 * Math.min(half, 17), height: 38 });
      word.style.fontSize = `${Math.min(size, across * 1.1)}px`;
      put(word, { x, y: line });
    });
    this.memories.forEach(({ name, slots }, which) => {
      const [x, top] = memories[which];
      put(name, { x: x + this.reach() / 2, y: top - 50 });
      slots.forEach((slot, n) => {
        put(slot, { x: this.slotX(which, n), y: top });
        set(slot.firstChild, { width: frame.wide, height: deep });
        set(slot.lid, { d: `M-4 -3H${frame.wide + 4}` });
        put(slot.under, { x: frame.wide / 2, y: deep + 24 });
      });
    });
    const [x, top] = memories[1], y = top + deep + 56;
    this.track = [x, this.reach()];
    put(this.grip, { x: this.trackX(delta), y });
    set(this.grip.firstChild, { d: `M${x - this.trackX(delta)} 0h${this.reach()}` });
    return [width, frame.height];
  }

  reach() {
    return SLOTS * this.frame.wide + (SLOTS - 1) * this.frame.gap;
  }

  slotX(which, n) {
    return this.frame.memories[which][0] + n * (this.frame.wide + this.frame.gap);
  }

  trackX(delta) {
    return this.track[0] + (this.track[1] * delta) / LONGEST;
  }

  notchAt(x) {
    return clamp(Math.round((NOTCHES * LONGEST * (x - this.track[0])) / this.track[1]), 1, NOTCHES * LONGEST);
  }

  mark({ text, delta, step }) {
    this.traces = [trace_slots(text, null), trace_slots(text, delta)];
    this.tokens.forEach((node, n) => {
      const kind = n === step - 1 ? "now" : n < step ? "read" : "later";
      set(node, { display: n < text.length ? null : "none", "data-kind": kind, "data-hue": hue(text[n]), "aria-label": text[n] });
      node.lastChild.textContent = text[n] ?? "";
    });
    this.memories.forEach(({ name, slots }, which) => {
      name.textContent = which ? "even: each token lasts as long" : "selective: the text opens gates";
      slots.forEach((slot, n) => {
        const lasts = this.traces[which][step - 1]?.delta[n] ?? 0;
        const turn = -26 * (1 - Math.exp(-(n + 1) * lasts));
        set(slot.lid, { transform: `rotate(${turn} -4 -3)`, "data-open": lasts > 0 });
        slot.under.textContent = `slot ${n + 1}`;
        slot.parts.forEach((part, token) => {
          set(part, { "data-hue": hue(text[token]) });
          part.lastChild.textContent = text[token] ?? "";
        });
      });
    });
    this.chips.forEach((chip) => {
      set(chip, { "data-hue": hue(text[step - 1]) });
      chip.lastChild.textContent = text[step - 1] ?? "";
    });
    this.grip.lastChild.textContent = `Δ ${delta.toFixed(2)}`;
    set(this.grip, { "aria-valuenow": delta, "aria-valuemin": 1 / NOTCHES, "aria-valuemax": LONGEST });
    set(this.stage.drawing, { "aria-label": "two memories of three slots along a text" });
    if (this.field.value !== text) this.field.value = text;
  }

  paint(before, now, t) {
    // Only a step takes its time: what is dragged or typed is there at once.
    if (before.step === now.step || before.text !== now.text || before.delta !== now.delta) [before, t] = [now, 1];
    const { frame } = this, { wide, deep, line, middle } = frame, forward = now.step > before.step;
    const filled = during(t, 0.5, 1), down = during(t, 0, 0.6);
    this.memories.forEach(({ slots }, which) => {
      const [had, has] = [before, now].map(({ step }) => this.traces[which][step - 1]?.shares);
      slots.forEach((slot, n) => {
        let y = deep;
        slot.parts.forEach((part, token) => {
          const share = mix(had?.[n][token] ?? 0, has?.[n][token] ?? 0, filled), high = deep * share;
          y -= high;
          set(part, { display: share > NOTHING ? null : "none" });
          set(part.firstChild, { x: 0, y, width: wide, height: high });
          put(part.lastChild, { x: wide / 2, y: y + high / 2 });
          part.lastChild.style.fontSize = `${clamp(0.3 * high, 17, 36)}px`;
          part.lastChild.style.opacity = Number(high > 19);
        });
        const chip = this.chips[which * SLOTS + n], open = this.traces[which][now.step - 1]?.delta[n] > 0;
        set(chip, { "data-flies": forward && open && t < 1 });
        const x = mix(middle(Math.max(0, now.step - 1)), this.slotX(which, n) + wide / 2, down);
        put(chip, { x, y: mix(line, frame.memories[which][1] + 10, down) });
        chip.style.opacity = 1 - during(t, 0.6, 0.8);
      });
    });
  }

  shine(_, lit) {
    set(this.stage.drawing, { "data-lit": lit !== null });
    const parts = this.memories.flatMap(({ slots }) => slots.map((slot) => slot.parts));
    for (const nodes of [this.tokens, ...parts]) nodes.forEach((node, n) => set(node, { "data-lit": lit?.token === n }));
  }

  say({ text, step }, lit) {
    const name = (n) => text[n] + lowered(n);
    if (step === 0) return "Nothing has been read yet: all slots are empty.";
    const [gated, even] = this.traces.map((trace) => trace[step - 1].shares);
    if (lit) {
      if (lit.token >= step) return `${name(lit.token)} hasn't been read yet.`;
      const [left, right] = [gated, even].map((rows) => listed(rows.map((row) => percent(row[lit.token]))));
      return `${name(lit.token)} is ${left} of the slots behind gates, and ${right} of the even ones.`;
    }
    const held = gated.map((row) => {
      const most = row.indexOf(Math.max(...row));
      return row[most] > 0.5 ? name(most) : "nothing";
    });
    const noise = even.map((row) => percent(row.reduce((sum, share, n) => sum + (text[n] === DOT ? share : 0), 0)));
    return `After ${name(step - 1)}: behind gates the slots hold ${listed(held)}. Run evenly, dots are ${listed(noise)} of them.`;
  }
}
// A letter's colour, by its place in the alphabet; a dot has none.
const hue = (token) => (token === undefined || token === DOT ? null : (token.charCodeAt(0) - 65) % HUES);

const copying = {
  name: "copying",
  rest: { text: "··C·A·····D···", delta: 0.2, step: Infinity },
  last: ({ text }) => text.length,
  settle: ({ text, delta, step }) => {
    const read = text.toUpperCase().replace(/[^A-Z]/g, DOT).slice(0, MOST_TOKENS);
    const near = clamp(Math.round(NOTCHES * delta), 1, NOTCHES * LONGEST) / NOTCHES;
    return { text: read, delta: near, step: clamp(step, 0, read.length) };
  },
  build: (stage) => new Copying(stage),
};
export default { render: (context) => void new Stage(copying, context) };
