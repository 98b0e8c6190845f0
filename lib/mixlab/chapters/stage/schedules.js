// Pipeline schedules and when their actions begin and end, as schedules and simulator of mixlab.parallel
// have them: a schedule is a list of actions a stage, an action a stage, a kind (F or B) and a microbatch.

const numbered = (stage, kinds) => {
  const done = { F: 0, B: 0 };
  return [...kinds].map((kind) => ({ stage, kind, microbatch: done[kind]++ }));
};
export const each = (n, make) => Array.from({ length: n }, (_, index) => make(index));

export const gpipe = (stages, m) => each(stages, (s) => numbered(s, "F".repeat(m) + "B".repeat(m)));
export const forward_only = (stages, m) => each(stages, (s) => numbered(s, "F".repeat(m)));
export const one_f_one_b = (stages, m) =>
  each(stages, (s) => {
    const ahead = Math.min(m, stages - s);
    return numbered(s, "F".repeat(ahead) + "BF".repeat(m - ahead) + "B".repeat(ahead));
  });

export function waits_for({ stage, kind, microbatch }, stages, requests = null) {
  if (kind === "B") {
    const above = stage + 1 < stages ? [{ stage: stage + 1, kind, microbatch }] : [];
    return [{ stage, kind: "F", microbatch }, ...above];
  }
  if (stage) return [{ stage: stage - 1, kind, microbatch }];
  if (requests === null || microbatch < requests) return [];
  return [{ stage: stages - 1, kind, microbatch: microbatch - requests }];
}

export const nameOf = ({ stage, kind, microbatch }) => `${kind}${microbatch} of ${stage}`;

// For each stage its spans: an action, its start and its end.
export function simulate(schedule, forward, backward, requests = null) {
  const ends = new Map(), spans = schedule.map(() => []);
  for (let moved = true; moved; ) {
    moved = false;
    schedule.forEach((actions, stage) => {
      const action = actions[spans[stage].length];
      if (!action) return;
      const needed = waits_for(action, schedule.length, requests).map(nameOf);
      if (!needed.every((name) => ends.has(name))) return;
      const start = Math.max(spans[stage].at(-1)?.end ?? 0, ...needed.map((name) => ends.get(name)));
      const end = start + (action.kind === "F" ? forward : backward);
      ends.set(nameOf(action), end);
      spans[stage].push({ action, start, end });
      moved = true;
    });
  }
  return spans;
}

export function kept_after(actions) {
  let kept = 0;
  return actions.map(({ kind }) => (kept += kind === "F" ? 1 : -1));
}
