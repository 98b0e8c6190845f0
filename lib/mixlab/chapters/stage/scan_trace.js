// A scan as a program of combinations, and processors that carry it out, under the names they have in
// mixlab.ssm.scan and mixlab.chapters.parallel_scan.traces.

// Each joins lists of items entry by entry: (join, items, chunk_size) to all prefixes.
export const METHODS = {
  sequential(join, items) {
    const prefixes = [items[0]];
    for (const item of items.slice(1)) prefixes.push(...join([prefixes.at(-1)], [item]));
    return prefixes;
  },
  hillis_steele(join, items) {
    for (let reach = 1; reach < items.length; reach *= 2)
      items = [...items.slice(0, reach), ...join(items.slice(0, -reach), items.slice(reach))];
    return items;
  },
  blelloch(join, items) {
    if (items.length === 1) return items;
    const [even, odd] = [0, 1].map((first) => items.filter((_, n) => n % 2 === first));
    const at_odd = METHODS.blelloch(join, join(even.slice(0, odd.length), odd));
    const rest = even.slice(1);
    const at_even = [even[0], ...(rest.length ? join(at_odd.slice(0, rest.length), rest) : [])];
    return items.map((_, n) => (n % 2 ? at_odd : at_even)[n >> 1]);
  },
  chunked(join, items, chunk_size) {
    const prefixes = [];
    for (let start = 0; start < items.length; start += chunk_size) {
      const chunk = METHODS.blelloch(join, items.slice(start, start + chunk_size));
      const carried = chunk.map(() => prefixes.at(-1));
      prefixes.push(...(start ? join(carried, chunk) : chunk));
    }
    return prefixes;
  },
};

// The rounds of a scan, found by running it on intervals of places.
export function trace_scan(method, length, chunk_size = null) {
  const steps = [];
  const join = (earlier, later) => {
    const start = earlier.map((item) => item.start);
    steps.push({ earlier: earlier.map(({ end }) => end), later: later.map(({ end }) => end), start });
    return later.map(({ end }, n) => ({ start: start[n], end }));
  };
  METHODS[method](join, Array.from({ length }, (_, n) => ({ start: n, end: n })), chunk_size);
  const work = steps.reduce((sum, { later }) => sum + later.length, 0);
  const coverage = [Array.from({ length }, (_, n) => n)];
  for (const { later, start } of steps) {
    const row = [...coverage.at(-1)];
    later.forEach((place, n) => (row[place] = start[n]));
    coverage.push(row);
  }
  return { method, length, chunk_size, steps, work, depth: steps.length, coverage };
}

// The rounds carried out on items of any kind: what stands at each place, before the first and after each.
export function replay({ steps }, operator, items) {
  const rows = [items];
  for (const { earlier, later } of steps) {
    const before = rows.at(-1), row = [...before];
    later.forEach((place, n) => (row[place] = operator(before[earlier[n]], before[place])));
    rows.push(row);
  }
  return rows;
}

// For each combination, in order, the earlier ones whose results it reads.
function needs({ steps }) {
  const all = [], writer = new Map();
  for (const { earlier, later } of steps) {
    const first = all.length;
    later.forEach((place, n) =>
      all.push([earlier[n], place].filter((at) => writer.has(at)).map((at) => writer.get(at))));
    later.forEach((place, n) => writer.set(place, first + n));
  }
  return all;
}

// How many of the processors are busy in each round: the longest chains first, nothing waits for others.
export function schedule(trace, processors) {
  const needed = needs(trace), many = needed.length;
  const readers = needed.map(() => []), chain = Array(many).fill(1);
  for (let number = many - 1; number >= 0; number--) {
    for (const before of needed[number]) {
      readers[before].push(number);
      chain[before] = Math.max(chain[before], chain[number] + 1);
    }
  }
  const missing = needed.map((before) => before.length);
  // Those that may start, the first to go at the end: an urgent one has a great number.
  const urgency = (number) => chain[number] * many - number;
  const ready = [...missing.keys()].filter((number) => !missing[number]);
  ready.sort((a, b) => urgency(a) - urgency(b));
  const busy = [];
  while (ready.length) {
    const running = ready.splice(-processors).reverse();
    busy.push(running.length);
    for (const reader of running.flatMap((number) => readers[number])) {
      if (--missing[reader]) continue;
      let [low, high] = [0, ready.length];
      while (low < high) {
        const middle = (low + high) >> 1;
        if (urgency(ready[middle]) < urgency(reader)) low = middle + 1;
        else high = middle;
      }
      ready.splice(low, 0, reader);
    }
  }
  return busy;
}
