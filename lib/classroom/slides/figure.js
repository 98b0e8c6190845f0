// One interactive figure of a deck: drawn once, at the size its slide leaves it; repainted when
// the theme turns; stepped and played by keys, whichever way its author built the sliders.
"use strict";

const Figure = (() => {
  const CONFIG = { displayModeBar: false, displaylogo: false, showTips: false, responsive: false };
  const LEGIBLE = 4.5; // contrast of words with what they stand on

  const root = document.documentElement;
  const ENLARGED = root.dataset.shape === "portrait" ? 18 / 16 : 1; // a phone is held, and small
  const FONT_SIZE = 16 * ENLARGED; // the smallest on a slide
  const token = (name) => getComputedStyle(root).getPropertyValue(name).trim();

  // ---- colours ---------------------------------------------------------------------------

  const brush = document.createElement("canvas").getContext("2d"); // reads any CSS colour

  // Red, green and blue; a fourth number is the opacity of a veil.
  function parts(color) {
    brush.fillStyle = "#123456"; // what stays if the text is no colour
    brush.fillStyle = color;
    const text = brush.fillStyle;
    return text.startsWith("#")
      ? [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16))
      : text.match(/[\d.]+/g).map(Number);
  }

  // Those of a grey, black or white, the colours of lines that must stand out from the paper; null
  // for any other colour.
  function neutral(color) {
    const [r, g, b, ...opacity] = parts(color);
    return Math.max(r, g, b) - Math.min(r, g, b) < 24 ? [r, g, b, ...opacity] : null;
  }

  const tinted = (font) => font && typeof font.color === "string" && !neutral(font.color);

  function luminance(rgb) {
    const [r, g, b] = rgb.map((level) => {
      const part = level / 255;
      return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  }

  function contrast(a, b) {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  }

  // A word in a curve's colour, drawn towards the ink as far as it takes to be read on the paper.
  // `inks` leads from colours that the author had drawn so for white paper back to the curves'.
  function legible(object, key, originals, inks) {
    const color = object[key];
    const own = originals.get(object) || {};
    originals.set(object, own);
    own[key] ??= inks[color] ?? color;
    const [paper, ink] = ["--paper", "--ink"].map((name) => parts(token(name)).slice(0, 3));
    const curve = parts(own[key]).slice(0, 3);
    let word = curve;
    for (let share = 0.1; contrast(word, paper) < LEGIBLE && share < 1; share += 0.1) {
      word = curve.map((level, at) => Math.round(level + share * (ink[at] - level)));
    }
    object[key] = word === curve ? own[key] : `rgb(${word})`;
  }

  // The author's colour in the light theme; in the dark one a grey changes sides.
  function adapt(object, key, originals) {
    const color = object && object[key];
    if (typeof color !== "string") return;
    const own = originals.get(object) || {};
    originals.set(object, own);
    own[key] ??= color;
    const grey = neutral(own[key]);
    if (!grey) return;
    const [r, g, b, opacity = 1] = grey;
    const level = 255 - Math.round((r + g + b) / 3);
    const turned = `rgba(${level},${level},${level},${opacity})`;
    object[key] = root.dataset.theme === "dark" ? turned : own[key];
  }

  // ---- words -----------------------------------------------------------------------------

  const SEEN = { opacityProperty: true, visibilityProperty: true };

  // The words in a drawing that are seen, each with its place.
  const words = (drawing, seen = SEEN) =>
    [...drawing.querySelectorAll("svg text")]
      .filter((text) => text.textContent.trim() && !text.closest(".hoverlayer, .cursor-pointer.tst"))
      .map((text) => ({ text, box: text.getBoundingClientRect() }))
      .filter(({ text, box }) => box.width && text.checkVisibility(seen));

  // Pairs of words that share more than a part of the smaller one's place. The box of slanted words
  // says little about where they are.
  function overlaps(labels, part) {
    const along = (a, b, from, to) => Math.max(0, Math.min(a[to], b[to]) - Math.max(a[from], b[from]));
    const shared = (a, b) => along(a, b, "left", "right") * along(a, b, "top", "bottom");
    const area = (a) => a.width * a.height;
    const upright = labels.filter(({ text }) => {
      const { a, b } = text.getCTM();
      return Math.abs(a) < 0.02 || Math.abs(b) < 0.02;
    });
    return upright.flatMap((one, index) => upright
      .slice(index + 1)
      .filter((two) => shared(one.box, two.box) > part * Math.min(area(one.box), area(two.box)))
      .map((two) => [one.text, two.text]));
  }

  // ---- the figure ------------------------------------------------------------------------

  class Figure {
    constructor(element) {
      this.element = element;
      this.plot = element.querySelector(".plot");
      this.ranges = [...element.querySelectorAll(".steps input")];
      this.originals = new Map();
      this.ready = null;
      this.turn = 0;
      this.aims = new Map(); // slider -> the position that steps still under way lead to
      element.figure = this;
      this.ranges.forEach((range, index) => {
        range.addEventListener("input", () => this.step(index, Number(range.value)));
      });
    }

    draw() {
      this.ready ??= this.#draw().catch((error) => {
        console.error(`figure ${this.element.dataset.spec}: ${error.message || error}`);
        this.plot.innerHTML = '<p class="figure-error">This figure could not be drawn.</p>';
      });
      return this.ready;
    }

    async #draw() {
      const spec = JSON.parse(document.getElementById(this.element.dataset.spec).textContent);
      this.frames = (spec.frames || []).map((frame, index) => frame.name || String(index));
      const layout = spec.layout;
      layout.width = this.plot.clientWidth;
      layout.height = this.plot.clientHeight;
      layout.autosize = false;
      layout.dragmode ??= false;
      layout.margin = layout.margin || {};
      layout.margin.r = (layout.margin.r ?? 24) * ENLARGED;
      if (layout.title && layout.title.text) {
        layout.title.font = { ...layout.title.font, size: 20 };
      } else {
        // The title stands on the slide; what the figure says above its axes keeps its room.
        const above = (layout.annotations || []).filter((n) => n.yref === "paper" && n.y >= 1);
        const lines = above.map((note) => String(note.text).split("<br>").length);
        const needed = 20 + 20 * ENLARGED * Math.max(0, ...lines);
        layout.margin.t = Math.max(needed, (layout.margin.t ?? 60) - 44);
      }
      layout.font = { ...layout.font, family: token("--sans") };
      layout.font.size = Math.max(FONT_SIZE, layout.font.size || 0);
      raiseFonts([layout, spec.data, spec.frames]);
      for (const slider of layout.sliders || []) {
        const shown = (slider.currentvalue ??= {});
        shown.font = { ...shown.font, size: FONT_SIZE + 2 };
      }
      this.paint(spec.data, layout);
      await Plotly.newPlot(this.plot, {
        data: spec.data, layout, frames: spec.frames, config: CONFIG,
      });
      if (ENLARGED > 1) await this.widen();
      await this.breakTitles();
      await this.separate();
      this.plot.on("plotly_sliderchange", () => this.sync());
      this.plot.on("plotly_sliderstart", () => this.aims.clear());
      this.plot.on("plotly_buttonclicked", () => {
        this.pressed = true;
        this.aims.clear();
      });
      this.sync();
    }

    // Every colour that belongs to the paper rather than to the data.
    paint(data, layout) {
      const [ink, grid, line, panel] = ["--ink", "--grid", "--line", "--panel"].map(token);
      const muted = token("--muted");
      const font = (object, key = "font") => {
        if (object[key] && object[key].color) object[key].color = ink;
      };
      layout.paper_bgcolor = layout.plot_bgcolor = "rgba(0,0,0,0)";
      layout.font.color = ink;
      const bases = [layout, layout.template && layout.template.layout].filter(Boolean);
      for (const base of bases) {
        if (base !== layout && base.font) base.font.color = ink;
        for (const key of Object.keys(base).filter((name) => /^[xy]axis\d*$/.test(name))) {
          const axis = base[key];
          Object.assign(axis, { gridcolor: grid, zerolinecolor: line, linecolor: muted });
          axis.tickcolor = muted;
          font(axis, "tickfont");
          if (axis.title) font(axis.title);
          // Numbers that stand upright for want of room would reach into the title.
          if (axis.title && key.startsWith("x") && ENLARGED > 1) axis.title.standoff ??= 12;
        }
        if (base.legend) Object.assign(base.legend, { bgcolor: "rgba(0,0,0,0)" });
        if (base.legend) font(base.legend);
        if (base.title && typeof base.title === "object") font(base.title);
      }
      for (const key of ["xaxis", "yaxis"]) {
        layout[key] = { gridcolor: grid, zerolinecolor: line, automargin: true, ...layout[key] };
      }
      for (const menu of layout.updatemenus || []) {
        Object.assign(menu, { bgcolor: panel, bordercolor: line });
        menu.font = { ...menu.font, color: ink };
      }
      for (const slider of layout.sliders || []) {
        Object.assign(slider, { tickcolor: muted, bordercolor: line, bgcolor: line });
        slider.font = { ...slider.font, color: ink };
        if (slider.currentvalue) font(slider.currentvalue);
      }
      layout.hoverlabel = {
        ...layout.hoverlabel, bgcolor: panel, bordercolor: line,
        font: { ...(layout.hoverlabel || {}).font, color: ink },
      };
      const { inks = {} } = ((layout.template || {}).layout || {}).meta || {};
      for (const note of layout.annotations || []) {
        if (tinted(note.font)) {
          legible(note.font, "color", this.originals, inks);
        } else if (note.font && (note.xref === "paper" || !note.xref)) {
          adapt(note.font, "color", this.originals);
        }
        adapt(note, "arrowcolor", this.originals);
      }
      for (const shape of layout.shapes || []) adapt(shape.line, "color", this.originals);
      for (const trace of data) {
        adapt(trace.line, "color", this.originals);
        if (/^scatter/.test(trace.type || "scatter")) {
          adapt(trace.marker, "color", this.originals);
          if (tinted(trace.textfont)) legible(trace.textfont, "color", this.originals, inks);
          else adapt(trace.textfont, "color", this.originals);
        }
        for (const owner of [trace, trace.marker || {}]) {
          if (owner.colorbar) owner.colorbar.outlinecolor = line;
        }
      }
    }

    repaint() {
      if (!this.plot.layout) return;
      this.paint(this.plot.data, this.plot.layout);
      Plotly.react(this.plot, this.plot.data, this.plot.layout, CONFIG);
    }

    // Words that lie on each other on an upright screen, that it cuts, or that Plotly made small to
    // fit: the figure becomes wider, and scrolls in its place.
    async widen() {
      const crowded = () => {
        const { right } = this.plot.querySelector(".main-svg").getBoundingClientRect();
        const cut = ({ text, box }) => box.right > right + 1 && !text.closest("[class*=title]");
        // The slide may be one that isn't shown yet; areas are compared where all are in view.
        const labels = words(this.plot, {}).filter(({ text }) => !text.closest(".treemaplayer"));
        const small = ({ text }) => {
          const { a, b } = text.getCTM();
          return parseFloat(getComputedStyle(text).fontSize) * Math.hypot(a, b) < 0.8 * FONT_SIZE;
        };
        return labels.some(small) || labels.some(cut) || overlaps(labels, 0.1).length;
      };
      for (const times of [1.5, 2]) {
        if (!crowded()) return;
        this.plot.dataset.preventSwipe = "";
        await Plotly.relayout(this.plot, { width: times * this.plot.clientWidth });
      }
    }

    // An x axis' title that is longer than the figure is wide goes on in a second line.
    async breakTitles() {
      const { left, right } = this.plot.querySelector(".main-svg").getBoundingClientRect();
      const patch = {};
      for (const key of Object.keys(this.plot.layout).filter((name) => /^xaxis\d*$/.test(name))) {
        const title = this.plot.querySelector(`.g-${key.replace("axis", "")}title text`);
        const box = title && title.getBoundingClientRect();
        if (!box || (box.left >= left && box.right <= right)) continue;
        const { text } = this.plot.layout[key].title;
        const middle = text.indexOf(" ", text.length / 2);
        if (middle < 0) continue;
        patch[`${key}.title.text`] = `${text.slice(0, middle)}<br>${text.slice(middle + 1)}`;
        patch[`${key}.title.font.size`] = FONT_SIZE;
      }
      await Plotly.relayout(this.plot, patch);
    }

    // Larger type can push an axis title into the slider below it: move the slider down.
    async separate() {
      const { sliders = [], updatemenus = [] } = this.plot.layout;
      const below = (part) => (part.y ?? 0) <= 0;
      const titles = [...this.plot.querySelectorAll(".xtitle, .xaxislayer-above .xtick text")];
      const parts = [...this.plot.querySelectorAll(".slider-group")];
      if (!titles.length || !parts.length || !sliders.some(below)) return;
      const scale = this.plot.getBoundingClientRect().height / this.plot.clientHeight || 1;
      const bottom = Math.max(...titles.map((title) => title.getBoundingClientRect().bottom));
      const top = Math.min(...parts.map((part) => part.getBoundingClientRect().top));
      const missing = Math.ceil((bottom - top) / scale) + 10;
      if (missing <= 0) return;
      const patch = {};
      for (const [name, list] of [["sliders", sliders], ["updatemenus", updatemenus]]) {
        list.forEach((part, index) => {
          if (below(part)) patch[`${name}[${index}].pad.t`] = ((part.pad || {}).t ?? 20) + missing;
        });
      }
      await Plotly.relayout(this.plot, patch);
    }

    slider(index) {
      return (this.plot.layout.sliders || [])[index];
    }

    active(index) {
      const slider = this.slider(index);
      return slider ? slider.active ?? 0 : Number(this.ranges[index].value);
    }

    count(index) {
      return Number(this.ranges[index].max) + 1;
    }

    // Where the slider stands, or will once the steps under way have ended: keys count from there,
    // so that none is lost where drawing is slower than typing.
    aim(index) {
      return this.aims.get(index) ?? this.active(index);
    }

    async step(index, wanted) {
      if (!this.ranges[index]) return;
      await this.draw();
      const position = Math.min(Math.max(wanted, 0), this.count(index) - 1);
      const turn = ++this.turn;
      this.aims.set(index, position);
      this.pressed = false;
      try {
        await this.#show(index, position);
      } catch (error) {
        if (error) throw error; // Plotly rejects without a reason what something newer replaced
      }
      if (turn !== this.turn) return;
      // Plotly moves the knob itself where it recognises the step.
      const moved = [...this.aims].filter(([at, aim]) => this.slider(at) && this.active(at) !== aim);
      this.aims.clear();
      if (moved.length) {
        const knobs = moved.map(([at, aim]) => [`sliders[${at}].active`, aim]);
        await Plotly.relayout(this.plot, Object.fromEntries(knobs));
      }
      if (!this.slider(index)) this.ranges[index].value = position;
      this.sync();
    }

    #show(index, position) {
      const slider = this.slider(index);
      if (!slider) {
        const still = { mode: "immediate", frame: { duration: 0 }, transition: { duration: 0 } };
        return Plotly.animate(this.plot, [this.frames[position]], still);
      }
      const { method = "restyle", args = [] } = slider.steps[position];
      return method === "skip" ? undefined : Plotly[method](this.plot, ...args);
    }

    // The keyboard's sliders follow Plotly's, in place and in words.
    sync() {
      this.ranges.forEach((range, index) => {
        const slider = this.slider(index);
        if (slider) range.value = slider.active ?? 0;
        const label = slider ? slider.steps[range.value].label : this.frames[range.value];
        range.setAttribute("aria-valuetext", label ?? range.value);
        range.nextElementSibling.textContent = label ?? range.value;
      });
    }

    // Which slider the keys drive: the one in focus, else the first.
    get current() {
      return Math.max(0, this.ranges.indexOf(document.activeElement));
    }

    toggle() {
      if (this.timer) return this.stop();
      // The figure's own play button was pressed, and Plotly's loop over the frames still runs.
      if (this.pressed && (this.plot._transitionData || {})._animationRaf) {
        this.pressed = false;
        const halt = { mode: "immediate", frame: { redraw: false }, transition: { duration: 0 } };
        return Plotly.animate(this.plot, [null], halt);
      }
      const index = this.current;
      const pace = Math.min(Math.max(this.pace(), 150), 2000);
      const last = this.count(index) - 1;
      const forward = async (from) => {
        await this.step(index, from + 1);
        if (this.active(index) === last) this.stop(); // at once: the next key plays it again
      };
      // A beat passes where the frame before is still being drawn: begun anew at every beat, a
      // slow machine's frame would never end.
      const beat = () => this.aims.has(index) || forward(this.active(index));
      this.timer = setInterval(beat, pace);
      const start = this.aim(index);
      forward(start === last ? -1 : start);
    }

    stop() {
      clearInterval(this.timer);
      this.timer = null;
    }

    // Milliseconds a frame, as the figure's own play button has it.
    pace() {
      for (const menu of this.plot.layout.updatemenus || []) {
        for (const button of menu.buttons || []) {
          const options = (button.args || [])[1];
          if (button.method === "animate" && options && options.frame && options.frame.duration) {
            return options.frame.duration;
          }
        }
      }
      return 600;
    }
  }

  // Type that is too small on a slide, wherever the figure sets its own.
  function raiseFonts(part) {
    if (Array.isArray(part)) return part.forEach(raiseFonts);
    if (!part || typeof part !== "object") return;
    for (const [key, value] of Object.entries(part)) {
      if (/font$/i.test(key) && value && typeof value.size === "number") {
        value.size = Math.max(FONT_SIZE, value.size);
      }
      raiseFonts(value);
    }
  }

  return Object.assign(Figure, { words, overlaps });
})();
