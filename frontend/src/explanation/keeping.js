/**
 * Where a behaviour of one history stands in the next, which was edited: the same behaviour, or where it is gone the one
 * that came after it. Places are compared from the end, since older behaviours may come in or drop out at the front.
 *
 * @param {Object[]} before the history that was shown
 * @param {Object[]} after the one that is
 * @param {number|null} place in `before`
 * @returns {number|null} in `after`
 */
export function placeIn(before, after, place) {
  if (place == null || !after.length) return null
  const behind = before.length - place // 1 is the newest
  const alike = (history) => history.flatMap(({ item, time }, k) =>
    item.id === before[place].item.id && time === before[place].time ? [k] : [])
  const far = (k) => Math.abs(after.length - k - behind)
  const same = alike(after)
  const nearest = same.reduce((best, k) => (best == null || far(k) <= far(best) ? k : best), null)
  // Where one of several alike is gone, it was this one, unless one of them stands where this one would.
  const gone = nearest == null || (same.length < alike(before).length && far(nearest) > 1)
  return gone ? Math.max(0, after.length - Math.max(1, behind - 1)) : nearest
}

/**
 * The part of a timeline that is in its window, once the history was edited.
 *
 * @param {number[]} range ends of the window
 * @param {number[]} before ends of the whole axis
 * @param {number[]} after ends of the axis that is to be drawn
 * @param {number} moved how far what lies in the window has moved along the axis
 * @returns {number[]}
 */
export function rangeIn(range, before, after, moved) {
  if (range[0] <= before[0] && range[1] >= before[1]) return after
  const wide = Math.min(range[1] - range[0], after[1] - after[0])
  const to = Math.min(after[1], Math.max(after[0] + wide, range[1] + moved))
  return [to - wide, to]
}

const FOCUSED = [
  ['.strips', '.strips'],
  ['.detail', '.strips'], // its button goes with the behaviour
  ['.options', '.options'],
  ['.numbers', '.numbers summary'],
  ['.check', '.check input'],
]

/**
 * Note which part of an element has the focus.
 *
 * @returns {() => void} gives it to the same part of what the element then holds; where there is none, to the timeline or what
 *   there is
 */
export function focusOf(element) {
  const focused = document.activeElement
  if (!element.contains(focused) || focused === element) return () => {}
  const select = [...element.querySelectorAll('.controls select')].indexOf(focused)
  const wanted = FOCUSED.find(([part]) => focused.closest(part))?.[1]
  return () => {
    const next = element.querySelectorAll('.controls select')[select] ?? (wanted && element.querySelector(wanted))
    for (const one of [next, ...['.strips', '.options', '.numbers summary'].map((part) => element.querySelector(part))]) {
      one?.focus({ preventScroll: true })
      if (one && document.activeElement === one) return // else it is hidden, or takes no focus
    }
  }
}
