"""What tests of pieces do on a page."""

# A second piece on the page, in anywidget's form, with a model like a kernel's.
AS_WIDGET = """async (source) => {
  const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  window.module = await import(address);
  const state = new Map(), heard = [];
  window.asked = new Set();
  window.model = {
    get: (name) => (asked.add(name), state.get(name)),
    set: (name, value) => { state.set(name, value); heard.forEach((call) => call()); },
    on: (name, call) => heard.push(call),
    save_changes() {},
    tell(change) {
      Object.entries(change).forEach(([name, value]) => state.set(name, value));
      heard.forEach((call) => call());
    },
  };
  window.el = document.body.appendChild(document.createElement("div"));
  await module.default.render({ model, el });
}"""

LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def said(page) -> str:
    """The sentence under the drawing."""
    return page.locator(".stage-said").first.inner_text()


def finish(page) -> None:
    """End the move under way."""
    page.evaluate("document.getAnimations().forEach((one) => one.finish())")
    page.wait_for_timeout(100)


def hold(page, milliseconds: int) -> None:
    """Stop the move under way so long after its beginning."""
    page.evaluate(
        "(at) => { const [clock] = document.querySelector('.stage > svg').getAnimations();"
        "clock.pause(); clock.currentTime = at; }",
        milliseconds,
    )
    page.wait_for_timeout(100)
