// Run by check.py in a deck that shows a slide: [kind, detail] for each thing that is wrong.
() => {
  const problems = [];
  const report = (kind, detail) => problems.push([kind, String(detail)]);
  const section = Reveal.getCurrentSlide();
  const slide = section.querySelector(".slide");
  const frame = slide.getBoundingClientRect();
  const scale = frame.width / slide.offsetWidth;
  const footer = slide.querySelector("footer").getBoundingClientRect();
  const SLACK = 1.5 * scale;

  const name = (element) => {
    const text = (element.textContent || "").trim().replace(/\s+/g, " ").slice(0, 50);
    return `<${element.tagName.toLowerCase()}> ${text}`;
  };
  const hidden = (element) => element.closest(".hidden-text, .steps, aside, script, style");
  const outside = (box, frame) =>
    box.right > frame.right + SLACK || box.bottom > frame.bottom + SLACK ||
    box.left < frame.left - SLACK || box.top < frame.top - SLACK;

  // ---- text: each run of letters, where it lies, how large and how strong it is ----------

  const rgba = (color) => {
    const parts = (color.match(/[\d.]+/g) || []).map(Number);
    if (/^color\(srgb /.test(color)) for (const n of [0, 1, 2]) parts[n] *= 255;  // of color-mix
    return parts.length < 3 ? [0, 0, 0, 0] : [...parts.slice(0, 3), parts[3] ?? 1];
  };
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => {
      const v = c / 255;
      return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const contrast = (a, b) => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const backdrop = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = rgba(getComputedStyle(at).backgroundColor);
      if (color[3] > 0.99) return color;
    }
    return [255, 255, 255, 1];
  };
  const faint = (element, color, size, bold) => {
    const ratio = contrast(color, backdrop(element));
    return ratio < (size >= 24 || (bold && size >= 18.6) ? 3 : 4.5) ? ratio : 0;
  };

  const walker = document.createTreeWalker(slide, NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || hidden(element) || element.closest("svg")) continue;
    const style = getComputedStyle(element);
    if (style.visibility === "hidden") {
      report("hidden text", name(element));
      continue;
    }
    range.selectNodeContents(node);
    const limit = element.closest("footer") ? frame : { ...frame.toJSON(), bottom: footer.top };
    if ([...range.getClientRects()].some((box) => outside(box, limit))) {
      report("text cut", name(element));
    }
    // A formula's own scripts are small by nature: its size is the whole formula's.
    const sized = element.closest("math") || element;
    const size = parseFloat(getComputedStyle(sized).fontSize) * Math.min(scale, 1);
    const least = element.closest("pre, code") ? 12 : 14;
    if (size < least) report("small text", `${size.toFixed(1)} px: ${name(element)}`);
    const ratio = faint(element, rgba(style.color), size, Number(style.fontWeight) >= 600);
    if (ratio) report("faint text", `contrast ${ratio.toFixed(1)}: ${name(element)}`);
  }

  // ---- boxes: nothing beyond the slide or into the footer --------------------------------

  const column = slide.querySelector(".body").getBoundingClientRect();
  for (const box of slide.querySelectorAll(".body .block, .body pre, .body table, .body figure, .body img, .body .math")) {
    if (hidden(box)) continue;
    const parent = box.closest(".prose, .visuals").getBoundingClientRect();
    const edge = { left: parent.left, right: parent.right, top: column.top, bottom: footer.top };
    if (outside(box.getBoundingClientRect(), edge)) report("overflow", name(box));
    if (box.scrollWidth > box.clientWidth + 1.5 && box.clientWidth && box.tagName === "PRE") {
      report("text cut", `a line of code is ${box.scrollWidth - box.clientWidth} px too long`);
    }
  }
  const header = slide.querySelector("header");
  if (header && outside(header.getBoundingClientRect(), { ...frame.toJSON(), bottom: column.top })) {
    report("overflow", name(header));
  }

  // ---- maths -----------------------------------------------------------------------------

  for (const math of slide.querySelectorAll("math")) {
    const box = math.getBoundingClientRect();
    if (box.width < 1 || box.height < 1) report("empty formula", math.getAttribute("alttext"));
    if (math.querySelector("merror")) report("broken formula", math.getAttribute("alttext"));
  }

  // ---- pictures and figures --------------------------------------------------------------

  for (const image of slide.querySelectorAll("img")) {
    const source = (image.getAttribute("src") || "").slice(0, 60);
    if (!(image.getAttribute("alt") || "").trim()) report("no alternative text", source);
    if (!image.complete || !image.naturalWidth) report("picture not shown", source);
  }
  for (const figure of slide.querySelectorAll(".figure")) {
    const which = `figure ${figure.dataset.spec}`;
    if (!(figure.getAttribute("aria-label") || "").trim()) report("no alternative text", which);
    const plot = figure.querySelector(".plot");
    const drawing = plot.querySelector(".main-svg");
    const box = drawing && drawing.getBoundingClientRect();
    if (!box || box.width < 10 || box.height < 10 || !(plot.data || []).length) {
      report("figure not drawn", which);
      continue;
    }
    if (outside(box, { ...figure.getBoundingClientRect().toJSON(), bottom: footer.top })) {
      report("figure clipped", which);
    }
    if (plot.clientHeight < 240) report("figure too small", `${which}: ${plot.clientHeight} px high`);
    inspectDrawing(plot, box, which);
  }

  for (const piece of slide.querySelectorAll(".piece")) {
    const drawing = piece.querySelector(".stage > svg");
    const which = `piece ${drawing ? drawing.parentElement.dataset.piece : "without a drawing"}`;
    if (!(piece.getAttribute("aria-label") || "").trim()) report("no alternative text", which);
    const box = drawing && drawing.getBoundingClientRect();
    if (!box || box.width < 10 || box.height < 240 * scale) report("figure not drawn", which);
    else inspectDrawing(drawing, box, which);
  }

  // Labels that the drawing cuts, that lie on each other, or that the paper swallows.
  function inspectDrawing(plot, box, which) {
    const labels = deck.words(plot);
    for (const { text, box: label } of labels) {
      const style = getComputedStyle(text);
      const { a, b } = text.getScreenCTM(); // a drawing may have a scale of its own
      const size = (parseFloat(style.fontSize) * Math.hypot(a, b)) / Math.max(scale, 1);
      const words = text.textContent.slice(0, 40);
      if (outside(label, box)) report("figure text cut", `${which}: ${words}`);
      const smallest = text.closest(".treemaplayer") ? 12 : 15.5; // that Plotly fits to its tile
      if (size < smallest) report("small text", `${which}, ${size.toFixed(1)} px: ${words}`);
      const onPaper = text.closest(".xtick, .ytick, .g-xtitle, .g-ytitle, .g-gtitle, .legend, .slider-group");
      const ratio = onPaper && faint(plot, rgba(style.fill), size, false);
      if (ratio) report("faint text", `${which}, contrast ${ratio.toFixed(1)}: ${words}`);
    }
    for (const pair of deck.overlaps(labels, 0.3)) {
      const [a, b] = pair.map((text) => text.textContent.slice(0, 30));
      report("figure text overlaps", `${which}: ${a} / ${b}`);
    }
  }

  return problems;
}
