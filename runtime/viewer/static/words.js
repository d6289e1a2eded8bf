// Numbers and states as a person reads them.

export const MARKS = { scored: "●", withheld: "◐", failed: "✕", waiting: "…" };

const clock = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat([], { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** Unix seconds as a time, with its day where that is not today. */
export function time(at) {
  const when = new Date(1000 * at);
  return (when.toDateString() === new Date().toDateString() ? clock : day).format(when);
}

export function seconds(value) {
  if (value < 90) return `${Math.round(value)} s`;
  return value < 5400 ? `${Math.round(value / 60)} min` : `${(value / 3600).toFixed(1)} h`;
}

export const score = (value) => (value === null || value === undefined ? "–" : value.toFixed(2));

/** A share of the area, never rounded to nothing or to all. */
export function share(value) {
  if (value < 0.01) return value ? "under 1 %" : "0 %";
  return value >= 0.995 && value < 1 ? "over 99 %" : `${Math.round(100 * value)} %`;
}

export const um = (value) => `${value.toLocaleString([], { maximumFractionDigits: 0 })} µm`;
export const base = (name) => name.slice(name.lastIndexOf("/") + 1);
/** The folders of a name, such as patient and site; empty where it lies in the watched folder itself. */
export const folder = (name) => name.slice(0, Math.max(0, name.lastIndexOf("/")));

/** Do something at once, and again only after so many milliseconds, which `ms` tells each time. */
export function atMostEvery(ms, work) {
  let last = -Infinity;
  let timer = 0;
  let due = Infinity;
  return () => {
    const next = Math.max(performance.now(), last + ms());
    if (timer && due <= next) return;
    clearTimeout(timer);
    due = next;
    timer = setTimeout(() => {
      [timer, last] = [0, performance.now()];
      work();
    }, due - performance.now());
  };
}

/** A new element with text; whatever a file is called, it is never read as HTML. */
export function element(tag, text = "", attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
