// The deck's behaviour: themes, figures drawn as their slide comes up, text fitted, keys.
"use strict";

(() => {
  const root = document.documentElement;
  const printing = /print-pdf/i.test(location.search);
  const CODE_STEPS = [1, 0.95, 0.9, 0.85, 0.8, 0.76, 0.72];
  const TEXT_STEPS = [0.96, 0.92, 0.88, 0.84, 0.8];
  const AMPLE_STEPS = [1.2, 1.14, 1.07]; // for slides with little on them
  const CONFIG = { displayModeBar: false, displaylogo: false, showTips: false, responsive: false };
  const FONT_SIZE = 16;
  const SMALLEST_FONT = 14;

  const token = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const sectionFigures = (section) =>
    section ? [...section.querySelectorAll(".figure")].map((element) => element.figure) : [];

  // ---- theme -----------------------------------------------------------------------------

  function setTheme(theme) {
    if (root.dataset.theme === theme) return;
    root.dataset.theme = theme;
    for (const figure of figures) figure.repaint();
  }

  // Grey, black or white: the colours of lines, which must stand out from the paper.
  function neutral(color) {
    const names = { black: "#000000", white: "#ffffff", gray: "#808080", grey: "#808080" };
    const text = names[color] || String(color);
    const hex = /^#([0-9a-f])\1?([0-9a-f])\2?([0-9a-f])\3?$/i.exec(text);
    const rgb = /^rgba?\(\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*(?:,\s*[\d.]+\s*)?\)$/.exec(text);
    let parts = rgb ? rgb.slice(1, 4).map(Number) : null;
    if (/^#[0-9a-f]{6}$/i.test(text)) parts = [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16));
    else if (hex) parts = hex.slice(1, 4).map((digit) => parseInt(digit + digit, 16));
    return parts && Math.max(...parts) - Math.min(...parts) < 24 ? parts : null;
  }

  // The author's colour in the light theme; in the dark one a grey changes sides.
  function adapt(object, key, originals) {
    const color = object && object[key];
    if (typeof color !== "string") return;
    const path = originals.get(object) || {};
    originals.set(object, path);
    path[key] ??= color;
    const parts = neutral(path[key]);
    if (!parts) return;
    const level = 255 - Math.round((parts[0] + parts[1] + parts[2]) / 3);
    object[key] = root.dataset.theme === "dark" ? `rgb(${level},${level},${level})` : path[key];
  }

  // ---- figures ---------------------------------------------------------------------------

  class Figure {
    constructor(element) {
      this.element = element;
      this.plot = element.querySelector(".plot");
      this.ranges = [...element.querySelectorAll(".steps input")];
      this.originals = new Map();
      this.ready = null;
      this.turn = 0;
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
      if (!layout.title) layout.margin.t = Math.max(20, (layout.margin.t ?? 60) - 44);
      layout.margin.r ??= 24;
      layout.font = { ...layout.font, family: token("--sans") };
      layout.font.size = Math.max(FONT_SIZE, layout.font.size || 0);
      raiseFonts(layout);
      this.paint(spec.data, layout);
      await Plotly.newPlot(this.plot, {
        data: spec.data, layout, frames: spec.frames, config: CONFIG,
      });
      await this.separate();
      this.plot.on("plotly_sliderchange", () => this.sync());
      this.plot.on("plotly_buttonclicked", () => (this.pressed = true));
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
      for (const note of layout.annotations || []) {
        if (note.font && (note.xref === "paper" || !note.xref)) {
          adapt(note.font, "color", this.originals);
        }
        adapt(note, "arrowcolor", this.originals);
      }
      for (const shape of layout.shapes || []) adapt(shape.line, "color", this.originals);
      for (const trace of data) {
        adapt(trace.line, "color", this.originals);
        if (/^scatter/.test(trace.type || "scatter")) {
          adapt(trace.marker, "color", this.originals);
          adapt(trace.textfont, "color", this.originals);
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

    async step(index, wanted) {
      if (!this.ranges[index]) return;
      await this.draw();
      const slider = this.slider(index);
      const position = Math.min(Math.max(wanted, 0), this.count(index) - 1);
      if (slider) {
        const { method = "restyle", args = [] } = slider.steps[position];
        const before = slider.active ?? 0;
        const turn = ++this.turn;
        this.pressed = false;
        if (method !== "skip") await Plotly[method](this.plot, ...args);
        // Plotly moves the knob itself where it recognises the step; or something newer has.
        if (turn !== this.turn) return;
        if ((this.slider(index).active ?? 0) === before && before !== position) {
          await Plotly.relayout(this.plot, { [`sliders[${index}].active`]: position });
        }
      } else {
        const still = { mode: "immediate", frame: { duration: 0 }, transition: { duration: 0 } };
        await Plotly.animate(this.plot, [this.frames[position]], still);
      }
      this.ranges[index].value = position;
      this.sync();
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
      const forward = () => this.step(index, this.active(index) + 1);
      if (this.active(index) === this.count(index) - 1) this.step(index, 0);
      else forward();
      this.timer = setInterval(() => {
        if (this.active(index) >= this.count(index) - 1) this.stop();
        else forward();
      }, pace);
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
        value.size = Math.max(SMALLEST_FONT, value.size);
      }
      raiseFonts(value);
    }
  }

  // ---- slides ----------------------------------------------------------------------------

  function fits(slide) {
    const body = slide.querySelector(".body");
    if (body.scrollHeight > body.clientHeight + 1) return false;
    const boxes = [body, ...body.querySelectorAll(".prose, .block, pre, table, .math")];
    return boxes.every((box) => box.scrollWidth <= box.clientWidth + 1);
  }

  // Whether the text leaves a third of the body free, so that larger type would not crowd it.
  function ample(slide) {
    const prose = [...slide.querySelectorAll(".plain .prose")];
    const height = prose.reduce((sum, part) => sum + part.offsetHeight, 0);
    return prose.length && height < 0.66 * slide.querySelector(".body").clientHeight;
  }

  // Code shrinks first, down to 15 units, then text, down to 22; what is still too much stays
  // too much, and check.py says so.
  function fit(section) {
    const slide = section.querySelector(".slide");
    if (!slide || slide.dataset.fitted) return;
    slide.dataset.fitted = "yes";
    const steps = [
      ...AMPLE_STEPS.map((step) => [step, step, ample]),
      ...CODE_STEPS.map((code) => [1, code]),
      ...TEXT_STEPS.map((text) => [text, CODE_STEPS.at(-1)]),
    ];
    for (const [text, code, also = () => true] of steps) {
      slide.style.setProperty("--text-fit", text);
      slide.style.setProperty("--code-fit", code);
      if (fits(slide) && also(slide)) return;
    }
  }

  function prepare(section) {
    if (!section || !section.offsetWidth) return Promise.resolve();
    fit(section);
    return Promise.all(sectionFigures(section).map((figure) => figure.draw()));
  }

  // Tab stays on the slide that is seen. In the overview every slide can be clicked.
  function enclose() {
    if (printing) return;
    for (const section of document.querySelectorAll(".slides > section")) {
      section.inert = section !== Reveal.getCurrentSlide() && !Reveal.isOverview();
    }
  }

  function show(section, before) {
    enclose();
    for (const figure of sectionFigures(before)) figure.stop();
    const done = prepare(section);
    // The neighbours, once this slide stands, so that they are there before they are asked for.
    const idle = window.requestIdleCallback || ((call) => setTimeout(call, 200));
    done.then(() => idle(() => prepare(section.nextElementSibling)));
    return done;
  }

  // ---- keys ------------------------------------------------------------------------------

  const help = document.getElementById("help");
  const animated = () =>
    sectionFigures(Reveal.getCurrentSlide()).find((figure) => figure.ranges.length);

  function step(slider, change) {
    const figure = animated();
    if (!figure) return false;
    const index = slider ?? figure.current;
    if (!figure.ranges[index]) return false;
    figure.stop();
    figure.step(index, figure.active(index) + change);
    return true;
  }

  const KEYS = {
    d: () => setTheme(root.dataset.theme === "dark" ? "light" : "dark") || true,
    p: () => Boolean(animated() && (animated().toggle(), true)),
    ",": () => step(null, -1),
    ".": () => step(null, +1),
    "?": () => help.showModal() || true,
    "shift+ArrowLeft": () => step(0, -1),
    "shift+ArrowRight": () => step(0, +1),
    "shift+ArrowDown": () => step(1, -1),
    "shift+ArrowUp": () => step(1, +1),
  };

  // Before reveal.js sees a key, which means other things by P and the full stop.
  window.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (help.open) {
      event.stopPropagation();
      if (event.key === "?") help.close();
      return;
    }
    if (Reveal.isPaused()) return;
    const arrow = event.key.startsWith("Arrow");
    const name = arrow ? `${event.shiftKey ? "shift+" : ""}${event.key}` : event.key.toLowerCase();
    if (KEYS[name] && KEYS[name]()) {
      event.preventDefault();
      event.stopPropagation();
    }
  }, true);

  document.addEventListener("click", (event) => {
    if (event.target.closest(".help-button")) help.showModal();
    if (event.target === help || event.target.closest("#help .close")) help.close();
  });

  // ---- start -----------------------------------------------------------------------------

  const figures = [...document.querySelectorAll(".figure")].map((element) => new Figure(element));
  if (printing) root.dataset.theme = "light";

  // Plotly rejects the promise of an animation that is interrupted, with no reason, and nobody
  // waits for it: that is no error.
  window.addEventListener("unhandledrejection", (event) => {
    if (event.reason === undefined) event.preventDefault();
  });

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (event) => {
    if (!printing && !new URLSearchParams(location.search).has("theme")) {
      setTheme(event.matches ? "dark" : "light");
    }
  });

  Reveal.on("slidechanged", (event) => show(event.currentSlide, event.previousSlide));
  Reveal.on("ready", (event) => show(event.currentSlide));
  for (const all of ["pdf-ready", "overviewshown"]) {
    Reveal.on(all, () => document.querySelectorAll("section").forEach(prepare));
  }

  Reveal.on("overviewshown", enclose);
  Reveal.on("overviewhidden", enclose);

  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  Reveal.initialize({
    width: 1280,
    height: 720,
    margin: 0,
    minScale: 0.1,
    maxScale: 6,
    center: false,
    hash: true,
    hashOneBasedIndex: true,
    controls: false,
    progress: true,
    help: false,
    scrollActivationWidth: 0,
    transition: calm ? "none" : "fade",
    transitionSpeed: "fast",
    viewDistance: 2,
    mobileViewDistance: 2,
    pdfSeparateFragments: false,
    pdfMaxPagesPerSlide: 1,
    plugins: [RevealNotes],
  });

  // For check.py: one slide, complete with its fragments, when all of it is drawn.
  window.deck = {
    figures,
    setTheme,
    async visit(number) {
      Reveal.configure({ transition: "none" });
      root.classList.add("still");
      Reveal.layout();
      Reveal.slide(number, 0, 999);
      await show(Reveal.getCurrentSlide());
      await document.fonts.ready;
    },
  };
})();
