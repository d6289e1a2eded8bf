// What the page knows of the session: every entry by id, in the order of time, and who wants to hear of changes.

const listeners = new Set();
let order = [];
const byId = new Map();

export const session = { grades: [], health: null, most: 5000, run: "", version: 0, notice: "", syntheticWarning: "" };

/** Take everything anew. */
export function takeAll(found) {
  byId.clear();
  Object.assign(session, {
    grades: found.grades, health: found.health, most: found.most, run: found.run, version: found.version,
    notice: found.notice, syntheticWarning: found.synthetic_warning, software: found.software,
  });
  for (const entry of found.entries) byId.set(entry.id, entry);
  sort();
  tell(found.entries);
}

/** Take what changed. */
export function takeSome(update) {
  session.version = update.version;
  session.health = update.health;
  if (update.grades.length) session.grades = update.grades;
  for (const entry of update.entries) byId.set(entry.id, entry);
  if (update.entries.length) sort();
  tell(update.entries);
}

/** All entries, the oldest first. */
export const entries = () => order;
export const entryOf = (id) => byId.get(id);
export const newest = () => order[order.length - 1];
export const highest = () => Math.max(1, session.grades.length - 1);

/**
 * How long to wait between two drawings, in ms. While a backlog is being worked off, drawing each of its results would
 * take from the scoring what it needs.
 */
export const pace = () => ((session.health?.counts.waiting ?? 0) < 20 ? 800 : 10000);

/** The entries of one state, or `all`. */
export const those = (state) => (state === "all" ? order : order.filter((entry) => entry.state === state));

/** Call with the entries that changed, at each change. */
export function listen(callback) {
  listeners.add(callback);
}

function sort() {
  order = [...byId.values()].sort((one, other) => one.at - other.at || one.version - other.version);
  // the oldest make room, as at the server
  for (const entry of order.splice(0, Math.max(0, order.length - session.most))) byId.delete(entry.id);
}

function tell(changed) {
  for (const callback of listeners) callback(changed);
}
