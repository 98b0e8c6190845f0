// The deck's behaviour: themes, slides made ready as they come up, keys. figure.js goes before.
"use strict";

(() => {
  const root = document.documentElement;
  const printing = /print-pdf/i.test(location.search);
  const upright = root.dataset.shape === "portrait";
  const WIDTH = upright ? 600 : 1280;
  const HEIGHT = upright ? Math.min(Math.max((WIDTH * innerHeight) / innerWidth, 900), 1300) : 720;
  const CODE_STEPS = upright ? [0.72] : [1, 0.95, 0.9, 0.85, 0.8, 0.76, 0.72];
  const TEXT_STEPS = [0.96, 0.92, 0.88, 0.84, 0.8];
  const AMPLE_STEPS = [1.2, 1.14, 1.07]; // for slides with little on them

  const sectionFigures = (section) =>
    section ? [...section.querySelectorAll(".figure")].map((element) => element.figure) : [];

  // A piece of the stage draws and moves by its own module.
  const pieces = (section) => (section ? [...section.querySelectorAll(".piece .stage")] : []);

  // ---- theme -----------------------------------------------------------------------------

  function setTheme(theme) {
    if (root.dataset.theme === theme) return;
    root.dataset.theme = theme;
    for (const figure of figures) figure.repaint();
  }

  // ---- slides ----------------------------------------------------------------------------

  function fits(slide) {
    const body = slide.querySelector(".body");
    if (body.scrollHeight > body.clientHeight + 1) return false;
    // On an upright screen, what is wider than it scrolls by itself.
    const parts = upright ? ".prose" : ".prose, .block, pre, table, .math";
    const boxes = [body, ...body.querySelectorAll(parts)];
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
      ...AMPLE_STEPS.map((step) => [step, upright ? CODE_STEPS[0] : step, ample]),
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
    for (const piece of pieces(before)) piece.dispatchEvent(new CustomEvent("stage-stop"));
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
    figure.step(index, figure.aim(index) + change);
    return true;
  }

  // Whether a piece on this slide has a use for the key.
  function handOn(name) {
    const key = () => new CustomEvent("stage-key", { detail: name, cancelable: true });
    return pieces(Reveal.getCurrentSlide()).some((piece) => !piece.dispatchEvent(key()));
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
    if (Reveal.isPaused() || event.target.matches("input[type=text]")) return;
    const arrow = event.key.startsWith("Arrow");
    const name = arrow ? `${event.shiftKey ? "shift+" : ""}${event.key}` : event.key.toLowerCase();
    if ((KEYS[name] && KEYS[name]()) || handOn(name)) {
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

  // Figures are drawn for one shape; the slide stands in the address.
  if (!printing) {
    matchMedia("(orientation: portrait)").addEventListener("change", () => location.reload());
  }
  root.style.setProperty("--slide-width", `${WIDTH}px`);
  root.style.setProperty("--slide-height", `${HEIGHT}px`);

  Reveal.on("slidechanged", (event) => show(event.currentSlide, event.previousSlide));
  Reveal.on("ready", (event) => show(event.currentSlide));
  const prepareAll = () => Promise.all([...document.querySelectorAll("section")].map(prepare));
  Reveal.on("overviewshown", prepareAll);
  Reveal.on("pdf-ready", () => prepareAll().then(() => (root.dataset.printable = "")));

  Reveal.on("overviewshown", enclose);
  Reveal.on("overviewhidden", enclose);

  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  Reveal.initialize({
    width: WIDTH,
    height: HEIGHT,
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
    words: Figure.words,
    overlaps: Figure.overlaps,
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
