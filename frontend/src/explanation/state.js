/**
 * What the reader has chosen and points at: one place that all parts of the view listen to.
 *
 * - `candidate`: place of the candidate whose numbers are shown
 * - `chosen`: place of the behaviour that was clicked or moved to by keys, or null
 * - `pointed`: place of the behaviour under the pointer, or null
 * - `marked`: places of behaviours that a sentence names, as those whose removal flips the order
 * - `byTime`: whether the history is laid out by time
 * - `shared`: whether scales are the same for all candidates
 * - `range`: ends of the part of the timeline that is in its window, or null before it is drawn
 * - `tables`: whether the tables are open
 * - `every`: whether the paths of all candidates are drawn
 * - `feature`: whose influence is shown, null for the whole behaviour's
 */
export class State {
  #listeners = []

  constructor(values) {
    Object.assign(this, { candidate: 0, chosen: null, pointed: null, marked: [], byTime: false, shared: false, range: null, tables: false, every: false, feature: null }, values)
  }

  /** The behaviour that is shown: the one pointed at, else the chosen one. */
  get shown() {
    return this.pointed ?? this.chosen
  }

  /** Call `listener` whenever one of `names` changes. */
  on(names, listener) {
    this.#listeners.push([names, listener])
  }

  /** Change values; listeners hear of those that are new. */
  set(values) {
    const changed = Object.keys(values).filter((name) => this[name] !== values[name])
    Object.assign(this, values)
    for (const [names, listener] of this.#listeners) {
      if (names.some((name) => changed.includes(name))) listener()
    }
  }
}
