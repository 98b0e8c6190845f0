// What the pieces of the stage share: nodes, text, motion, controls, keys, and the state they show.
// A piece's own text follows in the same module: anywidget and a page load a module as text, where
// relative imports fail. No ids and no globals, so that two pieces may share a page. A piece is
//   name          of its file, and of this object
//   rest          what it opens on where the model says nothing; `step` is its time
//   last(state)   the greatest step
//   settle(state) the nearest state there is
//   build(stage)  makes nodes and controls, and returns the actor:
//     lay(wide, state)      places the parts, and returns the drawing's [width, height]
//     mark(state)           texts and attributes, final at once
//     paint(before, now, t) positions on the way from one state to the next, 0 <= t <= 1
//     shine(state, lit)     lights up what belongs to `lit`, or nothing for null
//     say(state, lit)       a sentence about it

const MOVE = 1000, REST = 600; // milliseconds: one move, and the pause after it while playing
const NARROW = 560; // pixels: below, a piece takes its tall shape
const TOKEN_FONT = '"Palatino Linotype", Palatino, "TeX Gyre Pagella", Georgia, serif';
const BACK = "M6 5v14M19 5 9 12l10 7z", FORWARD = "M18 5v14M5 5l10 7-10 7z";
const PLAY = "M7 4.5 19.5 12 7 19.5z", PAUSE = "M8 5v14M16 5v14";

const clamp = (x, least, most) => Math.min(Math.max(x, least), most);
const mix = (a, b, t) => a + (b - a) * t;
const ease = (t) => t * t * (3 - 2 * t);
// How far that part of a move has come which lasts from `from` to `to`.
const during = (t, from, to) => ease(clamp((t - from) / (to - from), 0, 1));

function set(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === false) node.removeAttribute(name);
    else node.setAttribute(name, value === true ? "" : value);
  }
  return node;
}

const maker = (space) => (tag, attributes = {}, ...children) => {
  const node = set(document.createElementNS(`http://www.w3.org/${space}`, tag), attributes);
  node.append(...children);
  return node;
};
const html = maker("1999/xhtml"), svg = maker("2000/svg");
const icon = (d) => svg("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, svg("path", { d }));
const put = (node, { x, y }) => (node.style.transform = `translate(${x}px, ${y}px)`);

// JupyterLab takes plain keys for commands unless the very thing that has the focus forbids it.
const focusable = (node, attributes) =>
  set(node, { tabindex: 0, "data-lm-suppress-shortcuts": true, ...attributes });
const words = (text, most) => text.split(/\s+/).filter(Boolean).slice(0, most);
const lowered = (n) => String(n).replace(/\d/g, (digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]);
let brush; // made when first asked for: a module may be read where there is no document
// Pixels a token takes with its position; a canvas measures before anything is in the page.
function tokenWidth(word, n, size) {
  brush ??= document.createElement("canvas").getContext("2d");
  brush.font = `100px ${TOKEN_FONT}`;
  const wide = brush.measureText(word).width + 0.65 * brush.measureText(String(n)).width;
  return (wide * size) / 100 + 1;
}

// A token's name in a <text>: the word, and its position as an index.
function label(node, word, n, size) {
  const position = svg("tspan", { dy: "0.35em", dx: 1, style: "font-size: 0.65em" }, String(n));
  node.style.fontSize = `${size}px`;
  node.replaceChildren(word, position);
}

// Things of these widths in centred lines: the middle, the baseline and the width of each.
function flow(widths, { width, gap, line, top }) {
  const rows = [];
  for (const wide of widths) {
    const row = rows.at(-1);
    if (row && row.at(-1).end + gap + wide <= width) row.push({ wide, end: row.at(-1).end + gap + wide });
    else rows.push([{ wide, end: wide }]);
  }
  return rows.flatMap((row, number) => {
    const left = (width - row.at(-1).end) / 2;
    return row.map(({ wide, end }) => ({ x: left + end - wide / 2, y: top + number * line, wide }));
  });
}

class Stage {
  constructor(piece, { model, el }) {
    Object.assign(this, { piece, model, el, lit: null, wide: true, timer: 0 });
    this.drawing = svg("svg", { role: "group" });
    this.said = html("p", { class: "stage-said", "aria-live": "polite" });
    this.bar = html("div", { class: "stage-bar" });
    el.classList.add("stage");
    el.dataset.piece = piece.name;
    el.style.setProperty("--token-font", TOKEN_FONT);
    el.replaceChildren(this.drawing, this.said, this.bar);
    const [back, on] = [-1, 1].map((by) => () => this.step(by));
    const arrows = { "shift+ArrowLeft": back, "shift+ArrowRight": on };
    this.keys = { p: () => this.play(), ",": back, ".": on, ...arrows };
    this.button("step back (,)", BACK, back);
    this.playing = this.button("play or pause (P)", PLAY, this.keys.p);
    this.button("step (.)", FORWARD, on);
    this.scrub = focusable(html("input", { type: "range", min: 0, "aria-label": "step" }));
    this.scrub.addEventListener("input", () => this.step(this.scrub.value - this.state.step));
    this.bar.append(this.scrub);
    this.actor = piece.build(this);
    this.state = piece.settle(this.told());
    this.refresh();
    el.addEventListener("keydown", (event) => this.onKey(event));
    // A deck hands on the keys that it has no use for, and stops what plays on a slide that it leaves.
    el.addEventListener("stage-key", (event) => this.press(event.detail) && event.preventDefault());
    el.addEventListener("stage-stop", () => this.stop());
    model.on?.("change", () => this.telling || this.go(this.told()));
    new ResizeObserver(([{ contentRect }]) => this.fit(contentRect.width)).observe(el);
  }

  // The state that the model tells, and the piece's own where the model says nothing.
  told() {
    const own = Object.entries(this.piece.rest);
    return Object.fromEntries(own.map(([name, value]) => [name, this.model.get(name) ?? value]));
  }

  // To another state: it holds at once, and the picture follows. A move under way is ended first.
  go(change) {
    const before = this.state;
    this.state = this.piece.settle({ ...before, ...change });
    this.lit = null;
    this.telling = true; // a model answers each set with a change, while the rest is still old
    for (const [name, value] of Object.entries(this.state)) this.model.set(name, value);
    this.telling = false;
    this.model.save_changes();
    this.refresh();
    this.move(before);
  }

  step(change) {
    this.stop();
    this.go({ step: this.state.step + change });
  }

  refresh() {
    const { actor, state, scrub } = this;
    const [width, height] = actor.lay(this.wide, state);
    set(this.drawing, { viewBox: `0 0 ${width} ${height}`, style: `aspect-ratio: ${width} / ${height}` });
    actor.mark(state);
    scrub.max = this.piece.last(state);
    scrub.value = state.step;
    scrub.ariaValueText = actor.say(state, null);
    this.clock?.cancel();
    actor.paint(state, state, 1);
    this.light(this.lit);
  }

  fit(width) {
    if (!width || this.wide === width >= NARROW) return;
    this.wide = width >= NARROW;
    this.refresh();
  }

  light(lit) {
    this.lit = lit;
    this.actor.shine(this.state, lit);
    const sentence = this.actor.say(this.state, lit);
    if (this.said.textContent !== sentence) this.said.textContent = sentence;
  }

  // An animation without keyframes is the clock, so that the browser's own tools can hold it.
  move(before) {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    const { state } = this;
    const clock = (this.clock = this.drawing.animate([], { duration: MOVE }));
    const frame = () => {
      if (clock.playState === "idle") return; // something newer has begun
      const { progress } = clock.effect.getComputedTiming();
      this.actor.paint(before, state, progress ?? 1);
      if (progress !== null) requestAnimationFrame(frame);
    };
    frame();
  }

  play() {
    if (this.timer) return this.stop();
    const over = () => this.state.step >= this.piece.last(this.state);
    const next = (last) => (over() ? last() : this.go({ step: this.state.step + 1 }));
    next(() => this.go({ step: 0 }));
    this.timer = setInterval(next, MOVE + REST, () => this.stop());
    this.playing.replaceChildren(icon(PAUSE));
  }

  stop() {
    clearInterval(this.timer);
    this.timer = 0;
    this.playing.replaceChildren(icon(PLAY));
  }

  button(title, path, act) {
    const button = focusable(html("button", { title, "aria-label": title }, icon(path)));
    button.addEventListener("click", act);
    return this.bar.appendChild(button);
  }

  field(title, most, change) {
    const looks = { type: "text", maxlength: most, spellcheck: "false", "aria-label": title };
    const field = focusable(html("input", looks));
    field.addEventListener("input", () => change(field.value));
    return this.bar.appendChild(field);
  }

  // A part of the drawing that is dragged: `at(x, y)` is the value where the pointer is.
  handle(node, title, { value, at, change }) {
    focusable(node, { role: "slider", "aria-label": title });
    node.addEventListener("pointerdown", ({ pointerId }) => node.setPointerCapture(pointerId));
    node.addEventListener("pointermove", ({ pointerId, clientX, clientY }) => {
      if (!node.hasPointerCapture(pointerId)) return;
      const toDrawing = this.drawing.getScreenCTM().inverse();
      const { x, y } = new DOMPoint(clientX, clientY).matrixTransform(toDrawing);
      if (at(x, y) !== value()) change(at(x, y));
    });
    const turns = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1 };
    node.addEventListener("keydown", ({ key, shiftKey }) => {
      if (key in turns && !shiftKey) change(value() + turns[key]);
    });
  }

  // What the pointer or the focus is on lights up.
  lights(node, lit) {
    for (const name of ["pointerenter", "focus"]) node.addEventListener(name, () => this.light(lit));
    for (const name of ["pointerleave", "blur"]) node.addEventListener(name, () => this.light(null));
    return node;
  }

  // Whether the piece has a use for a key.
  press(name) {
    this.keys[name]?.();
    return name in this.keys;
  }

  onKey(event) {
    const { key, target } = event;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = target.matches("input[type=text]");
    const shift = event.shiftKey && key.startsWith("Arrow") ? "shift+" : "";
    const name = key.length > 1 ? shift + key : key.toLowerCase();
    // Keys that the piece or its focused control uses are none of the page's around it.
    if (!typing && this.press(name)) event.preventDefault();
    else if (!target.matches("input, [role=slider]") && key !== " " && key !== "Enter") return;
    event.stopPropagation();
  }
}

// On a page without a kernel, every place that waits for the piece gets it, in the state it names.
function perform(piece) {
  for (const el of document.querySelectorAll(`.stage[data-piece="${piece.name}"][data-state]`)) {
    const model = new Map(Object.entries(JSON.parse(el.dataset.state)));
    el.removeAttribute("data-state");
    new Stage(piece, { el, model: Object.assign(model, { save_changes() {} }) });
  }
}
