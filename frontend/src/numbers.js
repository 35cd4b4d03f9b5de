const MINUS = '\u2212'
const NOISE = 1e-7

/** Where the first digit of a number stands: 0 for 3, −2 for 0.04. */
const power = (value) => Math.floor(Math.log10(Math.abs(value)))

const written = (text) => text.replace(/^-(?=.*[1-9])/, MINUS).replace(/^-/, '').replace('e-', `e${MINUS}`).replace('e+', 'e')

/** Write a number with so many digits after the point, and a true minus; one that would be 0.000 keeps a digit. */
export function fixed(value, digits = 3) {
  if (value == null) return '–'
  const text = value.toFixed(digits)
  if (value === 0 || /[1-9]/.test(text)) return written(text)
  return written(power(value) < -5 ? value.toExponential(0) : value.toPrecision(1))
}

/** Write a number with its sign: +0.12, −0.05; 0 for what is no more than the noise of 32 bits. */
export function signed(value, digits = 3) {
  if (value != null && Math.abs(value) < NOISE) return '0'
  return value > 0 ? `+${fixed(value, digits)}` : fixed(value, digits)
}

/** Write a number that may be small with three significant digits: 0.0123, 0.980, 4.2e−7. */
export function significant(value) {
  if (value == null) return '–'
  if (value === 0) return '0'
  return written(Math.abs(value) < 1e-4 || Math.abs(value) >= 1000 ? value.toExponential(1) : value.toPrecision(3))
}

/** Write a probability with the digits that tell it from 0 and from 1: 0.0123, 0.980, 0.999960, 4.2e−7. */
export function probability(value) {
  if (value == null) return '–'
  if (value === 1) return '1'
  return value < 0.5 ? significant(value) : value.toFixed(Math.max(3, 1 - power(1 - value)))
}

/** Write two probabilities with as many digits as tell one from the other. */
export function apart(one, other) {
  const texts = [one, other].map(probability)
  if (one === other || texts[0] !== texts[1]) return texts
  const digits = 1 - power(one - other)
  return Math.max(one, other) < 1e-4
    ? [one, other].map((value) => written(value.toExponential(power(value) + digits)))
    : [one, other].map((value) => value.toFixed(Math.min(17, digits)))
}

/** Write a share as a percentage, with the digits that tell it from 0 and from 100 %. */
export function percent(share) {
  if (share == null) return '–'
  if (share === 0 || share === 1) return `${100 * share} %`
  const least = Math.min(Math.abs(share), Math.abs(1 - share))
  return `${written((100 * share).toFixed(Math.min(17, Math.max(1, -2 - power(least)))))} %`
}

/** Write a mark of an axis shortly: 12k, 0.001. */
export function mark(value) {
  const text = Math.abs(value) >= 10_000 ? `${value / 1000}k` : String(Number(value.toPrecision(6)))
  return text.replace('-', MINUS)
}

/** A step of 1, 2 or 5 times a power of ten, of which some four go into a length. */
export function stepOf(length) {
  const rough = length / 4 || 0.01
  const unit = 10 ** power(rough)
  return unit * [1, 2, 5, 10].find((times) => times * unit >= 0.999 * rough)
}

/** Write the day, or the day and minute, of an ISO time, as it stands there. */
export const day = (time) => (time == null ? '' : time.slice(0, 10))
export const minute = (time) => (time == null ? '' : time.slice(0, 16).replace('T', ' '))

/** Write a count with its noun: 1 behaviour, 2 behaviours. */
export const count = (n, noun) => `${n.toLocaleString('en')} ${noun}${n === 1 ? '' : 's'}`
