// The order of acquisition, and which of the images told of are new.

// an image saved so much later than it was scored has a wrong time, which must not keep newer ones from being followed
const AHEAD_S = 86400;

/** Compare two entries by the time they were saved, then by name. */
export const byAcquisition = (one, other) =>
  one.acquired - other.acquired || (one.name < other.name ? -1 : one.name > other.name ? 1 : 0);

const hasResult = (entry) => entry.state === "scored" || entry.state === "withheld";
const isAhead = (entry) => entry.acquired > entry.at + AHEAD_S;

/**
 * What the page was told of so far, to tell new images from other changes. New is an image that was never told of, and
 * one that had a result and was saved again later. The outcome of a retry, a file that failed again and one that
 * disappeared are not new.
 */
export class Known {
  #known = new Map(); // id -> {acquired: of its latest result, or of its first report; hasResult}

  /**
   * Take note of entries.
   * @param changed entries that are new or changed
   * @param order all entries, by acquisition
   * @returns the new image that was acquired last; null where there is none, or an image known before is newer
   */
  note(changed, order) {
    const fresh = changed.filter((entry) => this.#isNew(entry)).sort(byAcquisition);
    const last = fresh.at(-1) ?? null;
    const ids = new Set(fresh.map((entry) => entry.id));
    const isNewest = last && !order.some((other) =>
      !ids.has(other.id) && byAcquisition(other, last) > 0 && (isAhead(last) || !isAhead(other)));
    for (const entry of changed) {
      const before = this.#known.get(entry.id);
      this.#known.set(entry.id, {
        acquired: hasResult(entry) || !before ? entry.acquired : before.acquired,
        hasResult: hasResult(entry) || (before?.hasResult ?? false),
      });
    }
    return isNewest ? last : null;
  }

  /** Forget an image that the page holds no longer. */
  forget(id) {
    this.#known.delete(id);
  }

  #isNew(entry) {
    const before = this.#known.get(entry.id);
    return !before || (before.hasResult && hasResult(entry) && entry.acquired > before.acquired);
  }
}
