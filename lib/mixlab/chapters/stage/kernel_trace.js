// A convolution on a circle of places: what is typed, the outputs, and the waves that they are made of.

export const MOST_INPUTS = 8;
const GREATEST = 9;
export const range = (n) => Array.from({ length: n }, (_, k) => k);
export const modulo = (a, n) => ((a % n) + n) % n;

// "3 1 4 * 2 1": inputs and taps, whole numbers; taps that could only act after the last input are cut.
export function parse(text) {
  const [inputs, kernel] = `${text}*`.split("*").map((part) =>
    words(part, MOST_INPUTS).map((word) => clamp(Math.round(Number(word.replace("−", "-")) || 0), -GREATEST, GREATEST)));
  if (!inputs.length) inputs.push(1);
  return { inputs, kernel: kernel.length ? kernel.slice(0, inputs.length) : [1] };
}

// ---- truth, under the name it has in mixlab.chapters.ssm_convolution.traces ---------------------------
export function trace_kernel(inputs, kernel, n) {
  const at = (row, place) => row[place] ?? 0, places = range(n), half = range(Math.floor(n / 2) + 1);
  const sum = (of) => places.reduce((total, j) => total + of(j), 0);
  const outputs = places.map((t) => sum((j) => at(kernel, j) * at(inputs, modulo(t - j, n))));
  const truth = places.map((t) => sum((j) => at(kernel, j) * at(inputs, t - j)));
  const wrong = places.filter((t) => t < inputs.length && outputs[t] !== truth[t]);
  const turn = (f, t) => (2 * Math.PI * f * t) / n;
  const spectrum = (row) => half.map((f) =>
    [sum((t) => at(row, t) * Math.cos(turn(f, t))), -sum((t) => at(row, t) * Math.sin(turn(f, t)))]);
  const K = spectrum(kernel), x = spectrum(inputs);
  const product = K.map(([a, b], f) => [a * x[f][0] - b * x[f][1], a * x[f][1] + b * x[f][0]]);
  // A frequency and its mirror image make one wave, but for those that are their own.
  const wave = (f, t) => ((f === 0 || 2 * f === n ? 1 : 2) / n) *
    (product[f][0] * Math.cos(turn(f, t)) - product[f][1] * Math.sin(turn(f, t)));
  const partial = half.map((last) => places.map((t) => half.slice(0, last + 1).reduce((all, f) => all + wave(f, t), 0)));
  return { outputs, truth, wrong, kernel: K, inputs: x, product, partial };
}

// The place of the inputs over which a tap stands while output t is made.
export const under = (tap, t, n) => modulo(t - tap, n);
