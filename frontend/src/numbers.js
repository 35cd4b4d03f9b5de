const MINUS = '\u2212'

/** Write a number with so many digits after the point, and a true minus. */
export function fixed(value, digits = 3) {
  return value == null ? '–' : value.toFixed(digits).replace(/^-(?=.*[1-9])/, MINUS).replace(/^-/, '')
}

/** Write a number with its sign: +0.12, −0.05, 0.00. */
export function signed(value, digits = 3) {
  const text = fixed(value, digits)
  return value > 0 && /[1-9]/.test(text) ? `+${text}` : text
}

/** Write a number that may be small, as a probability, with three significant digits: 0.0123, 0.980, 4.2e−7. */
export function significant(value) {
  if (value == null) return '–'
  if (value === 0) return '0'
  const text = Math.abs(value) < 1e-4 || Math.abs(value) >= 1000 ? value.toExponential(1) : value.toPrecision(3)
  return text.replaceAll('-', MINUS)
}

/** Write a share as a percentage. */
export const percent = (share) => (share == null ? '–' : `${(100 * share).toFixed(1)} %`)

/** Write a mark of an axis shortly: 12k, 0.001. */
export function mark(value) {
  const text = Math.abs(value) >= 10_000 ? `${value / 1000}k` : String(Number(value.toPrecision(6)))
  return text.replace('-', MINUS)
}

/** Write the day, or the day and minute, of an ISO time, as it stands there. */
export const day = (time) => (time == null ? '' : time.slice(0, 10))
export const minute = (time) => (time == null ? '' : time.slice(0, 16).replace('T', ' '))

/** Write a count with its noun: 1 behaviour, 2 behaviours. */
export const count = (n, noun) => `${n.toLocaleString('en')} ${noun}${n === 1 ? '' : 's'}`
