/**
 * Where each behaviour stands on the x axis: by order, or by time.
 *
 * By time, behaviours of one moment stand beside each other, a little apart, so that each can be seen.
 *
 * @returns {{xs: number[], ends: number[], nearest: (x: number) => number}} each place, the ends of the axis, and the
 *   behaviour nearest to a place on it
 */
export function placesOf(history, byTime) {
  const xs = byTime ? timesOf(history) : history.map((_, place) => place)
  const nearest = (x) => {
    let [low, high] = [0, xs.length - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if (xs[middle] < x) low = middle + 1
      else high = middle
    }
    return low > 0 && x - xs[low - 1] < xs[low] - x ? low - 1 : low
  }
  const beside = byTime ? 0.01 * (xs.at(-1) - xs[0]) : 0
  return { xs, ends: [xs[0] - beside, xs.at(-1) + beside], nearest }
}

/** Whether the times of a history can be laid out: all are known, and they are not all one moment. */
export function hasTimes(history) {
  const times = history.map(({ time }) => (time == null ? NaN : moment(time)))
  return times.length > 1 && !times.some(Number.isNaN) && times.at(-1) > times[0]
}

/** An ISO time in milliseconds, taken as UTC where it names no zone. */
const moment = (time) => Date.parse(/T.*(Z|[+-]\d\d:?\d\d)$/.test(time) || !time.includes('T') ? time : `${time}Z`)

function timesOf(history) {
  const times = history.map(({ time }) => moment(time))
  const apart = (times.at(-1) - times[0]) / (4 * history.length)
  let last = -Infinity
  return times.map((time) => (last = Math.max(time, last + apart)))
}
