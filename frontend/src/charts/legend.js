import { DASHES, hues } from '../colours.js'
import { h } from '../dom.js'

const SVG = 'http://www.w3.org/2000/svg'

/**
 * Set the names of curves beside pieces of their lines.
 *
 * @param {HTMLElement} place where
 * @param {{names: string[], hues: (number|null)[], colours: number}} data as `lines` has them
 */
export function legend(place, { names, hues: hueOf, colours }) {
  place.classList.add('legend')
  place.append(...names.map((name, k) => h('span', {}, piece(hueOf[k], colours), name)))
}

function piece(hue, colours) {
  const svg = document.createElementNS(SVG, 'svg')
  const line = document.createElementNS(SVG, 'line')
  const dash = hue == null ? [4, 4] : DASHES[hue % DASHES.length]
  const values = {
    x1: 0, x2: 26, y1: 6, y2: 6, 'stroke-width': 2, stroke: hue == null ? 'var(--dim)' : hues(colours)[hue],
    ...(dash !== 'solid' && { 'stroke-dasharray': dash.join(' ') }),
  }
  for (const [name, value] of Object.entries(values)) line.setAttribute(name, value)
  for (const [name, value] of Object.entries({ width: 26, height: 12, 'aria-hidden': true })) svg.setAttribute(name, value)
  svg.append(line)
  return svg
}
