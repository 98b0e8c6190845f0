// The small Mixtral in a page, whole and exact: its tokenizer, its six layers, what its routers choose.
// It reads the files that the course ships and computes what mixlab does, under the names that things
// have there; weights are float16 as stored, and sums are wider.

// ---- files -------------------------------------------------------------------------------------------
function unpack(base64) {
  const letters = atob(base64), bytes = new Uint8Array(letters.length);
  for (let n = 0; n < bytes.length; n++) bytes[n] = letters.charCodeAt(n);
  return bytes;
}

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
const parsed = (base64) => JSON.parse(utf8.decode(unpack(base64)));

// Float16Array is too new to rely on. A weight below 2^-14 has no leading 1: 1,640 of ours are such.
function float16(bits) {
  const exponent = (bits >> 10) & 31, fraction = (bits & 1023) / 1024;
  const size = exponent ? 2 ** (exponent - 15) * (1 + fraction) : 2 ** -14 * fraction;
  return bits >> 15 ? -size : size;
}

// Name to numbers, row by row. The file: the header's length, the header, one tensor after another.
function safetensors(bytes) {
  const start = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = JSON.parse(utf8.decode(bytes.subarray(8, start)));
  const values = Float32Array.from({ length: 65536 }, (_, bits) => float16(bits));
  const read = ({ dtype, data_offsets: [from, to] }) => {
    if (dtype !== "F16") throw new Error(`weights must be float16, F16: got ${dtype}`);
    const halves = new Uint16Array(bytes.slice(start + from, start + to).buffer); // slice aligns
    const weights = new Float32Array(halves.length);
    for (let n = 0; n < weights.length; n++) weights[n] = values[halves[n]];
    return weights;
  };
  const tensors = Object.entries(header).filter(([name]) => name !== "__metadata__");
  return Object.fromEntries(tensors.map(([name, tensor]) => [name, read(tensor)]));
}

// The model and its tokenizer from the shipped files, each in base64.
export function load(files) {
  const config = parsed(files["config.json"]);
  const tensors = safetensors(unpack(files["model.safetensors"]));
  const weight = (name) => tensors[`model.${name}.weight`];
  const layers = Array.from({ length: config.num_hidden_layers }, (_, n) => {
    const part = (name) => weight(`layers.${n}.${name}`);
    const experts = Array.from({ length: config.num_local_experts }, (_, e) =>
      ["w1", "w2", "w3"].map((name) => part(`block_sparse_moe.experts.${e}.${name}`)));
    const [wq, wk, wv, wo] = ["q", "k", "v", "o"].map((name) => part(`self_attn.${name}_proj`));
    const [attention_norm, ffn_norm] = ["input", "post_attention"].map((name) => part(`${name}_layernorm`));
    return { wq, wk, wv, wo, attention_norm, ffn_norm, gate: part("block_sparse_moe.gate"), experts };
  });
  const tokenizer = new Tokenizer(parsed(files["tokenizer.json"]));
  return { config, tokenizer, layers, tok_embeddings: weight("embed_tokens"), norm: weight("norm") };
}

// ---- tokenizer ---------------------------------------------------------------------------------------
// JavaScript's \s isn't the tokenizer's, which is Unicode's White_Space.
const PIECES = new RegExp(
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\p{White_Space}\\p{L}\\p{N}]+" +
  "|\\p{White_Space}+(?!\\P{White_Space})|\\p{White_Space}+", "gu");

// Byte-level BPE: a byte is written as one letter, its own if that can be seen.
const visible = (byte) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
const hiddenBytes = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => !visible(byte));
const letterOf = (byte) => String.fromCharCode(visible(byte) ? byte : 256 + hiddenBytes.indexOf(byte));

export class Tokenizer {
  constructor({ model, added_tokens: [start] }) {
    this.start = start; // <s>, which stood before every text in training
    this.ids = new Map(Object.entries(model.vocab));
    this.ranks = new Map(model.merges.map(([left, right], rank) => [`${left} ${right}`, rank]));
    this.letters = Array.from({ length: 256 }, (_, byte) => letterOf(byte));
    const byteOf = new Map(this.letters.map((letter, byte) => [letter, byte]));
    this.bytes = []; // of each token; <s> has none
    for (const [token, id] of this.ids) this.bytes[id] = [...token].map((letter) => byteOf.get(letter));
    this.bytes[start.id] = [];
  }

  encode(text) {
    return text.split(this.start.content).flatMap((part, n) => {
      // Digits stand alone, and are cut out before anything looks at what stands beside them.
      const pieces = part.split(/(\p{N})/u).flatMap((run) => run.match(PIECES) ?? []);
      const ids = pieces.flatMap((piece) => this.merge(piece));
      return n ? [this.start.id, ...ids] : ids;
    });
  }

  // The tokens of a piece: the pair that training joined earliest is joined first.
  merge(piece) {
    const parts = [...new TextEncoder().encode(piece)].map((byte) => this.letters[byte]);
    for (;;) {
      let best = Infinity, at = 0;
      for (let n = 1; n < parts.length; n++) {
        const rank = this.ranks.get(`${parts[n - 1]} ${parts[n]}`) ?? Infinity;
        if (rank < best) [best, at] = [rank, n];
      }
      if (best === Infinity) return parts.map((part) => this.ids.get(part));
      parts.splice(at - 1, 2, parts[at - 1] + parts[at]);
    }
  }

  // Of several tokens together, since one may be half a letter.
  decode(ids) {
    return utf8.decode(Uint8Array.from(ids.flatMap((id) => this.bytes[id])));
  }
}

// ---- the model ---------------------------------------------------------------------------------------
// A matrix of this many rows, written row by row, times a vector.
function times(matrix, rows, x) {
  const out = new Float64Array(rows), columns = x.length;
  for (let row = 0, at = 0; row < rows; row++) {
    let a = 0, b = 0, c = 0, d = 0; // four sums at once: one addition need not wait for the last
    for (let n = 0; n < columns; n += 4, at += 4) {
      a += matrix[at] * x[n];
      b += matrix[at + 1] * x[n + 1];
      c += matrix[at + 2] * x[n + 2];
      d += matrix[at + 3] * x[n + 3];
    }
    out[row] = a + b + c + d;
  }
  return out;
}

function rms_norm(x, weight, eps) {
  let square = 0;
  for (const value of x) square += value * value;
  const scale = 1 / Math.sqrt(square / x.length + eps);
  return x.map((value, n) => value * scale * weight[n]);
}

// Weights in proportion to e^score; the highest is taken off first, so that none overflows.
function softmax(scores) {
  const most = Math.max(...scores), powers = Array.from(scores, (score) => Math.exp(score - most));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}

// Turns each head's pairs of channels, c with c + half a head, by an angle that grows with position.
function rotate(x, position, headDim, theta) {
  const half = headDim / 2;
  for (let c = 0; c < x.length; c++) {
    if (c % headDim >= half) continue;
    const angle = position * theta ** (-(c % headDim) / half);
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)], [first, second] = [x[c], x[c + half]];
    x[c] = first * cos - second * sin;
    x[c + half] = second * cos + first * sin;
  }
  return x;
}

// What each token gathers from itself and from the tokens before it.
function attention(rows, { wq, wk, wv, wo }, config) {
  const { num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim: headDim } = config;
  const turned = (matrix, n) =>
    rows.map((x, at) => rotate(times(matrix, n * headDim, x), at, headDim, config.rope_theta));
  const queries = turned(wq, heads), keys = turned(wk, kvHeads);
  const values = rows.map((x) => times(wv, kvHeads * headDim, x));
  return queries.map((query, at) => {
    const out = new Float64Array(heads * headDim), scores = new Float64Array(at + 1);
    for (let head = 0; head < heads; head++) {
      const own = head * headDim, shared = Math.floor((head * kvHeads) / heads) * headDim;
      for (let key = 0; key <= at; key++) {
        let score = 0;
        for (let c = 0; c < headDim; c++) score += query[own + c] * keys[key][shared + c];
        scores[key] = score / Math.sqrt(headDim);
      }
      softmax(scores).forEach((weight, key) => {
        for (let c = 0; c < headDim; c++) out[own + c] += weight * values[key][shared + c];
      });
    }
    return times(wo, config.hidden_size, out);
  });
}

// The k experts with the highest scores, and the softmax of those k; of equal ones the lower number.
export function route(scores, k) {
  const chosen = [...scores.keys()].sort((a, b) => scores[b] - scores[a] || a - b).slice(0, k);
  return { chosen, gates: softmax(chosen.map((expert) => scores[expert])) };
}

function swiglu(x, [w1, w2, w3], width) {
  const gate = times(w1, width, x), up = times(w3, width, x);
  return times(w2, x.length, gate.map((z, n) => (z / (1 + Math.exp(-z))) * up[n]));
}

const add = (x, y, weight = 1) => x.map((value, n) => value + weight * y[n]);

// What every router decides about tokens `ids` (of the first 256, as in training): by layer and token
// the scores, the experts chosen, best first, and their gates; and in the end the tokens' vectors.
// `removed`, a layer to the experts that are missing there, is mixlab's without_experts.
export function trace_router(model, ids, k = model.config.num_experts_per_tok, removed = {}) {
  const { config } = model, { hidden_size: dim, rms_norm_eps: eps, intermediate_size: width } = config;
  const embed = (id) => Float64Array.from(model.tok_embeddings.subarray(id * dim, (id + 1) * dim));
  let hidden = ids.slice(0, 256).map(embed);
  const trace = { logits: [], chosen: [], gates: [] };
  model.layers.forEach((layer, number) => {
    const mixed = attention(hidden.map((x) => rms_norm(x, layer.attention_norm, eps)), layer, config);
    hidden = hidden.map((x, at) => add(x, mixed[at]));
    const normed = hidden.map((x) => rms_norm(x, layer.ffn_norm, eps));
    const logits = normed.map((x) => [...times(layer.gate, layer.experts.length, x)]);
    for (const expert of removed[number] ?? []) for (const scores of logits) scores[expert] = -Infinity;
    const routed = logits.map((scores) => route(scores, k));
    hidden = hidden.map((x, at) => {
      const { chosen, gates } = routed[at];
      const run = (sum, e, rank) => add(sum, swiglu(normed[at], layer.experts[e], width), gates[rank]);
      return chosen.reduce(run, x);
    });
    trace.logits.push(logits);
    trace.chosen.push(routed.map(({ chosen }) => chosen));
    trace.gates.push(routed.map(({ gates }) => gates));
  });
  return { ...trace, hidden };
}

// The scores of the next token after each of the vectors that a trace ends with.
export function read_out({ tok_embeddings, norm, config }, hidden) {
  return hidden.map((x) => times(tok_embeddings, config.vocab_size, rms_norm(x, norm, config.rms_norm_eps)));
}

// What each token costs, in nats: -log of the probability that it was given; the first is for free.
export function nats(logits, ids) {
  return logits.map((_, at) => {
    if (!at) return 0;
    const scores = logits[at - 1], most = scores.reduce((a, b) => Math.max(a, b));
    return Math.log(scores.reduce((sum, score) => sum + Math.exp(score - most), 0)) + most - scores[ids[at]];
  });
}

// ---- what is asked of it -----------------------------------------------------------------------------
let loaded; // when first asked for
export const model = () => (loaded ??= load(FILES));

// The nats that a token costs where all are as likely.
const blind = () => Math.log(model().config.vocab_size);

// Of each expert: the tokens that chose it, in their order, and as which choice.
export function gather(chosen, n_experts) {
  const runs = Array.from({ length: n_experts }, () => []);
  chosen.forEach((experts, token) => experts.forEach((e, rank) => runs[e].push({ token, rank })));
  return runs;
}

// What routers decide about a text's first tokens, at most so many, and what these cost. The start token
// stands before them, unseen.
export function read(model, { text, k, removed }, most) {
  const all = model.tokenizer.encode(text), tokens = all.slice(0, most);
  const ids = [model.tokenizer.start.id, ...tokens];
  const { hidden, ...trace } = trace_router(model, ids, k, removed);
  const [chosen, gates] = [trace.chosen, trace.gates].map((layers) => layers.map((rows) => rows.slice(1)));
  const costs = nats(read_out(model, hidden), ids).slice(1);
  const pieces = tokens.map((id) => model.tokenizer.decode([id]));
  const mean = costs.reduce((a, b) => a + b, 0) / Math.max(1, costs.length);
  return { pieces, chosen, gates, costs, mean, cut: all.length > most };
}

// The tokens with the same experts in a layer, whichever comes first; itself among them.
export function twins(chosen, token) {
  const set = (experts) => [...experts].sort().join();
  return [...chosen.keys()].filter((other) => set(chosen[other]) === set(chosen[token]));
}

// As mixlab.chapters.kit.colored_text: spaces keep their place, a line's end has a sign.
export function shown_piece(piece) {
  const lead = piece.match(/^[ \n]*/)[0], blank = lead.replaceAll("\n", "↵");
  const kept = blank === " " && lead.length < piece.length;
  return (kept ? blank : blank.replaceAll(" ", "·")) + piece.slice(lead.length);
}
