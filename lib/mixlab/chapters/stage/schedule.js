// A pipeline's schedule: what each stage does when. A microbatch comes down from stage to stage, and its
// gradient goes up again; the cursor is the time, and what an action waits for is what makes its input.

import { each, forward_only, gpipe, kept_after, nameOf, one_f_one_b, simulate, waits_for } from "./schedules.js";

const NAMES = { gpipe: "GPipe", "1f1b": "1F1B", writing: "Answers", reading: "One prompt" };
const KINDS = Object.keys(NAMES), TRAINS = ["gpipe", "1f1b"], TOKENS = 3; // a request's, as shown
const PARTS = { gpipe: "microbatch", "1f1b": "microbatch", writing: "request", reading: "chunk" };
const MOST_STAGES = 6, MOST_PARTS = 12, MOST_ACTIONS = 36; // of one stage

// Wide, time goes to the right and a stage is a row; narrow, it goes down and a stage is a column.
const WIDE = {
  tall: false, width: 960, left: 96, top: 92, along: 742, across: 264, least: 52, gap: 5, queue: 30, cell: 34, kept: 850,
};
const TALL = {
  tall: true, width: 390, left: 34, top: 104, along: 404, across: 344, least: 90, gap: 4, queue: 24, cell: 24, kept: 0,
};

// ---- truth: schedules has it --------------------------------------------------------------------------
// What is drawn in a state: the spans, the time they take, and both shares that idle.
export function timelineOf({ kind, stages, parts, dear }) {
  const requests = kind === "writing" ? parts : null;
  const make = { gpipe, "1f1b": one_f_one_b, reading: forward_only }[kind];
  const schedule = make ? make(stages, parts) : forward_only(stages, TOKENS * parts);
  const spans = simulate(schedule, 1, dear ? 2 : 1, requests), all = spans.flat();
  const length = Math.max(...all.map(({ end }) => end));
  const busy = all.reduce((sum, { start, end }) => sum + end - start, 0);
  const kept = TRAINS.includes(kind) ? schedule.map((actions) => Math.max(...kept_after(actions))) : [];
  return { spans, length, requests, kept, bubble: 1 - busy / (stages * length), toWork: (stages * length) / busy - 1 };
}

// ---- place: where an action is, and where it comes from before its time ------------------------------
function boxOf({ action, start, end }, { frame, step, row }) {
  const at = frame.top + frame.gap / 2, along = start * step, long = (end - start) * step - 2;
  const across = action.stage * row, thick = row - frame.gap;
  if (frame.tall) return { x: frame.left + across, y: at + along, w: thick, h: long };
  return { x: frame.left + along, y: at + across, w: long, h: thick };
}

const letter = (request) => String.fromCharCode(65 + request);
const percent = (share) => `${Math.round(100 * share)}%`;
const counted = (n, word) => `${n} ${word}${n === 1 ? "" : word.endsWith("tch") || word.endsWith("s") ? "es" : "s"}`;
const there = (node, is) => set(node, { display: is ? null : "none" });

// ---- the piece ----------------------------------------------------------------------------------------
class Schedule {
  constructor(stage) {
    this.stage = stage;
    const layer = (name) => stage.drawing.appendChild(svg("g", { class: name }));
    const rows = layer("rows"), queue = layer("queue"), actions = layer("actions");
    this.rows = each(MOST_STAGES, (number) =>
      rows.appendChild(stage.lights(focusable(svg("g", { class: "row", role: "img" }, svg("rect"), svg("text"))), { row: number })));
    this.keeps = each(MOST_STAGES, () => rows.appendChild(svg("text", { class: "keeps" })));
    this.sign = queue.appendChild(svg("text", { class: "sign" }));
    this.parts = each(MOST_PARTS, (part) =>
      queue.appendChild(stage.lights(focusable(svg("g", { class: "part", role: "img" }, svg("rect", { rx: 4 }), svg("text"))), { part })));
    this.nodes = each(MOST_STAGES, (row) => each(MOST_ACTIONS, (n) =>
      actions.appendChild(stage.lights(svg("g", { class: "action" }, svg("rect", { rx: 3 }), svg("text")), { row, n }))));
    this.legend = ["forward", "backward", "idle"].map((kind) =>
      rows.appendChild(svg("g", { class: "key", "data-kind": kind }, svg("rect", { rx: 3 }), svg("text", {}, kind))));
    this.cursor = stage.drawing.appendChild(svg("path", { class: "cursor" }));
    this.grips = { stages: this.grip("stages", "stages P"), parts: this.grip("parts", "microbatches M") };
    const by = (name, change) => () => this.again({ [name]: stage.state[name] + change });
    Object.assign(stage.keys, { "+": by("parts", 1), "-": by("parts", -1) });
    Object.assign(stage.keys, { "shift+ArrowUp": by("stages", 1), "shift+ArrowDown": by("stages", -1) });
    const dear = () => this.again({ dear: !stage.state.dear });
    const next = () => this.again({ kind: KINDS[(KINDS.indexOf(stage.state.kind) + 1) % KINDS.length] });
    Object.assign(stage.keys, { m: next, t: dear });
    this.buttons = KINDS.map((kind) => this.button(NAMES[kind], "schedule (M: the next one)", () => this.again({ kind })));
    this.dear = this.button("backward ×2", "backward takes twice as long (T)", dear);
  }

  button(name, title, act) {
    const button = focusable(html("button", { title }, name));
    button.addEventListener("click", act);
    return this.stage.bar.appendChild(button);
  }

  grip(name, title) {
    const value = () => this.stage.state[name], change = (to) => this.again({ [name]: to });
    const node = this.stage.drawing.appendChild(svg("g", { class: "grip" }, svg("rect"), svg("text")));
    this.stage.handle(node, title, { value, change, at: (x, y) => this[`${name}At`](x, y) });
    return node;
  }

  // Another schedule rests on its end.
  again(change) {
    this.stage.stop();
    this.stage.go({ ...change, step: Infinity });
  }

  lay(wide, state) {
    const frame = wide ? WIDE : TALL, timeline = timelineOf(state);
    const row = Math.min(frame.least, frame.across / state.stages), step = Math.min(34, frame.along / timeline.length);
    Object.assign(this, { timeline, place: { frame, step, row } });
    const foot = frame.tall ? frame.top + timeline.length * step : frame.top + state.stages * row;
    return [frame.width, foot + (frame.tall ? 14 : 44)];
  }

  mark(state) {
    const { frame } = this.place, { timeline } = this;
    this.markRows(state);
    this.markQueue(state);
    const [x, y, apart] = frame.tall ? [104, frame.queue + 34, 94] : [640, frame.queue, 112];
    this.legend.forEach((node, n) => put(there(node, !(n === 1 && !TRAINS.includes(state.kind)) && !(n === 2 && frame.tall)), { x: x + n * apart, y }));
    this.nodes.forEach((nodes, row) => nodes.forEach((node, n) => {
      const span = timeline.spans[row]?.[n];
      if (there(node, span) && span) this.markAction(node, span, state);
    }));
    this.buttons.forEach((button, n) => set(button, { "aria-pressed": String(KINDS[n] === state.kind) }));
    set(this.dear, { "aria-pressed": String(state.dear), disabled: !TRAINS.includes(state.kind) });
    set(this.stage.drawing, { "aria-label": `${NAMES[state.kind]} over ${counted(state.stages, "stage")}` });
    for (const [name, sign, most] of [["stages", "P", MOST_STAGES], ["parts", state.kind === "writing" ? "R" : state.kind === "reading" ? "C" : "M", MOST_PARTS]]) {
      set(this.grips[name], { "aria-valuenow": state[name], "aria-valuemin": 1, "aria-valuemax": most });
      this.grips[name].lastChild.textContent = `${sign} = ${state[name]}`;
    }
    const end = frame.tall ? { x: 348, y: frame.queue + 34 } : { x: frame.left + state.parts * frame.cell + 44, y: frame.queue };
    put(this.grips.parts, end);
    put(this.grips.stages, frame.tall ? { x: 42, y: frame.queue + 34 } : { x: 46, y: frame.top + state.stages * this.place.row + 22 });
  }

  markAction(node, span, { step, kind, parts }) {
    const { w, h } = boxOf(span, this.place), [box, text] = node.children, { action } = span;
    const when = span.start >= step ? "later" : span.end >= step ? "now" : "done";
    set(node, { "data-kind": action.kind, "data-when": when, "data-start": span.start, "data-end": span.end });
    set(box, { width: w, height: h });
    text.textContent = kind === "writing" ? `${letter(action.microbatch % parts)}${Math.floor(action.microbatch / parts)}` : action.microbatch;
    const least = this.place.frame.tall ? [18, 13] : [text.textContent.length * 9 + 3, 16];
    there(text, w >= least[0] && h >= least[1]);
    set(text, { x: w / 2, y: h / 2 + 1, style: `font-size: ${h < 17 ? 13 : 16}px` });
  }

  markRows({ stages, kind }) {
    const { place: { frame, step, row }, timeline } = this, long = timeline.length * step;
    this.rows.forEach((node, s) => {
      const [box, text] = node.children, across = s * row, thick = row - frame.gap, at = frame.top + frame.gap / 2;
      there(node, s < stages);
      set(node, { "aria-label": `stage ${s}` });
      text.textContent = frame.tall ? `${s}` : `stage ${s}`;
      const size = frame.tall ? { x: frame.left + across, y: at, width: thick, height: long } : { x: frame.left, y: at + across, width: long, height: thick };
      set(box, size);
      put(text, frame.tall ? { x: frame.left + across + thick / 2, y: frame.top - 14 } : { x: frame.left - 44, y: at + across + thick / 2 });
      const shown = there(this.keeps[s], s < stages && !frame.tall && TRAINS.includes(kind));
      shown.textContent = `keeps ${timeline.kept[s] ?? ""}`;
      put(shown, { x: frame.kept + 44, y: at + across + thick / 2 });
    });
  }

  markQueue({ parts, kind }) {
    const { frame } = this.place;
    this.sign.textContent = { writing: "requests", reading: "prompt" }[kind] ?? "batch";
    put(there(this.sign, !frame.tall), { x: frame.left - 46, y: frame.queue });
    this.parts.forEach((node, part) => {
      const [box, text] = node.children, name = kind === "writing" ? letter(part) : `${part}`, wide = frame.cell - 3;
      there(node, part < parts);
      set(node, { "aria-label": `${PARTS[kind]} ${name}` });
      set(box, { x: -wide / 2, y: -14, width: wide, height: 28 });
      text.textContent = name;
      put(node, { x: frame.left + (part + 0.5) * frame.cell - (frame.tall ? 24 : 0), y: frame.queue });
    });
  }

  // An action comes out of the one whose result it takes in, and the first ones out of the queue.
  from({ action }) {
    const { place, timeline } = this, { frame } = place, { stages, parts } = this.stage.state;
    const needed = waits_for(action, stages, timeline.requests).at(-1);
    const find = (one) => timeline.spans[one.stage].find(({ action: a }) => nameOf(a) === nameOf(one));
    if (needed) return boxOf(find(needed), place);
    return { x: frame.left + (action.microbatch % parts) * frame.cell, y: frame.queue - 14 };
  }

  paint(before, now, t) {
    const { timeline, place: { frame, step } } = this;
    timeline.spans.forEach((spans, row) => spans.forEach((span, n) => {
      const [was, is] = [before, now].map((state) => Number(span.start < Math.min(state.step, timeline.length)));
      const here = boxOf(span, this.place), there = was && is ? here : this.from(span), gone = mix(was, is, during(t, 0, 0.8));
      put(this.nodes[row][n], { x: mix(there.x, here.x, gone), y: mix(there.y, here.y, gone) });
      this.nodes[row][n].style.opacity = mix(was, is, is ? during(t, 0, 0.3) : during(t, 0.4, 1));
    }));
    const at = frame.tall ? frame.top : frame.left, time = at + step * mix(Math.min(before.step, timeline.length), now.step, ease(t));
    const far = frame.tall ? [frame.left - 6, frame.left + now.stages * this.place.row] : [frame.top - 4, frame.top + now.stages * this.place.row + 4];
    set(this.cursor, { d: frame.tall ? `M${far[0]} ${time}H${far[1]}` : `M${time} ${far[0]}V${far[1]}` });
  }

  stagesAt(x, y) {
    const { frame } = this.place, along = frame.tall ? x + 60 : y - frame.top - 22;
    return Math.round(frame.tall ? along / 57 : along / this.place.row);
  }

  partsAt(x) {
    const { frame } = this.place;
    return Math.round(frame.tall ? x / 29 : (x - frame.left - 44) / frame.cell);
  }

  // The action that is meant: hovered, or the one that a stage is at.
  spanOf({ step }, { row, n }) {
    const spans = this.timeline.spans[row];
    return n === undefined ? spans?.findLast(({ start }) => start < step) : spans?.[n];
  }

  // With an action what it waits for, with a microbatch all that is done with it.
  shine(state, lit) {
    const span = lit && lit.row !== undefined && this.spanOf(state, lit);
    const needs = span ? waits_for(span.action, state.stages, this.timeline.requests).map(nameOf) : [];
    set(this.stage.drawing, { "data-lit": Boolean(span) || lit?.part !== undefined });
    this.timeline.spans.forEach((spans, row) => spans.forEach(({ action }, n) => {
      const near = span ? needs.includes(nameOf(action)) || spans[n + 1] === span : action.microbatch % state.parts === lit?.part;
      const how = spans[n] === span ? "it" : near ? "near" : null;
      set(this.nodes[row][n], { "data-lit": how });
    }));
    this.parts.forEach((node, part) => set(node, { "data-lit": part === (span ? span.action.microbatch % state.parts : lit?.part) }));
  }

  say(state, lit) {
    const { timeline } = this, { kind, stages, parts, step } = state;
    const short = ({ action }) => kind === "writing" ? `${letter(action.microbatch % parts)}${Math.floor(action.microbatch / parts)}` : `${action.kind}${action.microbatch}`;
    const span = lit && lit.row !== undefined && this.spanOf(state, lit);
    if (span) {
      const spans = timeline.spans[lit.row], before = spans[spans.indexOf(span) - 1];
      const needs = waits_for(span.action, stages, timeline.requests).filter((one) => one.stage !== lit.row)
        .map((one) => timeline.spans[one.stage].find(({ action }) => nameOf(action) === nameOf(one)));
      const input = needs.map((one) => `${short(one)} of stage ${one.action.stage} ends at ${one.end}`);
      const free = before ? [`stage ${lit.row} is free at ${before.end}`] : [];
      const why = [...input, ...free].join(", ") || "nothing to wait for";
      return `${short(span)} at stage ${lit.row} begins at ${span.start}: ${why}.`;
    }
    if (lit?.part !== undefined) {
      const own = timeline.spans.flat().filter(({ action }) => action.microbatch % parts === lit.part);
      const [first, last] = [Math.min(...own.map(({ start }) => start)), Math.max(...own.map(({ end }) => end))];
      const what = kind === "writing" ? `Request ${letter(lit.part)}: its ${TOKENS} tokens are` : `${PARTS[kind][0].toUpperCase()}${PARTS[kind].slice(1)} ${lit.part} is`;
      return `${what} under way from ${first} to ${last}.`;
    }
    if (step < timeline.length) {
      const busy = timeline.spans.map((all) => all.find(({ start, end }) => start < step && end >= step));
      const doing = busy.map((one, s) => `stage ${s} ${one ? short(one) : "idle"}`).join(", ");
      return step ? `Step ${step} of ${timeline.length}: ${doing}.` : `Nothing has begun; ${timeline.length} steps to go.`;
    }
    const idle = `${counted(timeline.length, "step")}, ${percent(timeline.bubble)} of all time idle, ${percent(timeline.toWork)} of the useful`;
    const keeps = timeline.kept.length ? `; stage 0 keeps ${counted(timeline.kept[0], "microbatch")}` : "";
    return `${NAMES[kind]}, ${counted(stages, "stage")}, ${counted(parts, PARTS[kind])}: ${idle}${keeps}.`;
  }
}

const schedule = {
  name: "schedule",
  rest: { kind: "1f1b", stages: 4, parts: 8, dear: false, step: Infinity },
  last: (state) => timelineOf(state).length,
  settle: ({ kind, stages, parts, dear, step }) => {
    const state = { kind, stages: clamp(stages, 1, MOST_STAGES), parts: clamp(parts, 1, MOST_PARTS), dear: dear && TRAINS.includes(kind) };
    return { ...state, step: clamp(step, 0, timelineOf(state).length) };
  },
  build: (stage) => new Schedule(stage),
};
export default { render: (context) => void new Stage(schedule, context) };
